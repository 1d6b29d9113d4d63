"""Which images look like one: a search by the embeddings that a recipe has had measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import VersionError
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.analysis.looks import EXTRACTOR
from imageyard.ray_jobs.origin import called


@dataclass(frozen=True)
class Likeness:
    """An image, and how much it looks like the one that was asked about."""

    key: str
    name: str
    similarity: float
    """Cosine of the two embeddings, rounded to four decimals, as machines agree on it."""


def similar(
    dataset: Dataset, version: Version, image: Sample, samples: Iterable[Sample], *, most: int
) -> list[Likeness]:
    """The `most` of `samples` that look most like `image`, which is none of them: by falling similarity, then by key.

    Raises VersionError if there is no embedding of the image; images without one are left out.
    """
    import numpy as np

    from imageyard.ray_jobs.extractors.embedding import vectors

    identity = version.extractors.get(EXTRACTOR)
    names = {sample.key: called(sample) for sample in samples if sample.key != image.key}
    keys = [image.key, *sorted(names)]
    table = facts.read(dataset.store, identity, keys, ["vector"]) if identity is not None else None
    column = table.column("vector") if table is not None else None
    if column is None or not column[0].is_valid:
        raise VersionError(
            f"{dataset.url}: version {version.number} has no embedding of {called(image)}; a recipe with "
            "`dedup: {semantic: clip-vit-b-32}`, or another embedding model, measures them"
        )
    there = [row for row, value in enumerate(column) if value.is_valid]
    found = vectors([column[row].as_py() for row in there])
    cosines = np.round(found[1:] @ found[0], 4)
    nearest = np.argsort(-cosines, kind="stable")[:most]
    likely = ((keys[there[int(at) + 1]], float(cosines[at])) for at in nearest)
    return [Likeness(key, names[key], round(cosine, 4)) for key, cosine in likely]
