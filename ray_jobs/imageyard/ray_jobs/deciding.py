"""Deciding: from what is known and measured to the state that a version records; nothing here reads a pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.edits.base import Edit
from imageyard.ray_jobs.edits.compose import Compose
from imageyard.ray_jobs.edits.trigger import Trigger
from imageyard.ray_jobs.edits.wording import unedited
from imageyard.ray_jobs.late_captions import LateCaption, with_captions
from imageyard.ray_jobs.plan import plan_known
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.state import CAPTION, KEEP, TAGS, TEXT, Rejection, State, World, undecided, verdict_of
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.steps.caption import Caption
from imageyard.ray_jobs.steps.dedup import Dedup
from imageyard.ray_jobs.steps.ingest import Ingest
from imageyard.ray_jobs.steps.merging import unmerged
from imageyard.ray_jobs.steps.tag import Tag
from imageyard.ray_jobs.work import Shard

MAKERS = (Ingest, Tag, Caption)
"""Steps that say what words an image has."""


def as_dropped(sample: Sample) -> Sample:
    """`sample` with the words that people gave it, before any merging or edit."""
    return unmerged(unedited(sample))


def taken_back(recipe: Recipe, samples: Sequence[Sample]) -> tuple[list[Sample], dict[str, Sample]]:
    """The samples without what this recipe decides anew, and by key those that changed by it, as they were.

    What was taken over from copies goes if there is a dedup step. A recipe that makes words takes back what recipes
    before it made of people's words, and a text that was composed of them; one of edits alone goes on from there.
    """
    makes = makes_words(recipe)
    edits = any(isinstance(step, Edit) for step in recipe.steps)
    merges = any(isinstance(step, Dedup) for step in recipe.steps)
    alone = []
    for sample in samples:
        one = unedited(sample) if makes else sample
        one = unmerged(one) if merges else one
        if makes and _by(one, TEXT, Compose):
            one = one.without(TEXT)
        if makes and _by(one, CAPTION, Trigger):
            one = one.without(CAPTION)
        alone.append(one)
    before = {one.key: other for one, other in zip(alone, samples, strict=True) if edits or one is not other}
    return alone, before


def _by(sample: Sample, attribute: str, step: type[Step]) -> bool:
    """Whether an attribute is there because such a step wrote it where there was nothing."""
    return (sample.metadata(attribute) or {}).get("step") == step.kind


def makes_words(recipe: Recipe) -> bool:
    """Whether a recipe says what words its images have, and so all that is made of them."""
    return any(isinstance(step, MAKERS) for step in recipe.steps)


def made_by(recipe: Recipe) -> frozenset[str]:
    """The attributes that a recipe writes on every image that it decides on, but where a person did."""
    captions = (step.into for step in recipe.steps if isinstance(step, Caption) and step.where is None)
    return frozenset([*(TAGS for step in recipe.steps if isinstance(step, Tag)), *captions])


def opened(recipe: Recipe, samples: Sequence[Sample], events: Sequence[Mapping[str, Any]], world: World) -> State:
    """Everything in, nothing decided but what earlier recipes decided and this one does not."""
    steps = {step.kind for step in recipe.steps}
    rows = sorted(((sample.key, *undecided(sample, steps)) for sample in samples), key=lambda row: row[0])
    state = State(
        keys=[key for key, _, _ in rows],
        samples=[sample.forget() for _, sample, _ in rows],
        rejections=[rejection for _, _, rejection in rows],
        groups=range(len(rows)),
    )
    ingest = next((step for step in recipe.steps if isinstance(step, Ingest)), None)
    return ingest.take_in(state, events, world) if ingest else state


def decided(
    recipe: Recipe,
    samples: Sequence[Sample],
    events: Sequence[Mapping[str, Any]],
    late: Sequence[LateCaption],
    world: World,
) -> State:
    """The state after all steps; a copy whose witness did not stand is no copy, and is decided on again.

    Then as if what fell otherwise had never been there; as that only grows, this ends. What a person wants kept stands
    after every step, unless it cannot be measured.
    """
    world = replace(world, by_hand=not makes_words(recipe), makes=made_by(recipe))
    state = with_captions(opened(recipe, samples, events, world), late, world)
    kept = [row for row, sample in enumerate(state.samples) if verdict_of(sample.forget()) == KEEP]
    steps = {step.kind for step in recipe.steps}
    for step in recipe.steps:
        state = step.claim(state, world)
    undone = state.samples
    while True:
        for step in recipe.steps:
            state = _overruled(step.decide(state, world), kept)
        standing = {state.keys[row] for row in state.standing}
        if all(witness is None or witness in standing for witness in map(_witness, state.rejections)):
            return state
        rejections = [None if _again(said, steps, standing) else said for said in state.rejections]
        state = replace(state, samples=undone, rejections=rejections)


def _overruled(state: State, kept: Sequence[int]) -> State:
    """The state in which the rows that a person wants kept stand, but for those that cannot be measured."""
    rejections = list(state.rejections)
    for row in kept:
        said = rejections[row]
        rejections[row] = said if said is not None and said.unread else None
    return replace(state, rejections=rejections) if kept else state


def wanted(recipe: Recipe, state: State, world: World, size: Callable[[int], int]) -> list[Shard]:
    """Shards of what the steps want of their deferred extractors, and is not there; `size` is for so many images."""
    shards: list[Shard] = []
    for step in recipe.steps:
        for extractor, rows in step.wants(state, world).items():
            samples = [state.samples[row] for row in rows]
            shards += plan_known(world.store, samples, {extractor.name: extractor}, size(len(samples)))
    return list(dict.fromkeys(shards))


def certified(recipe: Recipe, state: State, world: World) -> dict[str, dict[str, Json]]:
    """What the steps promise of the final state, by kind. Raises JobError if a promise does not hold."""
    found: dict[str, dict[str, Json]] = {}
    for step in recipe.steps:
        said = step.certify(state, world)
        if said:
            found.setdefault(step.kind, {}).update(said)
    return found


def _again(said: Rejection | None, steps: Set[str], standing: Set[str]) -> bool:
    """Whether a rejection for a kept image is open again: one of these `steps`, or one whose witness fell."""
    witness = _witness(said)
    return said is not None and witness is not None and (said.step in steps or witness not in standing)


def _witness(said: Rejection | None) -> Json:
    """The key of the image that is kept in place of a rejected one, if it was rejected for one."""
    return said.evidence.get("kept") if said is not None else None
