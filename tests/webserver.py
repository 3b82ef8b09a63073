"""A web server on loopback that does what a test tells it to, also what no server should.

    with WebServer(folder) as server:
        server.routes["/slow"] = drip(b"HTTP/1.1 200 OK\r\n", seconds=0.05)
        client.fetch(server.url("/slow"))
        assert server.paths() == ["/slow"]

A route is the raw bytes of a response, or a function that writes to the socket as it likes. Files of the folder are
served with keep-alive. `python tests/webserver.py FOLDER` serves one from a process of its own and prints its address.
"""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".html": "text/html", ".txt": "text/plain"}


@dataclass(frozen=True)
class Request:
    """One request as it was read."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    time: float
    """On the clock of `time.monotonic`."""
    connection: int
    """Which connection it came by, counted from 1."""
    server_name: str = ""
    """Name of the TLS handshake (SNI), empty without."""


Route = bytes | Callable[[Request, socket.socket], bool | None]
"""A function's connection is closed after it unless it returns True."""


def reply(body: bytes = b"", status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """An honest response with a Content-Length, unless `headers` says otherwise."""
    given = {"Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return reply(b"", status, {"Location": location})


def raw(*parts: bytes) -> Route:
    """Sends the parts as they are and closes the connection."""

    def send(_: Request, sock: socket.socket) -> None:
        sock.sendall(b"".join(parts))

    return send


def drip(start: bytes, piece: bytes = b"x", seconds: float = 0.05) -> Route:
    """Sends `start`, then a piece every so often, for ever."""

    def send(_: Request, sock: socket.socket) -> None:
        sock.sendall(start)
        while True:
            time.sleep(seconds)
            sock.sendall(piece)

    return send


def flood(start: bytes, piece: bytes = b"x" * 65536) -> Route:
    """Sends `start`, then pieces as fast as they are taken, for ever."""
    return drip(start, piece, 0.0)


def hang_up(_: Request, sock: socket.socket) -> None:
    """Closes the connection without a word."""


def reset(_: Request, sock: socket.socket) -> None:
    """Breaks the connection off (RST)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def in_turn(*routes: Route) -> Route:
    """The first route at the first request, the second at the second ..., the last one from then on."""
    left = list(routes)
    lock = threading.Lock()

    def send(request: Request, sock: socket.socket) -> bool | None:
        with lock:
            route = left.pop(0) if len(left) > 1 else left[0]
        return _send(route, request, sock)

    return send


def _send(route: Route, request: Request, sock: socket.socket) -> bool | None:
    if callable(route):
        return route(request, sock)
    sock.sendall(route)
    return True


def self_signed(folder: Path, *names: str) -> Path:
    """A certificate for `names` that nobody vouches for but itself, with its key, in one PEM file."""
    path = folder / f"{names[0]}.pem"
    subject = ",".join(f"IP:{name}" if name[0].isdigit() else f"DNS:{name}" for name in names)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
    shown = ["-days", "2", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={subject}", "-out", f"{path}.crt"]
    subprocess.run(["openssl", "req", "-x509", *key, *shown], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@dataclass
class WebServer:
    """Serves until the `with` block ends; one thread for each connection."""

    folder: Path | None = None
    """Files to serve; None: routes only."""
    certificate: Path | None = None
    """PEM file with certificate and key: serve https."""
    routes: dict[str, Route] = field(default_factory=dict)
    """By path; they go before the folder. A path may end in * to stand for all that begin like it."""
    requests: list[Request] = field(default_factory=list)
    """What was asked, in order of arrival."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._tls: ssl.SSLContext | None = None
        if self.certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(self.certificate)
            self._names: dict[ssl.SSLObject | ssl.SSLSocket, str] = {}
            self._tls.sni_callback = lambda sock, name, _: self._names.__setitem__(sock, name or "")
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.connections = 0
        threading.Thread(target=self._accept, name="webserver", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        """Paths asked for, robots.txt left out."""
        return [request.path for request in self.requests if request.path != "/robots.txt"]

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        name = ""
        with self._lock:
            self._open.add(sock)
        try:
            if self._tls is not None:
                with self._lock:
                    self._open.discard(sock)
                sock = self._tls.wrap_socket(sock, server_side=True)
                name = self._names.pop(sock, "")
                with self._lock:
                    self._open.add(sock)
            with sock.makefile("rb") as stream:
                while self._answer(sock, stream, number, name):
                    pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _answer(self, sock: socket.socket, stream, number: int, name: str) -> bool:  # type: ignore[no-untyped-def]
        """Answers one request; whether the connection may be used again."""
        first = stream.readline().decode("latin-1").split()
        if len(first) < 2:
            return False
        headers = {}
        while line := stream.readline().decode("latin-1").strip():
            key, _, value = line.partition(":")
            headers[key.lower()] = value.strip()
        request = Request(first[0], first[1], headers, time.monotonic(), number, name)
        self.requests.append(request)
        return bool(_send(self._route(first[1]), request, sock))

    def _route(self, path: str) -> Route:
        if path in self.routes:
            return self.routes[path]
        for pattern, route in self.routes.items():
            if pattern.endswith("*") and path.startswith(pattern[:-1]):
                return route
        if self.folder is not None:
            file = (self.folder / unquote(urlsplit(path).path).lstrip("/")).resolve()
            if file.is_relative_to(self.folder.resolve()) and file.is_file():
                kind = _TYPES.get(file.suffix, "application/octet-stream")
                return reply(file.read_bytes(), headers={"Content-Type": kind})
        return reply(b"nothing here", "404 Not Found", {"Content-Type": "text/plain"})


if __name__ == "__main__":
    with WebServer(Path(sys.argv[1])) as served:
        print(served.url("/"), flush=True)
        sys.stdin.read()  # until whoever started us closes our input
