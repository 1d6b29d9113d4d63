"""Dedup: of images that are alike, the best is kept and every other one names a kept witness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.edges import TIERS, Edges, Leader
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.embedding import Embedding
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.facts import ERROR
from imageyard.ray_jobs.matching.base import Matcher
from imageyard.ray_jobs.matching.copies import COPY_BITS, Copies, EqualPixels, Mirrored
from imageyard.ray_jobs.matching.semantic import Likenesses
from imageyard.ray_jobs.matching.variants import Variants
from imageyard.ray_jobs.origin import called_briefly
from imageyard.ray_jobs.search.scheme import Mode
from imageyard.ray_jobs.state import Rejection, State, World, class_of, unmeasured
from imageyard.ray_jobs.steps import dedup_audit, flags, overrides
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.steps.merging import merged
from imageyard.ray_jobs.steps.ranking import BECAUSE, CRITERIA, DEFAULT, Criterion, because, ranks

if TYPE_CHECKING:
    import numpy as np

Action = Literal["drop", "flag", "off"]
PROPOSED = 10
"""Hamming bits of 64 up to which two pHashes propose a variant,"""
PART = 8
"""and up to which the pHash of a part of one does: tests/bench/transformations.py has the recall of each."""
LOOSEST = 0.8
"""Agreement that is measured and remembered; what a recipe asks for lies above."""
UNITS = {
    "pixels": "the same pixels as {other}",
    "copy": "{distance:g} of 256 bits from {other}",
    "variant": "{agree:.2f} agreement with {other}",
    "mirrored": "{distance:g} of 256 bits from {other} turned or mirrored",
}


class Dedup(Step):
    """Duplicates in five tiers; exact ones are one sample already, since images are named by their content."""

    kind: ClassVar[str] = "dedup"

    within: int = Field(default=COPY_BITS, ge=0, le=127)
    """Hamming bits of 256 up to which PDQ codes are copies; 31 is Meta's threshold."""
    min_quality: int = Field(default=50, ge=0, le=100)
    """PDQ quality below which an image is too featureless to be compared."""
    variant: Action = "flag"
    """What becomes of crops, frames, texts and tones of a picture. Flagged ones stay, and stay in one split.

    Shots of one scene from one place are as much alike as a picture and its crop: drop only where there are none.
    """
    mirrored: Action = "flag"
    semantic: str | None = Field(default=None, min_length=1)
    """A model of embeddings by which likenesses are flagged, a name or a folder; none are if unset."""
    similarity: float = Field(default=0.9, gt=0, le=1)
    """Cosine from which two embeddings are a likeness."""
    agreement: float = Field(default=0.95, ge=LOOSEST, le=1)
    """Agreement of small pictures from which a proposed pair is a variant.

    Among pictures of different scenes 0.9 finds more and is as sure; shots from one place reach 0.96.
    """
    rank: tuple[Criterion, ...] = Field(default=DEFAULT, strict=False)
    """Which of several is kept: criteria, the most important first."""
    prefer: tuple[str, ...] = Field(default=(), strict=False)
    """Images that are kept before all others, by a name they were dropped under or the beginning of their sha256."""
    keep_both: tuple[tuple[str, str], ...] = Field(default=(), strict=False)
    """Pairs of images that a person says are no copies."""
    merge: tuple[Literal["caption", "labels", "tags"], ...] = Field(default=("caption", "labels", "tags"), strict=False)
    """What the kept one takes over of what people said about its copies."""
    against: tuple[str, ...] = Field(default=(), strict=False)
    """Versions of other datasets, as `s3://bucket/eval@12`, whose images are not to be in this one."""
    contamination: Literal["drop", "flag"] = "drop"
    """What becomes of an image that is in one of them."""
    search: Mode = "auto"
    """How pairs are found: by size, or `exact`, `banded`, `lsh`, `all`."""

    @field_validator("keep_both", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if isinstance(value, list) and all(isinstance(pair, list) for pair in value):
            return tuple(tuple(pair) for pair in value)
        return value

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for url in self.against:
            overrides.parsed_version(url)
        twice = [name for name, count in Counter(one.removeprefix("-") for one in self.rank).items() if count > 1]
        if twice:
            raise ValueError(f"rank names {twice[0]} twice; it knows {', '.join(CRITERIA)}")
        return self

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        if self.semantic is None:
            return (Probe(), Hashes())
        return (Probe(), Hashes(), Embedding.locate(self.semantic, folder=models))

    def matchers(self) -> tuple[Matcher, ...]:
        """Distances up to COPY_BITS are remembered, so a smaller `within` compares nothing anew."""
        how = {"min_quality": self.min_quality, "mode": self.search}
        found: list[Matcher] = [EqualPixels(), Copies(within=max(self.within, COPY_BITS), **how)]
        if self.variant != "off":
            found.append(Variants(whole=PROPOSED, part=PART, agree=LOOSEST, **how))
        if self.mirrored != "off":
            found.append(Mirrored(within=max(self.within, COPY_BITS), **how))
        if self.semantic is not None:
            found.append(Likenesses(similarity=self.similarity))
        return tuple(found)

    @property
    def dropping(self) -> tuple[str, ...]:
        """The tiers by which images are dropped."""
        actions = {"pixels": "drop", "copy": "drop", "variant": self.variant, "mirrored": self.mirrored}
        return tuple(tier for tier, action in actions.items() if action == "drop")

    def threshold(self, tier: str) -> float:
        """The largest distance of a pair of the tier, in its own unit."""
        most = {"pixels": 0.0, "variant": round(1 - self.agreement, 4), "semantic": round(1 - self.similarity, 4)}
        return most.get(tier, float(self.within))

    def decide(self, state: State, world: World) -> State:
        """Quality-ordered greedy leader: every dropped image has a kept witness that is alike.

        No two kept ones are alike, except those that a person has put into different classes (an anomaly is no copy
        of a normal part, however alike they look), has said to keep both, or wants kept whatever is decided. What is
        connected, by any tier but the semantic, is a group, whatever of it is kept, so that a split can hold it
        together.
        """
        import numpy as np

        rejections = list(state.rejections)
        compared = world.indexes[Copies.tier].layer(state.keys).node >= 0
        rows = [row for row in state.standing if not compared[row]]
        hashes = world.columns(Hashes.name, [state.keys[row] for row in rows], ["pdq_quality"])
        for row, error, quality in zip(rows, hashes[ERROR], hashes["pdq_quality"], strict=True):
            rejections[row] = unmeasured(self.kind, error, quality)
        state = overrides.outside(self, replace(state, rejections=rejections), world)
        rejections = list(state.rejections)
        standing = np.array([rejection is None for rejection in rejections], bool)
        edges = self._edges(state, world).only(standing)
        groups = edges.of_tiers(TIERS[:-1]).components()
        state = replace(state, edges=edges, groups=groups.tolist())
        leaders = self._leaders(state, world, edges.of_tiers(self.dropping))
        copies: dict[int, list[int]] = {}
        for row, (leader, why) in leaders.items():
            rejections[row] = self._duplicate(state, leader, why)
            copies.setdefault(leader.witness, []).append(row)
        samples = list(state.samples)
        for witness, rows in copies.items():
            samples[witness] = merged(samples[witness], [samples[row] for row in rows], self.merge).forget()
        state = replace(state, rejections=rejections, samples=samples)
        return flags.flagged(self, state, world)

    def certify(self, state: State, world: World) -> Mapping[str, Json]:
        return dedup_audit.certificate(self, state, world)

    def kinds(self, state: State, rows: Sequence[int]) -> np.ndarray:
        """A number for each class that people gave, -1 for none: int64 of shape (samples,), known for `rows` alone."""
        import numpy as np

        kinds, numbers = np.full(len(state.keys), -1, np.int64), dict[str, int]()
        for row in rows:
            said = class_of(state.samples[row])
            if said:
                kinds[row] = numbers.setdefault(said, len(numbers))
            state.samples[row].forget()
        return kinds

    def _edges(self, state: State, world: World) -> Edges:
        layers = []
        for tier in TIERS:
            if tier in world.indexes:
                layer = world.indexes[tier].layer(state.keys)
                layers.append(layer.select(layer.distance <= self.threshold(tier)))
        return Edges(len(state.keys), tuple(layers))

    def _leaders(self, state: State, world: World, edges: Edges) -> dict[int, tuple[Leader, str]]:
        """For every row to drop, the best first, its witness and the criterion that put that one before it."""
        import numpy as np

        component = edges.components()
        size = np.bincount(component, minlength=1)
        related = np.flatnonzero((size[component] > 1) & [rejection is None for rejection in state.rejections])
        groups: dict[int, list[int]] = {}
        for row in related.tolist():
            groups.setdefault(int(component[row]), []).append(row)
        groups = {first: rows for first, rows in groups.items() if len(rows) > 1}
        named = overrides.named(self, state)
        rank = ranks(state, world, groups, self.rank, named.preferred)
        order = np.array(sorted(rank, key=rank.__getitem__), np.int64)
        place = {row: at for at, row in enumerate(order.tolist())}
        apart = [*named.apart, *overrides.spared(edges, overrides.kept(state), place)]
        leaders = edges.leaders(order, self.kinds(state, order.tolist()), apart)
        return {
            row: (leaders[row], because(rank[leaders[row].witness], rank[row], self.rank))
            for row in order.tolist()
            if row in leaders
        }

    def _duplicate(self, state: State, leader: Leader, why: str) -> Rejection:
        other = called_briefly(state.samples[leader.witness])
        apart = UNITS[leader.tier].format(other=other, distance=leader.distance, agree=1 - leader.distance)
        integral = leader.tier in ("copy", "mirrored", "pixels")
        return Rejection(
            self.kind,
            "duplicate" if leader.tier in ("copy", "pixels") else leader.tier,
            f"{apart}, which is kept because {BECAUSE[why]}",
            {
                "tier": leader.tier,
                "measured": int(leader.distance) if integral else round(leader.distance, 4),
                "threshold": int(self.threshold(leader.tier)) if integral else self.threshold(leader.tier),
                "kept": state.keys[leader.witness],
                "because": why,
            },
        )
