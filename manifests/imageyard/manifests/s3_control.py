"""boto3 beside the data plane: credentials, deletion on condition, and keys that only it can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from imageyard.manifests.errors import ChangedError, NotFoundError, StoreError


class Entry(NamedTuple):
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str
    modified: datetime


class Form(NamedTuple):
    """What a client sends as multipart/form-data, the file after the fields, to write one object."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class S3Control:
    """boto3 for what it is best at: credentials, deletion on condition, and keys the data plane cannot say."""

    bucket: str
    prefix: str
    client: Any
    session: Any

    @classmethod
    def open(cls, bucket: str, prefix: str, *, url: str) -> S3Control:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            session = boto3.Session()
            found = session.get_credentials()
            config = Config(
                retries={"max_attempts": 3, "mode": "standard"},
                connect_timeout=5,
                read_timeout=60,
                signature_version="s3v4",  # else it may sign as in version 2, which encrypted buckets refuse
            )
            client = session.client("s3", config=config)
            if _is_amazons(client):
                # Else what it signs names the bucket's global address, which sends who comes by a young bucket of
                # most regions elsewhere, where the signature is not good, and browsers do not follow with a form.
                client = session.client("s3", config=config.merge(Config(s3={"addressing_style": "virtual"})))
        except (BotoCoreError, ValueError) as error:
            raise StoreError(f"{url}: the AWS configuration cannot be used ({error})") from error
        if found is None:
            raise StoreError(
                f"{url}: no AWS credentials found; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or run `aws sso login`"
            )
        return cls(bucket, prefix, client, session)

    def below(self, folder: str) -> S3Control:
        """The same client and session for a folder of this prefix."""
        return replace(self, prefix=self._full(folder))

    @property
    def endpoint(self) -> str | None:
        """The endpoint URL where it is not one of Amazon's that the data plane finds by the region."""
        endpoint = str(self.client.meta.endpoint_url)
        return None if endpoint.endswith(".amazonaws.com") else endpoint

    def get(self, key: str, etag: str | None) -> bytes:
        with self._errors(key):
            condition = {"IfMatch": etag} if etag else {}
            found = self.client.get_object(Bucket=self.bucket, Key=self._full(key), **condition)
            return bytes(found["Body"].read())

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._errors(prefix):
            pages = self.client.get_paginator("list_objects_v2")
            start = self._full(prefix.rstrip("/") + "/") if prefix else self._full("")
            for page in pages.paginate(Bucket=self.bucket, Prefix=start):
                for found in page.get("Contents", ()):
                    key = found["Key"][len(self._full("")) :]
                    yield Entry(key, found["Size"], found["ETag"], found["LastModified"])

    def folders(self, prefix: str) -> Iterator[str]:
        with self._errors(prefix):
            pages = self.client.get_paginator("list_objects_v2")
            start = self._full(prefix.rstrip("/") + "/") if prefix else self._full("")
            for page in pages.paginate(Bucket=self.bucket, Prefix=start, Delimiter="/"):
                names = (found["Prefix"][len(start) :].rstrip("/") for found in page.get("CommonPrefixes", ()))
                yield from (name for name in names if name)

    def remove(self, entry: Entry) -> bool:
        from botocore.exceptions import ClientError

        try:
            with self._errors(entry.key):
                self.client.delete_object(Bucket=self.bucket, Key=self._full(entry.key), IfMatch=entry.etag)
        except (ChangedError, NotFoundError):
            return False
        except StoreError as error:
            cause = error.__cause__
            if not isinstance(cause, ClientError) or _status(cause) != 501:
                raise
            return self._remove_after_look(entry)
        return True

    def form(self, key: str, *, size: int, content_type: str, expires: timedelta) -> Form:
        """A presigned POST for exactly `key` and `size`; the client may name another subtype of `content_type`."""
        conditions: list[Any] = [
            ["content-length-range", size, size],
            ["starts-with", "$Content-Type", content_type.partition("/")[0] + "/"],
        ]
        with self._errors(key):
            signed = self.client.generate_presigned_post(
                self.bucket,
                self._full(key),
                Fields={"Content-Type": content_type},
                Conditions=conditions,
                ExpiresIn=int(expires.total_seconds()),
            )
        return Form(signed["url"], dict(signed["fields"]))

    def sign(self, key: str, *, expires: timedelta, filename: str) -> str:
        """A presigned GET whose answer asks a browser to save it as `filename`."""
        asked = {
            "Bucket": self.bucket,
            "Key": self._full(key),
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        with self._errors(key):
            return str(self.client.generate_presigned_url("get_object", asked, ExpiresIn=int(expires.total_seconds())))

    def _remove_after_look(self, entry: Entry) -> bool:
        """For servers without conditional deletion: a moment lies between the look and the deletion."""
        with self._errors(entry.key):
            if self.client.head_object(Bucket=self.bucket, Key=self._full(entry.key))["ETag"] != entry.etag:
                return False
            self.client.delete_object(Bucket=self.bucket, Key=self._full(entry.key))
        return True

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        where = f"s3://{self.bucket}/{self._full(key)}"
        try:
            yield
        except ClientError as error:
            status = _status(error)
            if status == 404:
                raise NotFoundError(f"{where}: there is no such object") from error
            if status in (409, 412):
                raise ChangedError(f"{where}: changed since it was listed") from error
            raise StoreError(f"{where}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"{where}: {error}") from error


def _is_amazons(client: Any) -> bool:
    """Whether a client speaks with Amazon's own S3."""
    return ".amazonaws." in str(client.meta.endpoint_url)


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
