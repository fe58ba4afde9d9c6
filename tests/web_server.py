"""A web server on this machine for the tests: it knows ranges, counts what it sends, and fails as it is told."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class WebServer(ThreadingHTTPServer):
    """Serves the files of a folder.

    Parameters
    ----------
    folder : Path
        What is served.
    certificate : Path, optional
        A PEM file with certificate and key: https.
    """

    daemon_threads = True

    def __init__(self, folder: Path, certificate: Path | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []  # path and Range of each request
        self.sent = 0  # bytes of files
        # Given the path and how many requests came before: a status, or one of the words in _Handler; None is no fault.
        self.fault: Callable[[str, int], int | str | None] = lambda path, before: None
        self.released = threading.Event()  # ends the stalls
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            scheme = "https"
        self.address = f"{scheme}://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Let stalled answers end, and close."""
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or does not trust us, is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        wanted = self.headers.get("Range")
        before = len(self.server.asked)
        self.server.asked.append((path, wanted))
        fault = self.server.fault(path, before)
        place = self.server.folder / path
        if isinstance(fault, int):
            return self.send_error(fault)
        if fault == "silent":
            self.server.released.wait(60)
            return None
        if isinstance(fault, str) and fault.startswith("to "):
            self.send_response(302)
            self.send_header("Location", fault.removeprefix("to "))
            return self.end_headers()
        if not place.is_file():
            return self.send_error(404)
        data = place.read_bytes()
        size, found = len(data), re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        begin = 0
        if found and fault not in ("whole", "whole, cut", "endless"):
            begin, end = int(found[1]), min(int(found[2]), size - 1)
            if begin >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                return self.end_headers()
            data = data[begin : end + 1]
            self.send_response(206)
            shift = 1 if fault == "shifted" else 0
            total = {"unsized": "*", "gigantic": 1 << 50}.get(str(fault), size)
            self.send_header("Content-Range", f"bytes {begin + shift}-{end + shift}/{total}")
        else:
            self.send_response(200)
        if fault == "endless":
            self.end_headers()
            while not self.server.released.is_set():
                self.wfile.write(data)
            return None
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{before if fault == "changed" else 0}"')
        self.end_headers()
        if fault in ("cut", "whole, cut", "stall"):
            data = data[: len(data) // 2]
        for start in range(0, len(data), 1 if fault == "trickle" else 1 << 16):
            piece = data[start : start + (1 if fault == "trickle" else 1 << 16)]
            self.wfile.write(piece)
            self.server.sent += len(piece)
            if fault == "trickle":
                self.server.released.wait(0.02)
        if fault == "stall":
            self.wfile.flush()
            self.server.released.wait(60)
        return None
