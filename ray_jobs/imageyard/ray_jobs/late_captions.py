"""Captions that come after their images: which picture each is for, and why some must wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from imageyard.manifests.errors import ChangedError, NotFoundError
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.ray_jobs.drop import stem
from imageyard.ray_jobs.fetch import read_caption
from imageyard.ray_jobs.origin import DROP, caption_name, captioned, held_names
from imageyard.ray_jobs.state import ORIGIN, State, World
from imageyard.ray_jobs.work import SideCaption

Waiting = tuple[tuple[str, str], ...]
"""(key, why) of objects left in the drop folder."""


@dataclass(frozen=True)
class LateCaption:
    """A caption that came after its image: the sample's key, the text, and the (key, ETag) of the object."""

    key: str
    text: str
    source: tuple[str, str]


def late_captions(
    store: Store, sides: Sequence[SideCaption], samples: Callable[[], Iterable[Sample]]
) -> tuple[list[LateCaption], Waiting]:
    """Captions whose images are among `samples`, asked for only if there are captions, and those that wait."""
    if not sides:
        return [], ()
    images = _by_stem(samples())
    found: list[LateCaption] = []
    waiting: list[tuple[str, str]] = []
    for side in sides:
        owners = images.get(stem(side.key), [])
        name = side.key.removeprefix(DROP)
        free = [owner for owner in owners if owner.caption in (None, name)]
        if not free:
            why = (
                f"the image has the caption of {owners[0].caption or 'a person'}"
                if owners
                else "its image has not come"
            )
            waiting.append((side.key, f"a caption, but {why}"))
            continue
        try:
            text = read_caption(store, side)
        except UnicodeError as error:
            waiting.append((side.key, f"a caption that cannot be read: {error}"))
            continue
        except (ChangedError, NotFoundError):
            continue
        if not text:
            waiting.append((side.key, "an empty caption"))
            continue
        found += [LateCaption(owner.key, text, (side.key, side.etag)) for owner in free]
    return found, tuple(waiting)


@dataclass(frozen=True)
class _Owner:
    """An image that a caption may be for: its key, and the name its caption came under, if it has one."""

    key: str
    caption: str | None


def _by_stem(samples: Iterable[Sample]) -> dict[str, list[_Owner]]:
    """By key without its ending, the images that came under it: of each full name the one that came last.

    The date decides only where versions of older releases do not say what superseded what.
    """
    newest: dict[str, tuple[str, str, str | None]] = {}
    for sample in samples:
        date = str((sample.metadata(ORIGIN) or {}).get("creation-date", ""))
        for name in held_names(sample):
            newest[name] = max(newest.get(name, ("", "", None)), (date, sample.key, caption_name(sample)), key=_order)
    owners: dict[str, dict[str, _Owner]] = {}
    for name, (_, key, caption) in newest.items():
        owners.setdefault(stem(DROP + name), {})[key] = _Owner(key, caption)
    return {common: [found[key] for key in sorted(found)] for common, found in owners.items()}


def _order(found: tuple[str, str, str | None]) -> tuple[str, str]:
    return found[:2]


def with_captions(state: State, late: Sequence[LateCaption], world: World) -> State:
    """The state in which the images have their late captions."""
    if not late:
        return state
    rows = {key: row for row, key in enumerate(state.keys)}
    samples = list(state.samples)
    for caption in late:
        row = rows[caption.key]
        samples[row] = captioned(samples[row], caption.text, caption.source, world.stamp).forget()
    return replace(state, samples=samples)
