"""Comparing: after images are measured and before anything is decided, what is new is compared with everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imageyard.manifests.store import Store
from imageyard.manifests.version import Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.engine import Engine
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.matching.base import Look
from imageyard.ray_jobs.matching.copies import Copies
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.steps.dedup import Dedup
from imageyard.ray_jobs.steps.overrides import foreign

if TYPE_CHECKING:
    from imageyard.ray_jobs.matching.against import Overlap
    from imageyard.ray_jobs.matching.index import Index

Say = Callable[..., None]


@dataclass(frozen=True)
class Compared:
    """What the decisions look up."""

    indexes: Mapping[str, Index]
    """By tier."""
    overlaps: Mapping[str, Sequence[Overlap]]
    """By version of another dataset."""
    runs: Mapping[str, tuple[str, ...]]
    """By index, what the new version names; an index that this recipe does not use is handed on."""


def compared(
    store: Store,
    recipe: Recipe,
    extractors: Mapping[str, Extractor],
    parent: Version | None,
    keys: Sequence[str],
    engine: Engine,
    say: Say,
) -> Compared:
    """Every matcher of the recipe applied to the images of `keys`, of which those that `parent` has are known.

    `say` is told of every index that grew, with the certificates of its searches. Raises ImageyardError.
    """
    matchers = [matcher for step in recipe.steps for matcher in step.matchers()]
    if not matchers:
        return Compared({}, {}, dict(parent.index) if parent else {})
    from imageyard.ray_jobs.matching.against import overlap
    from imageyard.ray_jobs.matching.index import updated

    def table(extractor: str, keys: Sequence[str], columns: Sequence[str]) -> Any:
        return facts.read(store, extractors[extractor].identity(), keys, columns)

    look = Look(table, lambda tasks, codes: engine.search(store, tasks, codes))
    indexes: dict[str, Index] = {}
    runs = dict(parent.index) if parent else {}
    for matcher in matchers:
        identity = matcher.identity(extractors)
        index = updated(store, matcher, identity, runs.get(identity, ()), keys, look)
        if index.added is not None:
            searches = [certificate.model_dump(mode="json") for certificate in index.added.certificates]
            new = {"images": len(index.added.keys), "pairs": len(index.added.first)}
            say("compared", tier=index.tier, images=len(index.keys), added=new, searches=searches)
        indexes[index.tier] = index
        if index.runs:
            runs[identity] = index.runs
    overlaps: dict[str, Sequence[Overlap]] = {}
    copies = next(matcher for matcher in matchers if isinstance(matcher, Copies))
    for step in recipe.steps:
        for url in step.against if isinstance(step, Dedup) else ():
            other, images = foreign(url)
            hashes = extractors[copies.source]
            overlaps[url] = overlap(indexes[copies.tier], copies, hashes, other.store, images, url, look.run)
    return Compared(indexes, overlaps, runs)
