"""Files on a web server, read in ranges; a failed transfer is tried again, one that stalls or is cut off is noticed.

Nothing here is called unless the user gave an address. A redirection from https is followed to https only, and no
credentials come into messages: an address with a user name is refused, and of its query nothing is shown.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import os
import re
import socket
import ssl
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..errors import DataError, PgcganError, UsageError
from ..provenance import VERSION
from ..text import whole_number, without_secrets
from .records import log

FIRST_BLOCK, LARGEST_BLOCK = 1 << 16, 1 << 23  # bytes asked for at a time: doubled from block to block
WAITS: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)  # seconds before each further try
STALL = 30.0  # seconds without a byte, after which a connection counts as dead
SLOW = 300.0  # seconds for one block, however many bytes trickle in
_QUICK = 5.0  # seconds for one block, beyond which blocks do not grow
_PIECE = 1 << 16
_LARGEST_FILE = 1 << 44  # bytes of a file: more than any server has
_LARGEST_UNSIZED = 1 << 36  # bytes that are taken from a server that does not say how many there are
_LARGEST_TABLE = 1 << 28  # bytes of a file that is read into memory whole, such as an index
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # states of a server in which asking again may help

Result = TypeVar("Result")


class NotThere(DataError):
    """The server has no such file, or does not let it be read."""


class About(NamedTuple):
    """Size and version of a file on a server, and whether it sends parts of it."""

    size: int | None
    etag: str | None
    modified: str | None
    ranges: bool = True


def named(path: str) -> str:
    """Return what messages call an input: of an address without its query, which may hold a key."""
    return "standard input" if path == "-" else without_secrets(path)


def is_address(path: str) -> bool:
    """True if a path is an http or https address.

    An address of another kind, with a user name, or one that `pathlib` has spoilt, is a UsageError.
    """
    scheme, colon, rest = path.partition(":/")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return False
    known = scheme.lower() in ("http", "https")
    if not rest.startswith("/"):
        if known:
            raise UsageError(f"{path} is an address that has lost a slash, as in a pathlib.Path; give it as a str.")
        return False
    if not known:
        other = {
            "ftp": "; most ftp servers, that of the 1000 Genomes Project too, answer under https:// as well",
            "s3": "; a public bucket is read as https://BUCKET.s3.amazonaws.com/NAME",
        }
        raise UsageError(
            f"The address {path} cannot be read; accepted: http:// and https://{other.get(scheme.lower(), '')}."
        )
    try:
        parts = urllib.parse.urlsplit(path)
        host, user = None if parts.port == 0 else parts.hostname, "@" in parts.netloc
    except ValueError:
        host, user = None, False
    if user:
        raise UsageError(f"An address at {parts.hostname} holds a user name or a password; give it without them.")
    if not host:  # nobody knows where a password would be
        shown = f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else path
        raise UsageError(f"The address {without_secrets(shown)} names no server and port that can be.")
    return True


def beside(url: str, suffix: str) -> str:
    """Return the address of a file beside another, such as its index; a query stays at the end."""
    place, question, query = url.partition("?")
    return place + suffix + question + query


def about(url: str) -> About:
    """Return size, ETag and date of a file; raise NotThere if there is none, or it may not be read."""

    def ask() -> About:
        with _ask(url, 0, 0) as answer:
            return _about(answer)

    return _patiently(url, ask)


def contents(url: str) -> bytes:
    """Return all bytes of a file that fits into memory, such as a table or an index."""
    with RemoteFile(url) as stream:
        data = bytearray()
        while piece := stream.read(LARGEST_BLOCK):
            data += piece
            if len(data) > _LARGEST_TABLE:
                raise DataError(f"{named(url)} has more than {_LARGEST_TABLE} bytes: it is not a table or an index.")
        return bytes(data)


class RemoteFile(io.RawIOBase):
    """A file on a web server, from one byte on, as a raw stream: read in blocks, each checked for its length.

    A server that sends whole files only is read into a temporary file without a name. The first request is made by the
    first read.
    """

    def __init__(self, url: str, begin: int = 0):
        self.url = url
        self._begin = self._at = begin  # the first byte that has not been asked for
        self._block = b""
        self._step = FIRST_BLOCK
        self._about: About | None = None
        self._whole: Any = None  # a copy of the file, of a server that sends whole files only

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what there is at hand, after another request where nothing is."""
        if not self._block:
            start = time.monotonic()
            self._check_size(self._at - self._begin)
            self._block = _patiently(self.url, lambda: self._range(self._at, self._step))
            self._at += len(self._block)
            if time.monotonic() - start < _QUICK:
                self._step = min(2 * self._step, LARGEST_BLOCK)
        size = min(len(self._block), len(buffer))
        buffer[:size], self._block = self._block[:size], self._block[size:]
        return size

    def close(self) -> None:
        """Remove the copy, if there is one."""
        if self._whole is not None:
            self._whole.close()
        super().close()

    def last(self, size: int) -> bytes | None:
        """Return the last bytes of the file, or None if its size is not known; something has been read before."""
        if self._about is None or self._about.size is None:
            return None
        begin = max(0, self._about.size - size)
        return _patiently(self.url, lambda: self._range(begin, size))

    def _range(self, begin: int, size: int) -> bytes:
        """Return the bytes of a range, or what there is of it."""
        total = None if self._about is None else self._about.size
        if total is not None and begin >= total:
            return b""
        if self._whole is None:
            try:
                answer = _ask(self.url, begin, begin + size - 1)
            except urllib.error.HTTPError as error:
                if error.code != 416:  # the range begins behind the end
                    raise
                error.close()
                return b""
            with answer:
                new = _about(answer)
                if self._about is None:
                    self._about = new
                    self._check_size(0)
                elif (new.size, new.modified or new.etag) != (total, self._about.modified or self._about.etag):
                    raise DataError(f"{named(self.url)} has changed on the server while it was read; start again.")
                if answer.status == 206:
                    return self._part(answer, begin, size)
                self._whole = self._copy(answer, begin)
        self._whole.seek(begin)
        return self._whole.read(size)

    def _check_size(self, received: int) -> None:
        """Raise a DataError if a server sends, or is about to send, more than any file has."""
        total = None if self._about is None else self._about.size
        if total is not None and total > _LARGEST_FILE:
            raise DataError(f"{named(self.url)} cannot be read: the server says that it has {total} bytes.")
        if total is None and received > _LARGEST_UNSIZED:
            raise DataError(
                f"{named(self.url)} cannot be read: the server does not say how large it is, and has sent more than "
                f"{_LARGEST_UNSIZED} bytes."
            )

    def _part(self, answer: Any, begin: int, size: int) -> bytes:
        """Return the bytes of an answer to a request for a range."""
        sent = answer.headers.get("Content-Range", "")
        match = re.match(r"bytes ([0-9]{1,18})-([0-9]{1,18})/", sent)
        if match is None or int(match[1]) != begin or int(match[2]) >= begin + size:
            raise DataError(
                f"{named(self.url)} cannot be read: asked for the bytes {begin} to {begin + size - 1}, the server "
                f"answers with {sent!r}."
            )
        expected = int(match[2]) + 1 - begin
        data = _received(answer, expected)
        if len(data) < expected:
            raise ConnectionError(f"the transfer stops after {len(data)} of {expected} bytes")
        return data

    def _copy(self, answer: Any, begin: int) -> Any:
        """Return a temporary file of a whole answer."""
        if begin:
            log.warning(
                "The server of %s sends whole files only: %d bytes before the region are downloaded too.",
                named(self.url),
                begin,
            )
        total, size = None if self._about is None else self._about.size, 0
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile())
            while data := _received(answer, LARGEST_BLOCK):
                size += len(data)
                self._check_size(size)
                try:
                    file.write(data)
                    file.flush()
                except OSError as error:
                    raise DataError(
                        f"{named(self.url)} cannot be copied to {tempfile.gettempdir()}: {error.strerror} after {size} "
                        "bytes; set TMPDIR to a larger disk."
                    ) from None
            if total is not None and size < total:
                raise ConnectionError(f"the transfer stops after {size} of {total} bytes")
            stack.pop_all()  # closed with this stream
        return file


