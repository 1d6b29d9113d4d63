"""Tag: scores that a tagger once gave become tags, by thresholds and a blacklist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.tagger import Tagger
from imageyard.ray_jobs.state import MANY_LABELS, ONE_LABEL, RATING, TAGS, State, World, labelled, unmeasured
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.tag_text import Blacklist, spaced

GENERAL, CHARACTER, RATINGS = 0, 4, 9
"""Category codes of selected_tags.csv."""


class Tag(Step):
    """Tags of every sample that stands, from a WD14-contract tagger."""

    kind: ClassVar[str] = "tag"

    model: str = Field(min_length=1)
    """A name of the model table, or a folder with model.onnx and selected_tags.csv."""
    threshold: float | None = Field(default=None, ge=0)
    """Scores from here on are kept; unset, the model's own. 0.35 keeps 0.35."""
    character_threshold: float | None = Field(default=None, ge=0)
    """The same for characters; above 1 none are."""
    blacklist: tuple[str, ...] = Field(default=(), strict=False)
    """Tags never written: whole names in any spelling, or with wildcards such as `*_hair`."""
    max_tags: int | None = Field(default=None, ge=1)

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (self._tagger(models),)

    def _tagger(self, models: Path) -> Tagger:
        return _located(self.model, models)

    def decide(self, state: State, world: World) -> State:
        tagger = self._tagger(world.models)
        facts = world.columns(tagger, state.keys, ["index", "tag", "category", "score"])
        banned = Blacklist(self.blacklist)
        limits = self._limits(tagger)
        by = {"model": tagger.model, "extractor": tagger.identity()}
        samples, rejections = list(state.samples), list(state.rejections)
        for row in state.standing:
            rejections[row] = unmeasured(self.kind, facts["error"][row], facts["tag"][row])
            if rejections[row] is not None:
                continue
            scores = (round(score, 4) for score in facts["score"][row])  # as measured; float32 is a little off
            scored = list(zip(facts["index"][row], facts["tag"][row], facts["category"][row], scores, strict=True))
            sample = self._tagged(samples[row], self._chosen(scored, limits, banned), world, by)
            if tagger.has_rating:
                sample = self._rated(sample, [found for found in scored if found[2] == RATINGS], world, by)
            samples[row] = sample.forget()
        return replace(state, samples=samples, rejections=rejections)

    def _limits(self, tagger: Tagger) -> dict[int, float]:
        """The threshold of each category that has one of its own; that of the others is GENERAL's."""
        general = tagger.default_threshold if self.threshold is None else self.threshold
        own = tagger.default_character_threshold
        return {GENERAL: general, CHARACTER: own if self.character_threshold is None else self.character_threshold}

    def _chosen(
        self, scored: Sequence[tuple[Any, ...]], limits: Mapping[int, float], banned: Blacklist
    ) -> list[tuple[Any, ...]]:
        """(index, tag, category, score) of the tags to write, by falling score."""
        chosen = [
            found
            for found in scored
            if found[2] != RATINGS and found[3] >= limits.get(found[2], limits[GENERAL]) and found[1] not in banned
        ]
        chosen.sort(key=lambda found: (-found[3], found[1]))
        return chosen[: self.max_tags]

    def _tagged(self, sample: Sample, chosen: Sequence[tuple[Any, ...]], world: World, by: dict[str, Json]) -> Sample:
        metadata = world.stamp.metadata(
            MANY_LABELS,
            self.kind,
            **{
                "class-map": {str(index): spaced(tag) for index, tag, _, _ in chosen},
                "confidence-map": {str(index): score for index, _, _, score in chosen},
            },
            **by,
        )
        return labelled(sample, TAGS, [index for index, _, _, _ in chosen], metadata)

    def _rated(self, sample: Sample, ratings: Sequence[tuple[Any, ...]], world: World, by: dict[str, Json]) -> Sample:
        if not ratings:
            return sample
        index, name, _, score = max(ratings, key=lambda found: (found[3], -found[0]))
        said = {"class-name": name, "confidence": score}
        return labelled(sample, RATING, index, world.stamp.metadata(ONE_LABEL, self.kind, **said, **by))


@lru_cache(maxsize=8)
def _located(model: str, models: Path) -> Tagger:
    """Digests of model files are taken once a process."""
    return Tagger.locate(model, folder=models)
