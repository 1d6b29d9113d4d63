"""Opening a store: which storage client a URL means, how patient it is, and the credentials that are found for it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from obstore import exceptions as raised
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, from_url

from imageyard.manifests.errors import StoreError
from imageyard.manifests.s3_control import S3Control
from imageyard.manifests.store_errors import brief

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_SCHEMES = ("s3", "gs", "az", "file", "memory")
_MEMORY: dict[str, MemoryStore] = {}
"""What memory:// URLs name: the same for everybody in a process."""
_CLIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(seconds=60),
    "allow_http": True,
}
_PATIENT: RetryConfig = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
_HASTY: RetryConfig = {
    "max_retries": 1,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}


def opened(url: str, *, hasty: bool = False) -> tuple[ObjectStore, S3Control | None]:
    """The client for what lies below `url`, and on s3:// the control plane beside it.

    `hasty` gives up after seconds instead of a minute. Raises StoreError if it is no URL of a store, or cannot be
    opened.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreError(f"{url}: not a URL ({error})") from error
    if parts.scheme not in _SCHEMES:
        raise StoreError(f"{url}: not a URL of a store; it must begin with one of s3:// gs:// az:// file:// memory://")
    prefix = unquote(parts.path).strip("/")
    if any(segment in ("", ".", "..") for segment in prefix.split("/")) and prefix:
        raise StoreError(f"{url}: the path has an empty, '.' or '..' segment; write it without")
    retry = _HASTY if hasty else _PATIENT
    if parts.scheme == "memory":
        return _MEMORY.setdefault(f"{parts.netloc}/{prefix}", MemoryStore()), None
    if parts.scheme == "file":
        if parts.netloc:
            raise StoreError(f"{url}: a file URL has three slashes, such as file:///data/cats")
        folder = Path("/") / prefix
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{url}: the folder cannot be made ({error.strerror})") from error
        return LocalStore(folder), None
    if not parts.netloc:
        raise StoreError(f"{url}: no bucket; write {parts.scheme}://bucket/path")
    if not _BUCKET.fullmatch(parts.netloc):
        raise StoreError(f"{url}: {parts.netloc!r} is not the name of a bucket")
    if parts.scheme == "s3":
        control = S3Control.open(parts.netloc, prefix, url=url)
        return on_s3(control, retry), control
    try:
        backend = from_url(url, client_options=_CLIENT, retry_config=retry)
    except (raised.BaseError, ValueError) as error:
        raise StoreError(f"{url}: cannot be opened ({brief(error)}); check the account settings") from error
    assert isinstance(backend, GCSStore | AzureStore)  # noqa: S101  # by the scheme; for the type checker
    return backend, None


def on_s3(control: S3Control, retry: RetryConfig = _PATIENT) -> ObjectStore:
    """The client for the bucket and prefix of `control`, with the credentials of its session as they are renewed."""
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    return S3Store(
        control.bucket,
        prefix=control.prefix or None,
        credential_provider=Boto3CredentialProvider(control.session, ttl=timedelta(minutes=10)),
        region=control.session.region_name or "us-east-1",
        client_options=_CLIENT,
        retry_config=retry,
        **cast(Any, {"endpoint": control.endpoint} if control.endpoint else {}),
    )
