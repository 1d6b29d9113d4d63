"""A rehearsal: what a recipe would change in the words of the images there are, with nothing committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.diff import differing
from imageyard.manifests.errors import JobError, VersionError
from imageyard.manifests.sample import CONTENT, Json, Sample
from imageyard.manifests.version import ROLES
from imageyard.ray_jobs.compare import compared
from imageyard.ray_jobs.deciding import decided, taken_back, wanted
from imageyard.ray_jobs.edits.wording import attributes_of
from imageyard.ray_jobs.job import stamp
from imageyard.ray_jobs.origin import called
from imageyard.ray_jobs.plan import plan_known
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.run import Surroundings, steps_of
from imageyard.ray_jobs.state import REJECTION, TEXT, Rejection, Stamp, State, World
from imageyard.ray_jobs.work import Shard

WORDS = ("tags", "caption", TEXT)


@dataclass(frozen=True)
class Change:
    """One image whose words would change, or that would be taken out or in."""

    key: str
    name: str
    members: dict[str, tuple[Json, Json]]
    """Attributes of words that would say something else, with both values; None where there is nothing."""
    rejected: Rejection | None = None
    """Why it would be rejected, if it stands now."""


@dataclass(frozen=True)
class Rehearsal:
    """What would come of a recipe, without what lies in the drop folder."""

    version: int
    images: int
    changes: tuple[Change, ...]
    """In order of key."""


def rehearse(dataset: Dataset, recipe: Recipe, around: Surroundings) -> Rehearsal:
    """Decide as `recipe` would over the newest version, and tell the difference.

    It measures nothing and takes nothing in. Raises VersionError if there is no version, and JobError if an image
    lacks facts that the recipe needs.
    """
    parent = dataset.newest()
    if parent is None:
        raise VersionError(f"{dataset.url}: has no version yet, and a dry run only looks; run a recipe first")
    extractors = recipe.extractors(around.models)
    old = {sample.key: sample for role in ROLES for sample in dataset.read(parent, role)}
    samples, _ = taken_back(recipe, list(old.values()))
    at_once = {name: extractor for name, extractor in extractors.items() if not extractor.deferred}
    _refuse(plan_known(dataset.store, samples, at_once, len(samples) or 1), len(samples))
    keys = sorted(content for sample in samples if (content := sample.value(CONTENT)) is not None)
    found = compared(dataset.store, recipe, extractors, parent, keys, around.engine, lambda kind, **members: None)
    said = Stamp(f"imageyard/{recipe.job_name}", stamp(around.date or around.clock()))
    world = World(
        dataset.store, said, extractors, found.indexes, found.overlaps, steps_of(parent), models=around.models
    )
    state = decided(recipe, samples, [], [], replace(world, waiting=True))
    _refuse(wanted(recipe, state, world, lambda images: images or 1), len(samples))
    return Rehearsal(parent.number, len(samples), tuple(_changes(old, state)))


def _refuse(lacking: Sequence[Shard], images: int) -> None:
    """Raises JobError if anything is lacking."""
    if lacking:
        without = {item.id for shard in lacking for item in shard.items}
        names = sorted({extractor.name for shard in lacking for extractor in shard.extractors})
        raise JobError(
            f"{len(without):,} of {images:,} images have no {' and no '.join(names)} measured yet, and a dry run "
            "measures nothing; run the recipe without --dry-run: facts are kept, and `imageyard undo` takes back "
            "what it decides"
        )


def _changes(old: dict[str, Sample], state: State) -> Iterator[Change]:
    for key, sample, rejection in zip(state.keys, state.samples, state.rejections, strict=True):
        before = old[key]
        names = {*attributes_of(before, WORDS), *attributes_of(sample, WORDS)}
        members = {name: both for name, both in differing(before, sample).items() if name in names}
        falls = rejection if before.value(REJECTION) is None else None
        if members or falls:
            yield Change(key, called(sample), members, falls)
        before.forget()
        sample.forget()
