"""Having measured what no fact says yet: of new drop objects, of known images, of what a decision waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts, ingest_facts
from imageyard.ray_jobs.engine import Engine
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.plan import plan_known, plan_new, shard_size
from imageyard.ray_jobs.watcher import Watcher
from imageyard.ray_jobs.work import Item, Shard, Tally


@dataclass(frozen=True)
class Measuring:
    """How one run has images measured; all it finds out are facts in the store."""

    store: Store
    extractors: Mapping[str, Extractor]
    engine: Engine
    watcher: Watcher
    did: Callable[[Tally], None]
    """Called with the work of each shard that is done."""
    shard: int | None
    """Images a shard; unset, chosen by the number of images and workers."""

    def missing(self, samples: Sequence[Sample], new: Sequence[Item]) -> None:
        """Have everything measured that is missing: new drop objects, then known images that lack facts."""
        at_once = {name: extractor for name, extractor in self.extractors.items() if not extractor.deferred}
        later = [extractor for extractor in self.extractors.values() if extractor.deferred]
        fresh = [extractor for extractor in later if not any(self.store.list(f"facts/{extractor.identity()}"))]
        if fresh and (new or samples):
            self.watcher.phase("trying the models")
            self.engine.check(self.store, fresh)
        self.work(plan_new(self.store, new, at_once, self.size(len(new))))
        ingested = (
            Item(ingest_facts.image_key(event["content"], event["extension"]), event["size"], sha256=event["content"])
            for event in self.events(new)
            if event["content"] is not None
        )
        self.work(plan_known(self.store, samples, at_once, self.size(len(samples)), also=ingested))

    def work(self, shards: Sequence[Shard]) -> None:
        """Have these shards done."""
        if not shards:
            return
        self.watcher.phase("starting workers")
        self.watcher.expect(sum(len(shard.items) for shard in shards))

        def done(tally: Tally) -> None:
            self.watcher.phase("measuring")
            self.watcher.advance(tally)
            self.did(tally)

        self.engine.run(self.store, shards, done)

    def size(self, images: int) -> int:
        """Images a shard, of so many images."""
        return self.shard or shard_size(images, self.engine.parallel)

    def events(self, new: Sequence[Item]) -> list[dict[str, Any]]:
        """What taking in each new drop object found, in order of key; those that went away are not among them."""
        table = facts.read(self.store, ingest_facts.IDENTITY, [item.id for item in new], ingest_facts.COLUMNS)
        return [event for event in table.to_pylist() if event["key"] is not None]
