"""s3:// by boto3, one try at a time: ranged requests, objects put whole, listings by the thousand.

Region, endpoint and credentials come from where boto3 looks for them (`AWS_*` in the environment, the files in ~/.aws,
the role of the machine) unless `S3Settings` names them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, BinaryIO

from pipelines.store.remote import PassingError, PerProcess, StoreError, bucket_and_key, gone, retried

PART_BYTES = 64 << 20
"""A larger object is put in parts of this size, so that a lost connection costs a part; of more than 10,000 parts, the
most that S3 takes, each is larger."""
MAX_PARTS = 10_000
DELETE_AT_ONCE = 1000
"""Most keys that S3 takes in one request."""
CONNECTIONS = 16
_PASSING_CODES = {"RequestTimeout", "SlowDown", "InternalError", "Throttling", "OperationAborted"}
_DENIED = {"ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefreshRequired"}


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """What Beam's options of the same names say; empty: what boto3 finds."""

    endpoint_url: str = ""
    region_name: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str = ""
    verify: str = ""
    """"false": certificates are not checked; or a file of them."""
    disable_ssl: bool = False


@cache
def _session() -> Any:
    """One session for all clients, also of forks: it holds the descriptions of S3, which take half a second to read."""
    import boto3

    return boto3.session.Session()


def prepare() -> None:
    """Reads what all clients need, without a request; for a process that will be forked."""
    _session().client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")


def _client(settings: S3Settings) -> Any:
    from botocore.config import Config

    unverified = settings.verify.lower() in ("false", "0", "no")
    return _session().client(
        "s3",
        endpoint_url=settings.endpoint_url or None,
        region_name=settings.region_name or None,
        aws_access_key_id=settings.access_key_id or None,
        aws_secret_access_key=settings.secret_access_key or None,
        aws_session_token=settings.session_token or None,
        use_ssl=not settings.disable_ssl,
        verify=False if unverified else settings.verify or None,
        config=Config(
            retries={"total_max_attempts": 1},  # `remote` tries again, also when a connection ends within a body
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=CONNECTIONS,
        ),
    )


_clients = PerProcess(_client)


