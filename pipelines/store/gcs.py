"""gs:// by the JSON API of Google Cloud Storage, one try at a time.

Credentials are Google's defaults (`GOOGLE_APPLICATION_CREDENTIALS`, those of `gcloud auth application-default login`,
the service account of the machine). With STORAGE_EMULATOR_HOST requests go to that server, without any.
"""

import base64
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import md5
from typing import Any, BinaryIO
from urllib.parse import quote

from pipelines.store.remote import PassingError, PerProcess, StoreError, bucket_and_key, gone, retried

HOST = "https://storage.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
TIMEOUT = (10, 60)
"""Seconds to connect, and between two pieces of an answer."""
CONNECTIONS = 16
"""At once; deleting takes a request for each object."""
EMPTY_PART = "--part\r\nContent-Type: application/octet-stream\r\n\r\n"
_PIECE_BYTES = 1 << 20


def prepare() -> None:
    """Imports what all clients need; for a process that will be forked."""
    from google.auth.transport import requests  # noqa: F401


def emulator() -> str:
    """Address of the server that stands for Google's, without a slash at its end; empty: Google's own."""
    host = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    return host if not host or "://" in host else f"http://{host}"


def _client(host: str) -> Any:
    import requests
    from google.auth import default
    from google.auth.exceptions import DefaultCredentialsError
    from google.auth.transport.requests import AuthorizedSession

    if host:
        session = requests.Session()
    else:
        try:
            credentials, _ = default(scopes=SCOPES)
        except DefaultCredentialsError as error:
            raise StoreError(
                "gs://: no credentials for Google Cloud Storage; run `gcloud auth application-default login`, or set "
                "GOOGLE_APPLICATION_CREDENTIALS to the file of a service account"
            ) from error
        # What is refused for an old token is asked again by `remote`: a session of Google's would send what is left
        # of a stream that it has sent once.
        session = AuthorizedSession(credentials, max_refresh_attempts=0)
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


_clients = PerProcess(_client)


class GcsStore:
    """A `remote.Store`."""

    def get(self, path: str, start: int, stop: int | None) -> tuple[bytes, int]:
        if stop is not None and stop <= start:
            return b"", start
        # "gzip": an object that is stored so is not unpacked on the way.
        headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}", "Accept-Encoding": "gzip"}
        with self._asked(path, "GET", _object(path), params={"alt": "media"}, headers=headers, stream=True) as answer:
            if answer.status_code == 416:  # nothing stands there: the object ends before, or is empty
                return b"", min(start, self.size(path) or 0)
            data = answer.raw.read(decode_content=False)
            if answer.status_code == 206:
                return data, int(answer.headers["Content-Range"].rpartition("/")[2])
            # A server that knows no ranges gave all.
            return data[start:stop], int(answer.headers.get("Content-Length", len(data)))

    def put(self, path: str, stream: BinaryIO, size: int) -> None:
        """One request, whatever the size: what is cut off never becomes an object."""
        bucket, key = bucket_and_key(path)
        if not size:
            self._put_nothing(path, bucket, key)
            return
        state = md5(usedforsecurity=False)

        def pieces() -> Iterator[bytes]:
            while piece := stream.read(_PIECE_BYTES):
                state.update(piece)
                yield piece

        with self._asked(
            path,
            "POST",
            f"/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "media", "name": key, "fields": "size,md5Hash"},
            headers={"Content-Type": "application/octet-stream"},
            data=_Sized(pieces(), size),
        ) as answer:
            stored = answer.json()
        if (int(stored.get("size", size)), stored.get("md5Hash")) != (size, base64.b64encode(state.digest()).decode()):
            raise PassingError("what arrived is not what was sent")

    def _put_nothing(self, path: str, bucket: str, key: str) -> None:
        """An empty object, as the second of two parts: not every server takes a request without a body."""
        parts = (f"--part\r\nContent-Type: application/json\r\n\r\n{json.dumps({'name': key})}", EMPTY_PART, "--part--")
        with self._asked(
            path,
            "POST",
            f"/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "multipart", "fields": "size"},
            headers={"Content-Type": "multipart/related; boundary=part"},
            data="\r\n".join(parts).encode(),
        ):
            pass

    def size(self, path: str) -> int | None:
        try:
            with self._asked(path, "GET", _object(path), params={"fields": "size"}) as answer:
                return int(answer.json()["size"])
        except FileNotFoundError:
            return None

    def list_names(self, path: str) -> Iterator[str]:
        bucket, prefix = bucket_and_key(path)
        params = {"prefix": prefix, "fields": "items/name,nextPageToken", "maxResults": "1000"}

        def page() -> Any:
            with self._asked(path, "GET", f"/storage/v1/b/{bucket}/o", params=params, absent="bucket") as answer:
                return answer.json()

        while True:
            found = retried(path, "listing", page)
            yield from (f"gs://{bucket}/{item['name']}" for item in found.get("items", ()))
            if not found.get("nextPageToken"):
                return
            params["pageToken"] = found["nextPageToken"]

    def delete(self, paths: Sequence[str]) -> None:
        if len(paths) == 1:
            self._delete(paths[0])
            return
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._delete, paths))

    def _delete(self, path: str) -> None:
        def once() -> None:
            with suppress(FileNotFoundError), self._asked(path, "DELETE", _object(path)):
                pass

        retried(path, "deleting", once)

    @contextmanager
    def _asked(self, path: str, method: str, address: str, absent: str = "object", **more: Any) -> Iterator[Any]:
        """The answer to a request; what goes wrong becomes one of the errors of a store."""
        from google.auth.exceptions import GoogleAuthError, TransportError
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        host = emulator()
        try:
            with _clients.of(host).request(method, (host or HOST) + address, timeout=TIMEOUT, **more) as answer:
                if answer.status_code == 401:
                    _clients.drop(host)  # a token that is no longer good; the next try has a new one
                if answer.status_code >= 400 and answer.status_code != 416:
                    raise _meaning(path, absent, answer)
                yield answer
        except FileNotFoundError:
            raise
        except GoogleAuthError as error:
            if isinstance(error, TransportError):
                raise PassingError(str(error)) from error
            raise StoreError(
                f"{path}: no valid credentials for Google Cloud Storage ({error}); `gcloud auth application-default "
                "login` makes new ones"
            ) from error
        except (RequestException, HTTPError, OSError) as error:
            raise PassingError(str(error) or repr(error)) from error


class _Sized:
    """Pieces of known length: without one requests would send them as chunks."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self.pieces, self.size = pieces, size

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def __len__(self) -> int:
        return self.size


def _object(path: str) -> str:
    bucket, key = bucket_and_key(path)
    return f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"


def _meaning(path: str, absent: str, answer: Any) -> Exception:
    """What an answer that is an error means for who asked."""
    status, said = answer.status_code, f"{answer.status_code} {answer.reason}"
    if status >= 500 or status in (401, 408, 429):
        return PassingError(said)
    if status == 404:
        return gone(path, absent)
    if status == 403:
        return StoreError(
            f"{path}: the store refuses access ({said}); check that the account may list, read, write and delete there "
            "(roles/storage.objectUser)"
        )
    return StoreError(f"{path}: the store answers {said}")
