"""Dedup: of images that are copies of each other, the best is kept and every other one names a kept witness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.facts import ERROR
from imageyard.ray_jobs.hamming import pairs_within
from imageyard.ray_jobs.origin import names_of
from imageyard.ray_jobs.state import CAPTION, ORIGIN, SPLIT, Rejection, State, World, class_of, unmeasured
from imageyard.ray_jobs.steps.base import Step

if TYPE_CHECKING:
    import numpy as np

LOSSLESS = ("png", "bmp", "tiff")
ALIKE = 0.75
"""Shares of real resolution from which two copies hold the same: saving at another quality moves it by a fifth."""
_PROBE = ("width", "height", "detail", "format", "jpeg_quality", "sharpness")


class Dedup(Step):
    """Near duplicates by PDQ; exact ones are one sample already, since images are named by their content."""

    kind: ClassVar[str] = "dedup"

    within: int = Field(default=31, ge=0, le=127)
    """Hamming bits of 256. 31 is Meta's threshold for copies."""
    min_quality: int = Field(default=50, ge=0, le=100)
    """PDQ quality below which an image is too featureless to be compared."""

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (Probe(), Hashes())

    def decide(self, state: State, world: World) -> State:
        """Quality-ordered greedy leader: every dropped image has a kept witness within the distance.

        No two kept ones are within it, except those that a person has put into different classes: an anomaly is
        no copy of a normal part, however alike they look. A component of the duplicate graph is a group, whatever
        of it is kept, so that a split can hold it together.
        """
        import numpy as np

        hashes = world.table(Hashes.name, state.keys, ["pdq", "pdq_quality"])
        errors, measured = hashes.column(ERROR).to_pylist(), hashes.column("pdq_quality").to_pylist()
        rejections = list(state.rejections)
        for row in state.standing:
            rejections[row] = unmeasured(self.kind, errors[row], measured[row])
        state = replace(state, rejections=rejections)
        quality = np.array([q if q is not None else -1 for q in measured])
        standing = np.array([row for row in state.standing if quality[row] >= self.min_quality], dtype=np.int64)
        codes = _codes(hashes.column("pdq"), standing)
        first, second, distances = pairs_within(codes, self.within)
        near: dict[int, list[tuple[int, int]]] = {}
        for a, b, d in zip(standing[first].tolist(), standing[second].tolist(), distances.tolist(), strict=True):
            near.setdefault(a, []).append((b, d))
            near.setdefault(b, []).append((a, d))
        groups = _components(len(state.keys), near)
        rank = _ranks(state, world, sorted(near), groups)
        classes = {row: class_of(state.samples[row]) for row in near}
        for row in sorted(near, key=rank.__getitem__):
            witnesses = [
                (rank[other], other, apart)
                for other, apart in near[row]
                if rank[other] < rank[row] and rejections[other] is None and _agree(classes[row], classes[other])
            ]
            if witnesses:
                _, witness, d = min(witnesses)
                rejections[row] = self._duplicate(state, witness, d)
        return replace(state, rejections=rejections, groups=groups)

    def _duplicate(self, state: State, witness: int, distance: int) -> Rejection:
        names = names_of(state.samples[witness])
        called = names[0] if names else state.keys[witness][:12]
        return Rejection(
            self.kind,
            "duplicate",
            f"{distance} of 256 bits from {called}, which is kept; copies differ by at most {self.within}",
            {"measured": distance, "threshold": self.within, "kept": state.keys[witness]},
        )


def _ranks(state: State, world: World, rows: list[int], groups: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """A total order inside each group, best first.

    Held-out splits, then a person's words, then content: real pixels before few, before many that hold no more
    (an upscale); then lossless, JPEG quality, sharpness, caption, first seen, and at last the key.
    """
    columns = world.columns(Probe.name, [state.keys[row] for row in rows], _PROBE)
    probe = {row: {name: columns[name][at] for name in _PROBE} for at, row in enumerate(rows)}
    extent = {row: math.sqrt((p["width"] or 0) * (p["height"] or 0)) * (p["detail"] or 1) for row, p in probe.items()}
    most: dict[int, float] = {}
    for row in rows:
        most[groups[row]] = max(most.get(groups[row], 0.0), extent[row])
    full = {row for row in rows if extent[row] >= ALIKE * most[groups[row]]}
    densest: dict[int, float] = {}
    for row in full:
        densest[groups[row]] = max(densest.get(groups[row], 0.0), probe[row]["detail"] or 1)
    ranks: dict[int, tuple[Any, ...]] = {}
    for row in rows:
        sample, facts = state.samples[row], probe[row]
        caption = sample.value(CAPTION)
        inflated = row in full and (facts["detail"] or 1) < ALIKE * densest[groups[row]]
        ranks[row] = (
            sample.value(SPLIT) not in ("test", "validation"),
            not _has_words(sample),
            (row not in full, 0.0 if row in full else -extent[row]),
            inflated,
            facts["format"] not in LOSSLESS,
            -(facts["jpeg_quality"] or 0),
            -(facts["sharpness"] or 0),
            -len(caption) if isinstance(caption, str) else 0,
            (sample.metadata(ORIGIN) or {}).get("creation-date", ""),
            state.keys[row],
        )
    return ranks


def _agree(one: str, other: str) -> bool:
    return one == other or not one or not other


def _has_words(sample: Sample) -> bool:
    """Whether a person has labelled or captioned the image."""
    return any((sample.metadata(name) or {}).get("human-annotated") == "yes" for name in sample.label_names)


def _codes(column: Any, rows: np.ndarray) -> np.ndarray:
    import numpy as np

    values = column.take(rows).to_pylist()
    return np.frombuffer(b"".join(values), dtype=">u8").astype(np.uint64).reshape(len(values), 4)


def _components(size: int, near: dict[int, list[tuple[int, int]]]) -> list[int]:
    """For every row the smallest row it is connected to: union-find, the smaller root wins."""
    parent = list(range(size))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for row, others in near.items():
        for other, _ in others:
            a, b = root(row), root(other)
            if a != b:
                parent[max(a, b)] = min(a, b)
    return [root(row) for row in range(size)]
