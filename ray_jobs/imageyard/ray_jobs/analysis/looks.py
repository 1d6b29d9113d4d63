"""How many different looks a set has, and which images look unlike the rest, by embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.version import Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.analysis.affected import NAMES, Affected

if TYPE_CHECKING:
    import numpy as np

EXTRACTOR = "embedding"
SAME = 0.9
"""Cosine from which two images are one look, which is what dedup's semantic tier flags unless told otherwise."""
MOST = 20_000
"""Images that are looked at; of a larger set evenly spread ones are."""
LEAST_OUTLIERS = 10
"""Of fewer images than these none is called an outlier."""
BLOCK = 512
DEVIATIONS = 3


@dataclass(frozen=True)
class Outlier:
    """An image that looks unlike the set."""

    name: str
    distance: float
    """1 - cosine to the mean of the set."""


@dataclass(frozen=True)
class Looks:
    """How many different looks there are, by embeddings."""

    extractor: str
    """The extractor whose facts were read, such as `embedding`."""
    images: int
    """Images that have a vector and were looked at."""
    threshold: float
    """Images whose cosine to the first of a look is at least this belong to it."""
    clusters: int
    """Different looks: the effective size of the set."""
    sizes: tuple[int, ...]
    """Images of the largest looks, falling; at most 20."""
    largest_share: float
    """Of the largest, of `images`."""
    largest: Affected
    """The images of the largest."""
    limit: float
    """The distance beyond which an image is an outlier: mean + 3 standard deviations."""
    outliers: tuple[Outlier, ...]
    """The farthest first; at most 20."""


def looks(dataset: Dataset, version: Version, images: Sequence[tuple[str, str]], *, same: float = SAME) -> Looks | None:
    """The looks of `images`, (key, name); None if the version has no embeddings of any of them."""
    identity = version.extractors.get(EXTRACTOR)
    if identity is None or not images:
        return None
    from imageyard.ray_jobs.extractors.embedding import vectors

    step = -(-len(images) // MOST)
    chosen = images[::step]
    stored = facts.read(dataset.store, identity, [key for key, _ in chosen], ["vector"]).column("vector").to_pylist()
    names = [name for (_, name), vector in zip(chosen, stored, strict=True) if vector is not None]
    if not names:
        return None
    return looks_of(vectors([vector for vector in stored if vector is not None]), names, same=same)


def looks_of(found: np.ndarray, names: Sequence[str], *, same: float = SAME) -> Looks:
    """The looks of vectors, float32 of shape (n, dimensions), n > 0, each of length 1; `names` are theirs."""
    import numpy as np

    leader = leaders(found, same)
    _, firsts, counts = np.unique(leader, return_index=True, return_counts=True)
    order = np.lexsort((firsts, -counts))
    biggest = leader[firsts[order[0]]]
    members = np.flatnonzero(leader == biggest)
    distance = _distances(found)
    limit = float(distance.mean() + DEVIATIONS * distance.std())
    far = [row for row in np.argsort(-distance, kind="stable") if distance[row] > limit]
    return Looks(
        extractor=EXTRACTOR,
        images=len(found),
        threshold=same,
        clusters=len(counts),
        sizes=tuple(int(count) for count in counts[order][:NAMES]),
        largest_share=len(members) / len(found),
        largest=Affected(len(members), tuple(names[row] for row in members[:NAMES])),
        limit=round(limit, 4),
        outliers=tuple(Outlier(names[row], round(float(distance[row]), 4)) for row in far[:NAMES])
        if len(found) >= LEAST_OUTLIERS
        else (),
    )


def leaders(found: np.ndarray, same: float) -> np.ndarray:
    """The row of each vector's leader, int64 of shape (n,); a leader's own row is its own.

    Greedy: rows in order, each joins the nearest leader before it whose cosine is at least `same`, else it leads.
    Cosines are rounded to four decimals, as facts are, so that machines agree. A block of rows is compared with all
    leaders at once: 10,000 vectors of 512 numbers take some seconds if all are different, less if not.
    """
    import numpy as np

    leader = np.arange(len(found), dtype=np.int64)
    leading = np.empty(0, np.int64)
    for start in range(0, len(found), BLOCK):
        block = found[start : start + BLOCK]
        near = np.full(len(block), -1.0)
        if len(leading):
            cosine = np.round(block @ found[leading].T, 4)
            best = cosine.argmax(axis=1)
            near = cosine[np.arange(len(block)), best]
            joined = near >= same
            leader[start : start + len(block)][joined] = leading[best[joined]]
        inside = np.round(block @ block.T, 4)
        fresh: list[int] = []
        for row in range(len(block)):
            if fresh:
                closest = fresh[int(inside[row, fresh].argmax())]
                if inside[row, closest] >= same and inside[row, closest] > near[row]:
                    leader[start + row] = start + closest
                    continue
            if near[row] < same:
                fresh.append(row)
        leading = np.concatenate([leading, np.array(fresh, np.int64) + start])
    return leader


def _distances(found: np.ndarray) -> np.ndarray:
    """1 - cosine to the mean, float64 of shape (n,), rounded to six decimals; 1 where the mean is nothing."""
    import numpy as np

    mean = found.astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-9:
        return np.ones(len(found))
    return np.asarray(np.round(1 - found @ (mean / length), 6))
