"""Files on a web server, read in ranges; a failed transfer is tried again, one that stalls or is cut off is noticed.

Nothing here is called unless the user gave an address.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..errors import DataError, UsageError
from ..provenance import VERSION
from .records import log

FIRST_BLOCK, LARGEST_BLOCK = 1 << 16, 1 << 23  # bytes asked for at a time: doubled from block to block
WAITS: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)  # seconds before each further try
STALL = 30.0  # seconds without a byte, after which a connection counts as dead
SLOW = 300.0  # seconds for one block, however many bytes trickle in
_QUICK = 5.0  # seconds for one block, beyond which blocks do not grow
_PIECE = 1 << 16
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # states of a server in which asking again may help

Result = TypeVar("Result")


class NotThere(DataError):
    """The server has no such file, or does not let it be read."""


class About(NamedTuple):
    """What a server says of a file."""

    size: int | None
    etag: str | None
    modified: str | None


def is_address(path: str) -> bool:
    """Tell whether a path is an http or https address.

    Raises
    ------
    UsageError
        If it is an address of another kind, or one that `pathlib` has spoilt.
    """
    scheme, colon, rest = path.partition(":/")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return False
    known = scheme.lower() in ("http", "https")
    if known and not rest.startswith("/"):
        raise UsageError(f"{path} is an address that has lost a slash, as in a pathlib.Path; give it as a str.")
    if not rest.startswith("/"):
        return False
    if not known:
        other = {
            "ftp": "; most ftp servers, that of the 1000 Genomes Project too, answer under https:// as well",
            "s3": "; a public bucket is read as https://BUCKET.s3.amazonaws.com/NAME",
        }
        raise UsageError(
            f"The address {path} cannot be read; accepted: http:// and https://{other.get(scheme.lower(), '')}."
        )
    return True


def beside(url: str, suffix: str) -> str:
    """Return the address of a file beside another, such as its index; a query stays at the end."""
    place, question, query = url.partition("?")
    return place + suffix + question + query


def about(url: str) -> About:
    """Return size, ETag and date of a file.

    Raises
    ------
    NotThere
        If there is none, or it may not be read.
    DataError
        If the server cannot be reached.
    """

    def ask() -> About:
        with _ask(url, 0, 0) as answer:
            return _about(answer)

    return _patiently(url, ask)


def contents(url: str) -> bytes:
    """Return all bytes of a file."""
    with RemoteFile(url) as stream:
        return stream.read()


class RemoteFile(io.RawIOBase):
    """A file on a web server as a raw stream: what is read is asked for in blocks, each checked for its length.

    A server that sends whole files only is read in one go; to seek there means to download what lies before.

    Parameters
    ----------
    url : str
        Its http or https address. The first request is made by the first read.
    """

    def __init__(self, url: str):
        self.url = url
        self._at = 0
        self._begin, self._block = 0, b""
        self._step = FIRST_BLOCK
        self._about: About | None = None
        self._whole: Any = None  # the answer of a server that sends whole files only, and how far it has been read
        self._whole_at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position from the start, or from where it is."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of a file on a server is not known before it is read")
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what there is at hand, after another request where nothing is."""
        if not 0 <= self._at - self._begin < len(self._block):
            start = time.monotonic()
            self._begin, self._block = self._at, _patiently(self.url, self._next)
            if time.monotonic() - start < _QUICK:
                self._step = min(2 * self._step, LARGEST_BLOCK)
        begin = self._at - self._begin
        piece = self._block[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._whole is not None:
            self._whole.close()
            self._whole = None
        super().close()

    def last(self, size: int) -> bytes | None:
        """Return the last bytes of the file, or None where only reading it all would tell them."""
        if self._about is None or self._about.size is None or self._whole is not None:
            return None
        begin = max(0, self._about.size - size)
        return _patiently(self.url, lambda: self._range(begin, size))

    def _next(self) -> bytes:
        size = None if self._about is None else self._about.size
        if size is not None and self._at >= size:
            return b""
        if self._whole is None or self._whole_at > self._at:
            data = self._range(self._at, self._step)
            if self._whole is None:
                return data
        try:
            while self._whole_at < self._at:
                if not self._more(min(self._at - self._whole_at, LARGEST_BLOCK)):
                    return b""
            return self._more(self._step)
        except BaseException:
            self._whole.close()
            self._whole = None
            raise

    def _more(self, size: int) -> bytes:
        """Return the next bytes of a file that is sent whole."""
        data = _received(self._whole, size)
        self._whole_at += len(data)
        total = None if self._about is None else self._about.size
        if len(data) < size and total is not None and self._whole_at < total:
            raise ConnectionError(f"the transfer stops after {self._whole_at} of {total} bytes")
        return data

    def _range(self, begin: int, size: int) -> bytes:
        """Return the bytes of a range; where the server does not know ranges, take its answer as `_whole` instead."""
        try:
            answer = _ask(self.url, begin, begin + size - 1)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # the range begins behind the end
                raise
            error.close()
            return b""
        new = _about(answer)
        if self._about is None:
            self._about = new
        elif (new.size, new.modified or new.etag) != (self._about.size, self._about.modified or self._about.etag):
            answer.close()
            raise DataError(f"{self.url} has changed on the server while it was read; start again.")
        if answer.status != 206:
            if self._whole is None and begin:
                log.warning(
                    "The server of %s sends whole files only: %d bytes that lie before what is wanted are downloaded "
                    "too.",
                    self.url,
                    begin,
                )
            self._whole, self._whole_at = answer, 0
            return b""
        with answer:
            found = re.match(r"bytes (\d+)-(\d+)/", answer.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != begin or int(found[2]) >= begin + size:
                raise DataError(
                    f"{self.url} cannot be read: asked for the bytes {begin} to {begin + size - 1}, the server answers "
                    f"with {answer.headers.get('Content-Range')!r}."
                )
            expected = int(found[2]) + 1 - begin
            data = _received(answer, expected)
        if len(data) < expected:
            raise ConnectionError(f"the transfer stops after {len(data)} of {expected} bytes")
        return data


def _about(answer: Any) -> About:
    headers = answer.headers
    if answer.status == 206:
        size = headers.get("Content-Range", "").rpartition("/")[2]
    else:
        size = headers.get("Content-Length", "")
    return About(int(size) if size.isdecimal() else None, headers.get("ETag"), headers.get("Last-Modified"))


def _ask(url: str, first: int, last: int) -> Any:
    safe = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
    # compression on the way would change what the numbers of the bytes mean
    headers = {"User-Agent": f"pgcgan/{VERSION}", "Accept-Encoding": "identity", "Range": f"bytes={first}-{last}"}
    opener = _opener(os.environ.get("CURL_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"))
    return opener.open(urllib.request.Request(safe, headers=headers), timeout=STALL)


@functools.lru_cache(maxsize=4)
def _opener(bundle: str | None, _: str | None) -> urllib.request.OpenerDirector:
    # The default context trusts the system's certificates, or those of SSL_CERT_FILE.
    try:
        context = ssl.create_default_context(cafile=bundle or None)
    except OSError as error:
        raise UsageError(f"The certificates of CURL_CA_BUNDLE, {bundle}, cannot be read: {error.strerror}.") from None
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def _received(answer: Any, size: int) -> bytes:
    """Return so many bytes of an answer, or fewer if it ends."""
    pieces, missing, start = [], size, time.monotonic()
    while missing:
        piece = answer.read1(min(missing, _PIECE))
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
        if time.monotonic() - start > SLOW:
            raise TimeoutError(f"only {size - missing} of {size} bytes have come in {SLOW:g} s")
    return b"".join(pieces)


def _patiently(url: str, act: Callable[[], Result]) -> Result:
    """Do something with a server; where it fails in a way that may pass, wait and do it again."""
    for wait in (*WAITS, None):
        try:
            return act()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            problem, passing = _problem(error, url)
        if not passing:
            raise DataError(f"{url} cannot be read: {problem}.")
        if wait is None:
            break
        log.warning("%s: %s; trying again in %g s.", url, problem, wait)
        time.sleep(wait)
    raise DataError(f"{url} cannot be read: {problem}; tried {len(WAITS) + 1} times.")


def _problem(error: Exception, url: str) -> tuple[str, bool]:
    """Return what went wrong, and whether to try again."""
    if isinstance(error, urllib.error.HTTPError):
        said = f"{error.code} {error.reason}".strip()
        if error.code in (404, 410):
            raise NotThere(f"There is no file {url} (the server says {said}).") from None
        if error.code in (401, 403):
            raise NotThere(f"{url} may not be read (the server says {said}); is the address right?") from None
        return f"the server says {said}", error.code in _PASSING
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    server = urllib.parse.urlsplit(url).hostname
    if isinstance(cause, socket.gaierror):
        return (
            f"the name of the server, {server}, cannot be resolved; check the address and the network",
            cause.errno == socket.EAI_AGAIN,
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {server} is not trusted ({cause.verify_message}); SSL_CERT_FILE or CURL_CA_BUNDLE "
            "names a file of certificates to trust",
            False,
        )
    if isinstance(cause, ConnectionRefusedError):
        return f"{server} refuses the connection", True
    if isinstance(cause, TimeoutError):
        return (str(cause) if str(cause).startswith("only") else f"nothing has come for {STALL:g} s"), True
    if isinstance(cause, ValueError | http.client.InvalidURL):
        return f"the address is not right ({cause})", False
    return str(cause) or type(cause).__name__, isinstance(cause, OSError | http.client.HTTPException)
