"""Planning: images wanted, minus facts present, is the work to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from imageyard.manifests.sample import CONTENT, Sample
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts, ingest_facts
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.work import Item, Shard

LARGEST = 512
SMALLEST = 8
WHOLE = 32
"""Larger shards are so many whole times: a GPU's batch, of which a shard's last is as dear as a full one."""


def shard_size(images: int, parallel: int) -> int:
    """Images a shard: a few shards for each worker, within bounds. It changes the speed, never the result."""
    size = max(SMALLEST, min(LARGEST, images // (4 * parallel)))
    return size if size < WHOLE else size - size % WHOLE


def _most(size: int, extractors: Iterable[Extractor]) -> int:
    """Images of a shard of `extractors`, `size` or fewer."""
    return min([size, *(extractor.most_a_shard for extractor in extractors if extractor.most_a_shard is not None)])


def plan_new(store: Store, new: Sequence[Item], extractors: Mapping[str, Extractor], size: int) -> list[Shard]:
    """Shards of the drop objects that have not been taken in by an interrupted run.

    Whole shards of that run disappear from the same list, so what is left has the same names.
    """
    if not new:
        return []
    done = facts.present(store, ingest_facts.IDENTITY)
    wanted = tuple(extractors.values())
    size = _most(size, wanted)
    shards = []
    for start in range(0, len(new), size):
        items = tuple(item for item in new[start : start + size] if item.id not in done)
        if items:
            shards.append(Shard(items, wanted))
    return shards


def plan_known(
    store: Store,
    samples: Iterable[Sample],
    extractors: Mapping[str, Extractor],
    size: int,
    *,
    also: Iterable[Item] = (),
) -> list[Shard]:
    """Shards of the dataset's images that lack facts, those that lack the same ones together.

    `also` are images that a job has taken in and not yet committed.
    """
    present = {name: facts.present(store, extractor.identity()) for name, extractor in extractors.items()}
    items = {item.id: item for item in also}
    for sample in samples:
        content, key = sample.value(CONTENT), store.key_of(sample.source_ref)
        if content and key:
            items[content] = Item(key, 0, sha256=content)
        sample.forget()
    missing: dict[tuple[str, ...], list[Item]] = {}
    for content in sorted(items):
        lacking = tuple(name for name in extractors if content not in present[name])
        if lacking:
            missing.setdefault(lacking, []).append(items[content])
    shards = []
    for names, found in sorted(missing.items()):
        wanted = tuple(extractors[name] for name in names)
        most = _most(size, wanted)
        shards += [Shard(tuple(found[start : start + most]), wanted) for start in range(0, len(found), most)]
    return shards
