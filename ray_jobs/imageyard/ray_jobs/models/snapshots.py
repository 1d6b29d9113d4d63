"""Where the folder of a transformers model is: at a path, in the models folder, in a bucket, or on Hugging Face."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models import table
from imageyard.ray_jobs.models.asking import is_path, refuse_odd_revision, unknown
from imageyard.ray_jobs.models.digests import compare, sha256
from imageyard.ray_jobs.models.hub import downloading

CONFIG = "config.json"
SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
SHAPING = (
    CONFIG,
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "chat_template.json",
    "chat_template.jinja",
)
"""The files, beside the weights, that decide what a model says."""

_FILES = f"{CONFIG}, {SAFE} and the tokenizer's files"
_URL = re.compile(r"[a-z0-9+]+://")

E = TypeVar("E", bound=table.Origin)


@dataclass(frozen=True)
class Snapshot(Generic[E]):
    """A model's folder on this machine."""

    name: str
    """The short name of the table, or the name of a folder that the table does not know."""
    folder: Path
    entry: E | None
    """None for a folder that the table does not know."""
    config: Mapping[str, Any]
    """Its config.json."""
    weights: tuple[str, ...]
    """The names of the files that hold weights, and of their index."""

    @property
    def model_type(self) -> str:
        """What transformers calls the architecture."""
        return str(self.config.get("model_type", ""))

    @property
    def safe(self) -> bool:
        """Whether the weights are safetensors; else they are pickles, of which only tensors are read."""
        return self.weights[0] in (SAFE, SAFE_INDEX)


def locate_snapshot(model: str, entries: Sequence[E], *, folder: Path) -> Snapshot[E]:
    """The folder of `model`, downloaded if this machine does not have it yet.

    `model` is a path to a folder as `save_pretrained` writes it (it has a slash, or starts with `.` or `~`), the URL
    of such a folder in a bucket, the name of such a folder in `folder`, or a name of `entries`; `name@revision` asks
    for one revision of its Hugging Face repository, which otherwise is the table's, or `main`. Downloads go to
    Hugging Face's own cache and obey its variables, HF_HUB_OFFLINE and HF_HOME among them; no code is downloaded.

    Raises ModelError: what was looked for, where, and what to do.
    """
    if _URL.match(model):
        from imageyard.ray_jobs.models.bucket import mirrored, name_of

        def copied(patterns: Sequence[str]) -> Path:
            return mirrored(model, folder, wanted=patterns)

        return _opened(model, name_of(model), _with_weights(copied), entries)
    stem, _, revision = model.partition("@")
    entry = table.named(stem, entries)
    if entry is None:
        return _of_a_folder(model, entries, folder)
    refuse_odd_revision(model, entry, revision)
    for name in (entry.name, *entry.names):
        place = folder / (f"{name}@{revision}" if revision else name)
        if "/" not in name and (place / CONFIG).is_file():
            return _opened(model, entry.name, place, entries)
    assert entry.repo is not None  # noqa: S101  # no transformers model is built here
    place = folder / (f"{entry.name}@{revision}" if revision else entry.name)
    return _opened(model, entry.name, _download(entry, revision or entry.revision or "main", place), entries)


def is_snapshot(place: Path) -> bool:
    """Whether `place` is a folder as `save_pretrained` writes it."""
    return (place / CONFIG).is_file()


def digest(snapshot: Snapshot[E]) -> dict[str, str]:
    """sha256 (hex) of what decides a model's words and numbers, by file name; taken once a process."""
    shaping = [snapshot.folder / name for name in (*SHAPING, *snapshot.weights)]
    return {path.name: _sha256(path) for path in shaping if path.is_file()}


def check(snapshot: Snapshot[E], planned: Mapping[str, str]) -> None:
    """Raises ModelError unless the files of `snapshot` are those whose digests were `planned`."""
    compare(snapshot.name, snapshot.folder, digest(snapshot), planned)


def _sha256(path: Path) -> str:
    about = path.stat()
    return _sha256_of(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256_of(path: Path, size: int, modified: int) -> str:
    """Weights are many gigabytes: a file is read again only if its size or time changed."""
    return sha256(path)


def _of_a_folder(model: str, entries: Sequence[E], folder: Path) -> Snapshot[E]:
    place = Path(model).expanduser() if is_path(model) else folder / model
    if model and (is_snapshot(place) or place.is_dir()):
        return _opened(model, place.resolve().name, place, entries)
    raise unknown(model, entries, folder, f"put {_FILES} into {place.absolute()}")


def _opened(model: str, name: str, place: Path, entries: Sequence[E]) -> Snapshot[E]:
    """The snapshot in `place`. Raises ModelError if it lacks its config or a file of its weights."""
    try:
        config = json.loads((place / CONFIG).read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{model}: there is no {CONFIG} in {place.absolute()}; put it there") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{place / CONFIG}: cannot be read ({error}); fetch it again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{place / CONFIG}: is not an object; fetch it again")
    entry = table.named(name, entries)
    return Snapshot(entry.name if entry else name, place, entry, config, _weights(model, place))


def _weights(model: str, place: Path) -> tuple[str, ...]:
    for one, index in ((SAFE, SAFE_INDEX), (PICKLED, PICKLED_INDEX)):
        if (place / one).is_file():
            return (one,)
        if (place / index).is_file():
            parts = tuple(sorted(set(_parts(place / index))))
            missing = [part for part in parts if not (place / part).is_file()]
            if missing:
                raise ModelError(
                    f"{model}: {place / index} names {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}, "
                    f"missing in {place.absolute()}; fetch what is missing"
                )
            return (index, *parts)
    raise ModelError(f"{model}: there is no {SAFE} and no {SAFE_INDEX} in {place.absolute()}; put the weights there")


def _parts(index: Path) -> Iterator[str]:
    try:
        for part in json.loads(index.read_bytes())["weight_map"].values():
            if "/" in part or "\\" in part or part.startswith("."):
                raise ModelError(f"{index}: {part!r} is not a file beside it; fetch the index again")
            yield part
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{index}: cannot be read ({error}); fetch it again") from error


def _download(entry: E, revision: str, place: Path) -> Path:
    """The snapshot in Hugging Face's cache."""
    with downloading(entry.name, str(entry.repo), revision, place=place, files=_FILES):
        from huggingface_hub import snapshot_download

        def get(patterns: Sequence[str]) -> Path:
            # No folders: they hold other formats of the same weights. `consolidated` is one too.
            ignored = ["*/*", "consolidated*"]
            found = snapshot_download(
                str(entry.repo), revision=revision, allow_patterns=list(patterns), ignore_patterns=ignored
            )
            return Path(found)

        return _with_weights(get)


def _with_weights(get: Callable[[Sequence[str]], Path]) -> Path:
    """What `get` gives for the patterns of a model: safetensors, or pickles where there are none."""
    found = get([*SHAPING, SAFE_INDEX, "model*.safetensors"])
    if any((found / name).is_file() for name in (SAFE, SAFE_INDEX)):
        return found
    return get([*SHAPING, PICKLED_INDEX, "pytorch_model*.bin"])
