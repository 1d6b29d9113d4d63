"""Downloading from Hugging Face: however it fails, one ModelError says why, and how to do without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from imageyard.manifests.errors import ModelError


@contextmanager
def downloading(name: str, repo: str, revision: str, *, place: Path, files: str) -> Iterator[None]:
    """What the block asks of Hugging Face's hub for the model `name`; `files` put into `place` would do instead.

    Raises ModelError if the hub's library is not installed, which is known before the block begins, or if the hub
    cannot be reached or lacks what is asked for.
    """

    def fail(error: Exception) -> NoReturn:
        said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise ModelError(
            f"{name}: not in {place.absolute()}, and {repo} at revision {revision} could not be downloaded "
            f"({said[:300]}); put {files} into that folder, or let this machine reach huggingface.co"
        ) from error

    try:
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
        from huggingface_hub.utils import logging as hub_logging
    except ImportError as error:
        fail(error)
    # HfHubHTTPError's first base is the HTTP client's own error, whichever client this release of the hub uses.
    transport = HfHubHTTPError.__mro__[1]
    assert issubclass(transport, Exception)  # noqa: S101
    # Its retries are not the reader's concern; that they failed is told above.
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the hub leaves it without types
    try:
        yield
    except (OSError, EntryNotFoundError, HFValidationError, transport) as error:
        fail(error)
