"""One HTTP exchange with a checked address, held to a deadline.

Socket time-outs alone do not bound a request: a server that sends a byte now and then never exceeds one. A watchdog
thread shuts the socket down at the deadline, wherever the reading stands.
"""

import http.client
import logging
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from pipelines.web.addresses import Target
from pipelines.web.outcome import FetchError

_READ_BYTES = 64 * 1024
_IDLE_CONNECTIONS = 256  # open files kept for hosts that may be asked again
_DRAIN_BYTES = 16 * 1024  # reading a small unwanted body is cheaper than a new connection

_Key = tuple[str, str, int]

# Every malformed header of a hostile server would be a warning with a traceback on the job's log.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class Watch:
    """Whether the watchdog had to end this exchange."""

    __slots__ = ("deadline", "fired", "sock")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        self.fired = False


class Watchdog:
    """One thread that shuts down the sockets whose deadline has come."""

    def __init__(self) -> None:
        self._watches: dict[int, Watch] = {}
        self._numbers = count()
        self._changed = threading.Condition()
        self._next = float("inf")
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def watching(self, sock: socket.socket, deadline: float) -> Iterator[Watch]:
        watch = Watch(sock, deadline)
        with self._changed:
            number = next(self._numbers)
            self._watches[number] = watch
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            if deadline < self._next:
                self._changed.notify()
        try:
            yield watch
        finally:
            with self._changed:
                self._watches.pop(number, None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for number, watch in list(self._watches.items()):
                    if watch.deadline <= now:
                        watch.fired = True
                        del self._watches[number]
                        # SSLSocket.shutdown would drop the TLS state under the reading thread
                        with suppress(OSError):
                            socket.socket.shutdown(watch.sock, socket.SHUT_RDWR)
                self._next = min((watch.deadline for watch in self._watches.values()), default=float("inf"))
                self._changed.wait(None if self._next == float("inf") else max(0.0, self._next - now))


class Reply:
    """Status and headers of a response whose body is still on its way."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.reason = response.reason or ""
        self.headers: dict[str, list[str]] = {}
        for name, value in response.headers.iteritems():
            self.headers.setdefault(name.lower(), []).append(value)
        self.header_bytes = sum(len(n) + len(v) + 4 for n, values in self.headers.items() for v in values)
        self.complete = False

    @property
    def declared_bytes(self) -> int | None:
        """Content-Length, None if there is none or the body is chunked."""
        return getattr(self._response, "length_remaining", None)

    def read(self, most: int) -> bytes:
        """The body, or its first `most` + 1 bytes if it is longer."""
        parts = []
        size = 0
        while size <= most:
            part = self._response.read(min(_READ_BYTES, most + 1 - size))
            if not part:
                self.complete = True
                break
            parts.append(part)
            size += len(part)
            if self.declared_bytes == 0:
                self.complete = True
                break
        return b"".join(parts)

    def close(self) -> None:
        self._response.close()

    def drain(self) -> None:
        """Read an unwanted body to its end if it is known to be small, so that the connection can be used again."""
        declared = self.declared_bytes
        if declared is not None and declared <= _DRAIN_BYTES:
            self.read(_DRAIN_BYTES)


class Transport:
    """Connections to checked addresses, kept alive for each host.

    Raises:
        ValueError: this machine knows no certificate authorities.
    """

    def __init__(self, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._tls = ssl.create_default_context()
        if not self._tls.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
            raise ValueError(
                "https needs certificate authorities and this machine has none: "
                "install the package ca-certificates or set SSL_CERT_FILE"
            )
        self._watchdog = Watchdog()
        self._idle: OrderedDict[_Key, list[HTTPConnection]] = OrderedDict()
        self._idle_count = 0
        self._lock = threading.Lock()

    @contextmanager
    def exchange(
        self, target: Target, addresses: Sequence[str], headers: Mapping[str, str], deadline: float
    ) -> Iterator[Reply]:
        """GET the target from one of the addresses.

        Args:
            addresses: checked ones; the first that takes the connection is used.
            headers: of the request, without Host.
            deadline: on the clock of `time.monotonic`; the reply cannot be read past it.

        Raises:
            FetchError: connect_failure, connection_lost, tls_failure, timeout, truncated_body or bad_http.
        """
        headers = {"Host": target.host_header, **headers}
        with ExitStack() as stack:
            reply: Reply | None = None
            if (idle := self._take(target)) is not None:
                try:
                    reply = stack.enter_context(self._session(idle, target, headers, deadline))
                except FetchError as error:
                    # the host may have closed an idle connection while we were about to use it: that is no failure
                    if error.failed.reason != "connection_lost":
                        raise
            if reply is None:
                fresh = self._connect(target, addresses, deadline)
                reply = stack.enter_context(self._session(fresh, target, headers, deadline))
            yield reply

    def close(self) -> None:
        """Close the idle connections and end the watchdog."""
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
            self._idle_count = 0
        for connection in idle:
            connection.close()
        self._watchdog.close()

    def _connect(self, target: Target, addresses: Sequence[str], deadline: float) -> HTTPConnection:
        problem = "no address"
        for address in addresses:
            seconds = min(self._connect_seconds, deadline - time.monotonic())
            if seconds <= 0:
                raise FetchError("timeout", "no time left to connect", retryable=True)
            connection = self._connection(target, address, seconds)
            try:
                connection.connect()
            except ssl.SSLError as error:
                connection.close()
                raise FetchError("tls_failure", _short(error)) from None
            except (HTTPError, OSError) as error:
                connection.close()
                problem = f"{address}: {_short(error)}"
            else:
                return connection
        raise FetchError("connect_failure", problem, retryable=True)

    def _connection(self, target: Target, address: str, seconds: float) -> HTTPConnection:
        if target.scheme == "http":
            return HTTPConnection(address, target.port, timeout=seconds)
        # no assert_hostname: it would switch the context's own check of the name off
        return HTTPSConnection(
            address, target.port, timeout=seconds, ssl_context=self._tls, server_hostname=target.host
        )

    @contextmanager
    def _session(
        self, connection: HTTPConnection, target: Target, headers: Mapping[str, str], deadline: float
    ) -> Iterator[Reply]:
        reply: Reply | None = None
        finished = False
        try:
            with self._watchdog.watching(connection.sock, deadline) as watch:
                try:
                    connection.timeout = max(0.001, deadline - time.monotonic())
                    connection.request("GET", target.path, headers=headers, preload_content=False, decode_content=False)
                    reply = Reply(connection.getresponse())
                    yield reply
                except FetchError:  # the caller is not content with what came: the connection may still be good
                    finished = reply is not None and reply.complete and not watch.fired
                    raise
                except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                    raise _as_failure(error, watch, headers_read=reply is not None) from None
                if watch.fired:  # a body that ends with the connection looks whole when we cut it off
                    raise _timeout()
                finished = reply.complete
        finally:
            if finished and connection.is_connected:
                self._give(target, connection)
            else:
                if reply is not None:
                    reply.close()
                connection.close()

    def _take(self, target: Target) -> HTTPConnection | None:
        key = (target.scheme, target.host, target.port)
        while True:
            with self._lock:
                idle = self._idle.get(key)
                if not idle:
                    return None
                connection = idle.pop()
                self._idle_count -= 1
                if not idle:
                    del self._idle[key]
            if connection.is_connected:  # also false if the host sent more than it had announced
                return connection
            connection.close()

    def _give(self, target: Target, connection: HTTPConnection) -> None:
        key = (target.scheme, target.host, target.port)
        oldest = None
        with self._lock:
            self._idle.setdefault(key, []).append(connection)
            self._idle.move_to_end(key)
            self._idle_count += 1
            if self._idle_count > _IDLE_CONNECTIONS:
                first, connections = next(iter(self._idle.items()))
                oldest = connections.pop(0)
                self._idle_count -= 1
                if not connections:
                    del self._idle[first]
        if oldest is not None:
            oldest.close()


def _as_failure(error: Exception, watch: Watch, *, headers_read: bool) -> FetchError:
    """The one reason behind the many ways in which the layers below report a broken exchange."""
    if watch.fired or isinstance(error, TimeoutError | ReadTimeoutError):
        return _timeout()
    cause = error
    if isinstance(error, ProtocolError) and len(error.args) > 1 and isinstance(error.args[1], Exception):
        cause = error.args[1]
    if isinstance(cause, http.client.IncompleteRead):
        return FetchError("truncated_body", _short(cause), retryable=True)
    if isinstance(cause, OSError):  # RemoteDisconnected and the TLS errors are OSErrors too
        reason = "truncated_body" if headers_read else "connection_lost"
        return FetchError(reason, _short(cause), retryable=True)
    return FetchError("bad_http", _short(cause))


def _timeout() -> FetchError:
    return FetchError("timeout", "the time for one URL is over", retryable=True)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
