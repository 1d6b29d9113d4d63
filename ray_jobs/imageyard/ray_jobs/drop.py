"""The drop folder as it lies: images, captions beside them, what waits, what was taken in already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from imageyard.manifests.dataset import listed
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs.work import Item, SideCaption

CAPTIONS = (".txt", ".caption")
"""Endings of side captions; the first wins where an image has both."""
OTHER_DATA = (".json", ".jsonl", ".csv", ".manifest", ".md", ".toml", ".yaml", ".yml", ".npz", ".part", ".tmp")
"""Endings of objects that people put beside images and that are no images themselves."""


@dataclass(frozen=True)
class Drop:
    """One look at the drop folder."""

    new: tuple[Item, ...]
    """Images that no version has taken in, by key."""
    taken: tuple[Entry, ...]
    """Objects that are inside the parent version already: their job ended before it could clear them away."""
    captions: tuple[SideCaption, ...]
    """Captions without an image in the drop folder; their image may have come earlier."""
    waiting: tuple[tuple[str, str], ...]
    """(key, why) of objects that are left where they are."""
    entries: Mapping[str, Entry]
    """Every object seen, by key."""


def look(store: Store, known: Callable[[], set[tuple[str, str]]]) -> Drop:
    """List the drop folder; `known` gives the (key, ETag) pairs that the parent has taken in, asked only if needed."""
    entries = {entry.key: entry for entry in listed(store.list("drop")) if not entry.key.endswith("/")}
    consumed = known() if entries else set()
    taken = tuple(entry for entry in entries.values() if (entry.key, entry.etag) in consumed)
    fresh = {key: entry for key, entry in entries.items() if (key, entry.etag) not in consumed}
    waiting: list[tuple[str, str]] = []
    images: list[Entry] = []
    texts: dict[str, Entry] = {}
    for key, entry in fresh.items():
        name = PurePosixPath(key).name.lower()
        if name.startswith("."):
            waiting.append((key, "a hidden file"))
        elif name.endswith(CAPTIONS):
            texts[key] = entry
        elif name.endswith(OTHER_DATA):
            waiting.append((key, "neither an image nor a caption"))
        else:
            images.append(entry)
    used: set[str] = set()
    items = []
    for entry in images:
        side = next((texts[key] for key in caption_keys(entry.key) if key in texts), None)
        if side is not None:
            used.add(side.key)
        caption = SideCaption(side.key, side.etag, side.size) if side is not None else None
        items.append(Item(entry.key, entry.size, entry.etag, caption=caption))
    loose = [SideCaption(e.key, e.etag, e.size) for key, e in texts.items() if key not in used]
    return Drop(tuple(items), taken, tuple(loose), tuple(waiting), entries)


def caption_keys(image: str) -> list[str]:
    """Keys at which the side caption of an image may lie."""
    return [stem(image) + ending for ending in CAPTIONS]


def stem(key: str) -> str:
    """A key without its ending: what an image and its caption have in common."""
    return key.rsplit(".", 1)[0] if "." in PurePosixPath(key).name else key
