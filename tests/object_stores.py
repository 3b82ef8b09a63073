"""Object stores on loopback: moto's S3, an emulator of Google's, and a proxy before them that counts and fails.

with StoreServer("s3") as server, Proxy(server.port) as proxy, server.environment(proxy.port):
    paths.publish("s3://bucket/key", b"bytes")
    assert proxy.requests[-1].method == "PUT"
"""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest.mock import patch

from pipelines.store import paths, s3

BUCKET = "bucket"
COMMANDS = {
    "s3": ("-m", "moto.server", "-H", "127.0.0.1", "-p"),
    "gs": ("-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", "--in-memory", "--port"),
}
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
_PIECE_BYTES = 1 << 16


class StoreServer:
    """A server program in a process of its own, with an empty bucket."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        command = [sys.executable, *COMMANDS[self.scheme], str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        if self.scheme == "s3":
            status = self.ask("PUT", f"/{BUCKET}")
        else:
            status = self.ask("POST", "/storage/v1/b?project=test", b'{"name": "%s"}' % BUCKET.encode())
        assert status == 200, f"no bucket could be made: {status}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def _wait(self) -> None:
        for _ in range(600):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            assert self.process.poll() is None, f"the server of {self.scheme}:// did not start"
            time.sleep(0.1)
        raise AssertionError(f"the server of {self.scheme}:// does not answer")

    def ask(self, method: str, path: str, body: bytes = b"") -> int:
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status

    def variables(self, port: int) -> dict[str, str]:
        """What a command must find in its environment to use the server by way of a port."""
        if self.scheme == "s3":
            return {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}

    @contextmanager
    def environment(self, port: int) -> Iterator[None]:
        """Variables of this process; clients of S3 look at them when they are made, so new ones are."""
        s3._clients._empty()
        with patch.dict(os.environ, self.variables(port)):
            yield
        s3._clients._empty()


@dataclass(frozen=True)
class Request:
    """One request as the proxy saw it."""

    method: str
    path: str
    range: str
    """The header; empty without one."""
    status: int
    """Of the answer; 0: none was given."""
    sent: int
    """Bytes of the body of the answer that were given."""
    fault: str


@dataclass
class Proxy:
    """Passes requests on to a server; keeps what it saw, and spoils some.

    A fault is a status, "503" say (the server never sees the request), "lost" (it does, but the answer is lost) or
    "cut" (the connection ends in the middle of the answer's body).
    """

    port_behind: int
    share: float = 0.0
    """Of the requests that are spoilt."""
    seed: int = 0
    faults: Sequence[str] = ("503", "lost", "cut")
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.random, self.lock = random.Random(self.seed), threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy  # type: ignore[assignment]

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fault(self) -> str:
        with self.lock:
            return self.random.choice(self.faults) if self.random.random() < self.share else ""

    def reads(self) -> list[Request]:
        """Requests for an object's bytes."""
        return [request for request in self.requests if request.range]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that closes its connection is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the other side to say that it has the headers
    owner: Proxy

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if "Transfer-Encoding" not in self.headers else self._chunks()
        fault = self.owner.fault()
        if fault.isdecimal():
            self._answer(int(fault), {}, b"", fault)
            return
        connection = HTTPConnection("127.0.0.1", self.owner.port_behind)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        connection.request(self.command, self.path, body, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self._answer(answer.status, _kept(answer, len(data), self.command), data, fault)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815 - the names that http.server looks for

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, status: int, headers: Mapping[str, str], data: bytes, fault: str) -> None:
        if fault == "lost" or (fault == "cut" and not data):
            status, data = 0, b""
        elif fault == "cut":
            data = data[: len(data) // 2]
        self.owner.requests.append(
            Request(self.command, self.path, self.headers.get("Range", ""), status, len(data), fault)
        )
        if status:
            self.send_response_only(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for begin in range(0, len(data), _PIECE_BYTES):
                self.wfile.write(data[begin : begin + _PIECE_BYTES])
        if fault in ("lost", "cut"):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


def _kept(answer: HTTPResponse, length: int, method: str) -> dict[str, str]:
    headers = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "date")}
    if method != "HEAD":
        headers = {k: v for k, v in headers.items() if k.lower() not in ("content-length", "transfer-encoding")}
        headers["Content-Length"] = str(length)
    return headers


def copied(address: str, folder: Path) -> Path:
    """A data set of a store as a local folder."""
    for path in paths.list_files(address):
        file = folder / path.removeprefix(address + "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(paths.read_bytes(path))
    return folder
