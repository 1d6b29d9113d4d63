"""What the taggers of a recipe say of each image: its rating, its tags, or that it is not safe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imageyard.manifests.errors import ModelError
from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.state import (
    KEEP,
    MANY_LABELS,
    ONE_LABEL,
    RATING,
    TAGS,
    Rejection,
    Stamp,
    State,
    by_person,
    labelled,
    unmeasured,
    verdict_of,
)
from imageyard.ray_jobs.tag_categories import RATING as RATINGS
from imageyard.ray_jobs.tagging.choosing import Scores
from imageyard.ray_jobs.tagging.decision import Decision, Draft
from imageyard.ray_jobs.tagging.existing import Existing, described, pieces_said, rating_said
from imageyard.ray_jobs.tagging.facts import TagFacts
from imageyard.ray_jobs.tagging.names import Label, Pick
from imageyard.ray_jobs.tagging.safety import said_unsafe, unsafe
from imageyard.ray_jobs.tagging.writing import pair_of


@dataclass(frozen=True)
class Images:
    """One decision over the images of one state."""

    step: str
    decision: Decision
    facts: Sequence[TagFacts]
    """Of each tagger."""
    rates: bool
    """Whether the ratings of the first tagger say something."""
    safe: float | None
    """The score of questionable and explicit together up to which an image is safe; None if none is judged."""
    existing: Existing
    stamp: Stamp
    by: Mapping[str, Json]
    """What the metadata says of the taggers."""

    def counted(self, state: State) -> tuple[Counter[str], int]:
        """In how many images that stand each tag is drafted, and how many images those are."""
        counts: Counter[str] = Counter()
        images = 0
        for row in state.standing:
            sample, scores = state.samples[row], self._scores(row)
            if self._refused(sample, row, scores) is None:
                images += 1
                if self._tags(sample):
                    counts.update(name.form for name, _ in self._draft(sample, scores).picks)
            sample.forget()
        return counts, images

    def tagged(
        self, sample: Sample, row: int, counts: Mapping[str, int], images: int
    ) -> tuple[Sample, Rejection | None]:
        """A sample with its rating and its tags, or with its rating and why it does not stand.

        `counts` and `images` are those of `counted`. What a person said stays. Raises ModelError if safety is asked
        for and there are no ratings.
        """
        scores = self._scores(row)
        refused = self._refused(sample, row, scores)
        rating = next(iter(self._ratings(scores)), None)
        tags = refused is None and self._tags(sample)
        draft = self._draft(sample, scores) if tags else Draft([])
        if refused is None and not tags and not by_person(sample, TAGS):
            sample = sample.without(TAGS)
        if rating is not None:
            sample = self._rated(sample, *rating)
        if tags:
            sample = self._written(sample, self.decision.finished(draft, counts, images), draft)
        return sample.forget(), refused

    def _scores(self, row: int) -> list[Scores]:
        return [facts.scores(row) for facts in self.facts]

    def _tags(self, sample: Sample) -> bool:
        """Whether a sample gets tags from here."""
        return not (by_person(sample, TAGS) or (self.existing == "skip" and described(sample)))

    def _draft(self, sample: Sample, scores: Sequence[Scores]) -> Draft:
        pieces = pieces_said(sample) if self.existing in ("append", "merge") else ()
        return self.decision.drafted(scores, pieces, rating_said(sample))

    def _ratings(self, scores: Sequence[Scores]) -> list[tuple[Label, float]]:
        return self.decision.choosers[0].ranked(scores[0], RATINGS) if self.rates else []

    def _refused(self, sample: Sample, row: int, scores: Sequence[Scores]) -> Rejection | None:
        """Why a sample does not stand: it could not be measured, or is not safe and no person wants it kept."""
        for facts in self.facts:
            error = unmeasured(self.step, facts.errors[row], facts.known(row))
            if error is not None:
                return error
        if self.safe is None or verdict_of(sample) == KEEP:
            return None
        said = rating_said(sample)
        if said is not None:
            return said_unsafe(self.step, said)
        ratings = {label.tag: score for label, score in self._ratings(scores)}
        if not ratings:
            raise ModelError(f"{self.by['model']}: it has no ratings, so sfw cannot judge; name a WD14 tagger first")
        return unsafe(self.step, ratings, self.safe)

    def _rated(self, sample: Sample, label: Label, score: float) -> Sample:
        metadata = self.stamp.metadata(
            ONE_LABEL, self.step, **{"class-name": label.tag, "confidence": score}, **self.by
        )
        return labelled(sample, RATING, label.index, metadata)

    def _written(self, sample: Sample, picks: Sequence[Pick], draft: Draft) -> Sample:
        value, members = pair_of(picks, draft.ruled_out)
        if self.existing in ("append", "merge") and any(name.said is not None for name, _ in picks):
            members["existing"] = self.existing
        return labelled(sample, TAGS, value, self.stamp.metadata(MANY_LABELS, self.step, **members, **self.by))
