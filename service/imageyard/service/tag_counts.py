"""The numbers of the tags of a version, of so many of its images as are counted in a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import Version
from imageyard.ray_jobs.analysis.tag_numbers import Source, tag_numbers
from imageyard.ray_jobs.summary_numbers import triggers_of
from imageyard.service.sample_pages import Asked, page

COUNTED = 5_000
"""Images."""
READ = 32 * 1024 * 1024
"""Bytes of lines that are looked through for images that meet a condition."""


@dataclass(frozen=True)
class TagsAsked:
    """Which tags of which samples."""

    samples: Asked
    source: Source | None = None
    triggers: tuple[str, ...] = ()
    top: int = 100


def tags_told(dataset: Dataset, version: Version, asked: TagsAsked, chunks: Chunks) -> dict[str, Any]:
    """What `imageyard tags --json` says, of at most COUNTED images, and how many there were to choose from.

    Images stand in order of their sha256, which has nothing to do with what they show: the first of each role are as
    good as drawn by lot. Raises RecipeError for a condition that is not understood.
    """
    entries = {role: version.manifests[role] for role in asked.samples.roles if role in version.manifests}
    whole = sum(entry.lines for entry in entries.values())
    size = sum(entry.bytes for entry in entries.values())
    lines: list[Sample] = []
    partly = False
    for role, entry in entries.items():
        wanted = -(-COUNTED * entry.lines // whole) if whole > COUNTED else entry.lines
        found = page(
            dataset.store,
            version,
            Asked((role,), asked.samples.where),
            cursor=None,
            most=wanted,
            chunks=chunks,
            budget=max(1, READ * entry.bytes // max(size, 1)),
        )
        lines += [sample for _, sample in found.samples]
        partly = partly or found.following is not None

    def samples() -> Iterator[Sample]:
        for sample in lines:
            yield sample
            sample.forget()

    triggers = asked.triggers or triggers_of(version, samples())
    told = asdict(tag_numbers(samples, source=asked.source, triggers=triggers))
    for name in ("tags", "rare", "always", "near", "conflicts"):
        told[name] = told[name][: asked.top]
    del told["matrix"]
    return {"of": whole, "partly": partly, **told}