def _about(answer: Any) -> About:
    headers = answer.headers
    if answer.status == 206:
        size = headers.get("Content-Range", "").rpartition("/")[2]
    else:
        size = headers.get("Content-Length", "")
    return About(whole_number(size), headers.get("ETag"), headers.get("Last-Modified"), answer.status == 206)


def _ask(url: str, first: int, last: int) -> Any:
    safe = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
    # compression on the way would change what the numbers of the bytes mean
    headers = {"User-Agent": f"pgcgan/{VERSION}", "Accept-Encoding": "identity", "Range": f"bytes={first}-{last}"}
    opener = _opener(os.environ.get("CURL_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"))
    return opener.open(urllib.request.Request(safe, headers=headers), timeout=STALL)


class _Redirection(urllib.request.HTTPRedirectHandler):
    """Follow redirections from http to http and https, and from https to https."""

    def redirect_request(self, request: Any, answer: Any, code: int, reason: str, headers: Any, newurl: str) -> Any:
        """Return the request to the new address; Python itself refuses others than http, https and ftp."""
        scheme = urllib.parse.urlsplit(newurl).scheme.lower()
        if scheme not in {"https", request.type}:
            raise DataError(
                f"{named(request.full_url)} cannot be read: the server redirects from {request.type} to {scheme}, "
                "which is not followed."
            )
        return super().redirect_request(request, answer, code, reason, headers, newurl)


@functools.lru_cache(maxsize=4)
def _opener(bundle: str | None, _: str | None) -> urllib.request.OpenerDirector:
    # The default context trusts the system's certificates, or those of SSL_CERT_FILE.
    try:
        context = ssl.create_default_context(cafile=bundle or None)
    except OSError as error:
        raise UsageError(f"The certificates of CURL_CA_BUNDLE, {bundle}, cannot be read: {error.strerror}.") from None
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Redirection)


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
        except PgcganError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            problem, passing = _problem(error, url)
        if not passing:
            raise DataError(f"{named(url)} cannot be read: {problem}.")
        if wait is None:
            break
        log.warning("%s: %s; trying again in %g s.", named(url), problem, wait)
        time.sleep(wait)
    raise DataError(f"{named(url)} cannot be read: {problem}; tried {len(WAITS) + 1} times.")


def _problem(error: Exception, url: str) -> tuple[str, bool]:
    """Return what went wrong, and whether to try again."""
    if isinstance(error, urllib.error.HTTPError):
        status = f"{error.code} {error.reason}".strip()
        if error.code in (404, 410):
            raise NotThere(f"There is no file {named(url)} (the server says {status}).") from None
        if error.code in (401, 403):
            raise NotThere(f"{named(url)} may not be read (the server says {status}); is the address right?") from None
        return f"the server says {status}", error.code in _PASSING
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
