"""Ranking: which of several copies is the best, by a list of criteria that a recipe may change."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, get_args

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.state import CAPTION, ORIGIN, SPLIT, VERDICT, State, World, by_person

Criterion = Literal[
    "held-out", "human", "pixels", "lossless", "quality", "sharpness", "caption", "first-seen",
    "-pixels", "-quality", "-sharpness", "-caption", "-first-seen",
]  # fmt: skip
"""A leading minus turns a criterion round."""
DEFAULT: tuple[Criterion, ...] = (
    "held-out", "human", "pixels", "lossless", "quality", "sharpness", "caption", "first-seen",
)  # fmt: skip
CRITERIA = get_args(Criterion)
BECAUSE = {
    "prefer": "the recipe prefers it",
    "held-out": "it is held out for test or validation",
    "human": "a person has labelled or captioned it",
    "pixels": "it holds more real pixels",
    "lossless": "it is saved without loss",
    "quality": "it is saved at a higher JPEG quality",
    "sharpness": "it is sharper",
    "caption": "its caption is longer",
    "first-seen": "it was there first",
    "-pixels": "it holds fewer real pixels",
    "-quality": "it is saved at a lower JPEG quality",
    "-sharpness": "it is less sharp",
    "-caption": "its caption is shorter",
    "-first-seen": "it came last",
    "sha256": "its sha256 is smaller",
}
LOSSLESS = ("png", "bmp", "tiff")
ALIKE = 0.75
"""Shares of real resolution from which two copies hold the same: saving at another quality moves it by a fifth."""
_PROBE = ("width", "height", "detail", "format", "jpeg_quality", "sharpness")

Rank = tuple[Any, ...]


def ranks(
    state: State,
    world: World,
    groups: Mapping[int, Collection[int]],
    criteria: Sequence[str],
    preferred: Collection[int],
) -> dict[int, Rank]:
    """By row a tuple that is smaller the better it is, one member a criterion: the recipe's preference, the criteria,
    then the key, so that no two are equal.

    Real pixels are compared within a group of `groups`: rows that hold ALIKE times the most of it hold the same, and
    of those the ones that are no enlargement come first.
    """
    rows = [row for members in groups.values() for row in members]
    columns = world.columns(Probe.name, [state.keys[row] for row in rows], _PROBE)
    probe = {row: {name: columns[name][at] for name in _PROBE} for at, row in enumerate(rows)}
    result: dict[int, Rank] = {}
    for members in groups.values():
        extent = {row: _extent(probe[row]) for row in members}
        full = {row for row in members if extent[row] >= ALIKE * max(extent.values())}
        densest = max(probe[row]["detail"] or 1 for row in full)
        for row in members:
            dense = (probe[row]["detail"] or 1) >= ALIKE * densest
            said = {
                **_said(state.samples[row], probe[row]),
                "pixels": (row in full and dense, row in full, 0.0 if row in full else extent[row]),
            }
            worth = [_turned(said[name.removeprefix("-")], name.startswith("-")) for name in criteria]
            result[row] = (row not in preferred, *worth, state.keys[row])
            state.samples[row].forget()
    return result


def because(better: Rank, worse: Rank, criteria: Sequence[str]) -> str:
    """The criterion that put one before the other."""
    names = ("prefer", *criteria, "sha256")
    return next(name for name, one, other in zip(names, better, worse, strict=True) if one != other)


def _extent(probe: Mapping[str, Any]) -> float:
    """Pixels of a side that hold something: an enlargement has no more of them than what it was made of."""
    return math.sqrt((probe["width"] or 0) * (probe["height"] or 0)) * (probe["detail"] or 1)


def _said(sample: Sample, probe: Mapping[str, Any]) -> dict[str, Any]:
    """What is larger the better it is, by criterion."""
    caption = sample.value(CAPTION)
    return {
        "held-out": sample.value(SPLIT) in ("test", "validation"),
        "human": any(by_person(sample, name) for name in sample.label_names if name != VERDICT),
        "lossless": probe["format"] in LOSSLESS,
        "quality": probe["jpeg_quality"] or 0,
        "sharpness": probe["sharpness"] or 0,
        "caption": len(caption) if isinstance(caption, str) else 0,
        "first-seen": _Earlier((sample.metadata(ORIGIN) or {}).get("creation-date", "")),
    }


def _turned(value: Any, round_: bool) -> Any:
    """`value` such that the smaller is the better."""
    if isinstance(value, tuple):
        return tuple(_turned(part, round_) for part in value)
    if isinstance(value, _Earlier):
        return _Later(value) if round_ else str(value)
    return value if round_ else -value


class _Earlier(str):
    """A date, of which the earlier is the better."""


class _Later(str):
    """A date, of which the later is the smaller."""

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)