class S3Store:
    """A `remote.Store`."""

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings

    def get(self, path: str, start: int, stop: int | None) -> tuple[bytes, int]:
        if stop is not None and stop <= start:
            return b"", start
        with self._asking(path) as (client, place):
            try:
                answer = client.get_object(**place, Range=f"bytes={start}-{'' if stop is None else stop - 1}")
            except client.exceptions.ClientError as error:
                if _status(error) == 416:  # nothing stands there: the object ends before, or is empty
                    return b"", min(start, client.head_object(**place)["ContentLength"])
                raise
            data = answer["Body"].read()
        if said := answer.get("ContentRange"):
            return data, int(said.rpartition("/")[2])
        return data[start:stop], answer["ContentLength"]  # a server that knows no ranges gave all

    def put(self, path: str, stream: BinaryIO, size: int) -> None:
        if size > PART_BYTES:
            self._put_parts(path, stream, size)
            return
        with self._asking(path) as (client, place):
            client.put_object(**place, Body=stream.read())

    def _put_parts(self, path: str, stream: BinaryIO, size: int) -> None:
        """The object appears when its last part is there and all are joined; if that fails the parts are removed."""
        part_bytes = max(PART_BYTES, -(-size // MAX_PARTS))
        with self._asking(path) as (client, place):
            upload = {**place, "UploadId": client.create_multipart_upload(**place)["UploadId"]}
        try:
            parts = []
            for number in range(1, -(-size // part_bytes) + 1):
                data = stream.read(part_bytes)
                parts.append({"PartNumber": number, "ETag": self._put_part(path, upload, number, data)})
            retried(path, "joining its parts", lambda: self._join(path, upload, parts, size))
        except BaseException:
            with suppress(PassingError, StoreError, FileNotFoundError), self._asking(path) as (client, _):
                client.abort_multipart_upload(**upload)
            raise

    def _put_part(self, path: str, upload: Mapping[str, str], number: int, data: bytes) -> str:
        def once() -> str:
            with self._asking(path) as (client, _):
                return str(client.upload_part(**upload, PartNumber=number, Body=data)["ETag"])

        return retried(path, f"writing part {number}", once)

    def _join(self, path: str, upload: Mapping[str, str], parts: list[dict[str, Any]], size: int) -> None:
        try:
            with self._asking(path) as (client, _):
                client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except FileNotFoundError:  # joined by a try whose answer was lost
            if self.size(path) != size:
                raise

    def size(self, path: str) -> int | None:
        try:
            with self._asking(path) as (client, place):
                return int(client.head_object(**place)["ContentLength"])
        except FileNotFoundError:
            return None

    def list_names(self, path: str) -> Iterator[str]:
        bucket, prefix = bucket_and_key(path)
        more: dict[str, str] = {}

        def page() -> Any:
            with self._asking(path) as (client, _):
                return client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)

        while True:
            answer = retried(path, "listing", page)
            yield from (f"s3://{bucket}/{entry['Key']}" for entry in answer.get("Contents", ()))
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def delete(self, paths: Sequence[str]) -> None:
        for begin in range(0, len(paths), DELETE_AT_ONCE):
            some = paths[begin : begin + DELETE_AT_ONCE]
            retried(some[0], "deleting", partial(self._delete, some))

    def _delete(self, paths: Sequence[str]) -> None:
        keys = [{"Key": bucket_and_key(path)[1]} for path in paths]
        with self._asking(paths[0]) as (client, place):
            answer = client.delete_objects(Bucket=place["Bucket"], Delete={"Objects": keys, "Quiet": True})
        for refused in answer.get("Errors", ()):
            if refused["Code"] in _PASSING_CODES:
                raise PassingError(f"{refused['Key']}: {refused['Code']}")
            raise StoreError(f"s3://{place['Bucket']}/{refused['Key']}: cannot be deleted: {refused['Code']}")

    @contextmanager
    def _asking(self, path: str) -> Iterator[tuple[Any, dict[str, str]]]:
        """The client and the place of an object; what the block raises becomes one of the errors of a store."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
            IncompleteReadError,
            NoCredentialsError,
            NoRegionError,
            PartialCredentialsError,
        )

        bucket, key = bucket_and_key(path)
        try:
            yield _clients.of(self.settings), {"Bucket": bucket, "Key": key}
        except ClientError as error:
            raise _meaning(path, error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StoreError(
                f"{path}: no credentials for S3; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or "
                "give the machine a role that may use the bucket"
            ) from error
        except NoRegionError as error:
            raise StoreError(f"{path}: no region for S3; set AWS_REGION, or give -- --s3_region_name=...") from error
        except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
            raise PassingError(str(error)) from error
        except BotoCoreError as error:
            raise StoreError(f"{path}: {error}") from error
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise PassingError(repr(error)) from error


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _meaning(path: str, error: Any) -> Exception:
    """What an answer of S3 that is an error means for who asked."""
    status, code = _status(error), str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", "")) or code
    if status >= 500 or status in (408, 429) or code in _PASSING_CODES:
        return PassingError(f"{status} {code}: {said}")
    if code == "NoSuchBucket":
        return gone(path, "bucket")
    if status == 404:
        return gone(path)
    if status in (401, 403) or code in _DENIED:
        return StoreError(
            f"{path}: the store refuses access ({status} {code}: {said}); check the credentials (AWS_ACCESS_KEY_ID, "
            "AWS_PROFILE or the machine's role), and that they may list, read, write and delete there"
        )
    if status == 301 or code in ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
        return StoreError(f"{path}: the bucket is in another region ({said}); set AWS_REGION to it")
    return StoreError(f"{path}: the store answers {status} {code}: {said}")
