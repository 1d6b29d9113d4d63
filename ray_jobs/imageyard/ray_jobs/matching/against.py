"""What of this dataset is in another: copies, found by the hashes that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.manifests.errors import JobError
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.matching.binaries import rows_of
from imageyard.ray_jobs.matching.copies import Copies
from imageyard.ray_jobs.matching.index import Index
from imageyard.ray_jobs.matching.members import members
from imageyard.ray_jobs.search.pairs import find_pairs

if TYPE_CHECKING:
    from imageyard.manifests.store import Store
    from imageyard.ray_jobs.search.tasks import Run


@dataclass(frozen=True)
class Overlap:
    """An image of this dataset and the nearest of another."""

    key: str
    distance: int
    """Hamming bits of 256; 0 also for the same file."""
    other: str
    name: str
    """What the other is called there."""
    version: str
    """URL of the other dataset and number of the version, as `s3://bucket/eval@12`."""


def overlap(
    index: Index,
    matcher: Copies,
    hashes: Extractor,
    other: Store,
    images: Sequence[tuple[str, str]],
    version: str,
    run: Run | None,
) -> tuple[Overlap, ...]:
    """For every image of `index` that is a copy of one of `images`, (sha256, name) of another store, the nearest.

    In order of key. Raises JobError if the other's images have not been measured in the same way.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = [key for key, _ in images]
    table = facts.read(other, hashes.identity(), keys, [facts.KEY, *matcher.columns])
    lacking = table.column(facts.KEY).null_count
    if lacking:
        raise JobError(
            f"{version}: {lacking:,} of its {len(keys):,} images have no hashes that can be compared with this "
            "dataset's; run a recipe with a dedup step there, with this release, and then this one again"
        )
    found: dict[str, Overlap] = {}
    same = pc.index_in(index.keys, value_set=pa.array(keys, pa.large_string()))
    for place, at in enumerate(same.to_pylist()):
        if at is not None:
            key = index.keys[place].as_py()
            found[key] = Overlap(key, 0, keys[at], images[at][1], version)
    theirs = matcher.codes(table)
    known = np.flatnonzero(np.asarray(theirs.is_valid()))
    mine = np.flatnonzero(np.asarray(index.codes.is_valid()))
    if len(known) and len(mine):
        both = np.concatenate([rows_of(theirs.drop_null()), rows_of(index.codes.drop_null())]).view(np.uint64)
        pairs = find_pairs(both, matcher.within, fresh=len(known), across=True, mode=matcher.mode, run=run)
        first, second, distance = members(pairs, len(known), across=True)
        order = np.lexsort((first, distance, second))
        for at in order[np.unique(second[order], return_index=True)[1]].tolist():
            key = index.keys[int(mine[second[at] - len(known)])].as_py()
            there = int(known[first[at]])
            if key not in found:
                found[key] = Overlap(key, int(distance[at]), keys[there], images[there][1], version)
    return tuple(found[key] for key in sorted(found))
