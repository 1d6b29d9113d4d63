"""What a storage client says went wrong, as an error of ours that names the object and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions as raised

from imageyard.manifests.errors import ChangedError, ExistsError, NotFoundError, StoreError

_NO_BUCKET = "there is no such bucket; create it, or correct the URL"


@contextmanager
def as_ours(where: str) -> Iterator[None]:
    """Raise what the client raises in the block as StoreError, or a subclass, about the object at the URL `where`."""
    try:
        yield
    except (raised.NotFoundError, FileNotFoundError) as error:
        if "NoSuchBucket" in str(error):
            raise StoreError(f"{where}: {_NO_BUCKET}") from error
        raise NotFoundError(f"{where}: there is no such object") from error
    except raised.AlreadyExistsError as error:
        raise ExistsError(f"{where}: already there") from error
    except raised.PreconditionError as error:
        raise ChangedError(f"{where}: changed since it was listed") from error
    except (raised.PermissionDeniedError, raised.UnauthenticatedError, PermissionError) as error:
        raise StoreError(
            f"{where}: permission denied ({brief(error)}); check the credentials and the policy"
        ) from error
    except (raised.BaseError, OSError) as error:
        raise StoreError(f"{where}: {_explained(error)}") from error


def brief(error: Exception) -> str:
    """The first telling line of a client's error; the rest repeats itself and may hold a signed URL."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__


def _explained(error: Exception) -> str:
    text = str(error)
    if "NoSuchBucket" in text:
        return _NO_BUCKET
    if any(sign in text for sign in ("403 Forbidden", "401 Unauthorized", "AccessDenied", "SignatureDoesNotMatch")):
        return "permission denied; check the credentials and the policy"
    if "error sending request" in text or "Connect" in text or "dns error" in text:
        return "the store cannot be reached; check the network and the endpoint URL"
    if "Read-only file system" in text or "Permission denied" in text:
        return "the folder cannot be written; check its owner and mode"
    return brief(error)
