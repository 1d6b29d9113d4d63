"""One role of one pinned version as a torch dataset whose order no number of ranks, workers or restarts changes.

    stream = VersionStream("s3://bucket/cats", 7, "train", global_batch=256, transform=crop)
    stream.load_state_dict(saved)                     # to resume, with any number of ranks and workers
    batches = stream.batches(workers=4)               # this rank's share: global_batch // world samples a batch
    while stream.epoch < 10:
        for batch in batches:
            train(batch)
            stream.advance()                          # this global batch is done
            saved = stream.state_dict()

Every reader (a worker of a rank) fetches each range of the manifest it needs once an epoch, about the whole manifest,
and every image of its own share once; images are fetched ahead by threads and decoded in the reader's main thread.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypedDict, cast

import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, VersionError
from imageyard.manifests.example import Example, canonical, collate, decoded, example, to_tensor
from imageyard.manifests.fetcher import Fetched, Fetcher
from imageyard.manifests.order import EpochOrder, Reader, slots, steps, wrapped
from imageyard.manifests.rows import Rows
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import Role

__all__ = ["THREADS", "Batches", "Example", "State", "VersionStream", "canonical", "collate", "to_tensor"]

THREADS = 16
"""Objects a reader fetches at a time; twice as many are held fetched and not yet decoded."""


class State(TypedDict):
    """Where training stands, for any number of ranks and workers."""

    manifest_version: int
    filter_hash: str
    """Of what the positions refer to: role, manifest, window, and the samples that were kept."""
    seed: int
    epoch: int
    consumed: int
    """Positions of this epoch that all ranks together have trained on."""
    global_batch: int


class VersionStream(IterableDataset[Example]):
    """The samples of one role of one version in an order fixed by seed and epoch, this rank's share of it.

    The order of global batches is a pure function of version, role, `keep`, seed, epoch, window and global_batch.
    Ranks always get equally many samples. A bad image (gone, or not decodable) is never skipped: the next position
    of its window stands in for it, `is_pad` is true, and each bad image is warned of once in each process.

    Not to be iterated by two loops at a time, nor by torchdata's StatefulDataLoader, which keeps states a worker:
    the state here is the training loop's. It holds no credentials when pickled: workers open the store by URL.
    Workers must not be forked from a process that has used a store (its threads are lost, and every read would wait
    for ever); `batches` sees to it, a DataLoader of your own needs multiprocessing_context="forkserver", and a fork
    is refused with ImageyardError. memory:// datasets live in one process: workers=0.
    """

    def __init__(
        self,
        dataset: Dataset | str,
        version: int,
        role: Role,
        *,
        global_batch: int,
        seed: int = 0,
        window: int = 8,
        transform: Callable[[Image.Image], object] | None = None,
        keep: Callable[[Sample], bool] | None = None,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        """Read the version's record; with `keep`, read the role's whole manifest too.

        `global_batch` samples are one step of all ranks together; the number of ranks must divide it. `window` is how
        many ranges of about 4 MiB of manifest are shuffled together and held in memory by each reader (twice that for
        a moment between windows). `transform` makes `image` out of a canonical RGB image; for workers it must pickle.
        `rank` and `world` are torch.distributed's when it is initialised by now, else 0 and 1.

        Raises VersionError if there is no such version or role, ManifestError if its manifest is not as committed,
        ImageyardError for arguments that cannot be.
        """
        super().__init__()
        opened = Dataset.open(dataset) if isinstance(dataset, str) else dataset
        self.url = opened.url
        if isinstance(version, bool) or not isinstance(version, int):
            raise VersionError(f"{self.url}: {version!r} is not the number of a version; training names a number")
        self.version = version
        self.role = role
        self.global_batch = global_batch
        self.seed = seed
        self.window = window
        self.rank, self.world = _place_among_ranks(rank, world)
        _refuse_impossible(self)
        record = opened.version(version)
        self._rows = Rows.of(opened, record, role, keep)
        if not self._rows:
            raise ImageyardError(f"{self.url}: no sample of version {version}, role {role}, is left to train on")
        self._transform = transform or to_tensor
        self._dataset: Dataset | None = opened
        self._process = os.getpid()
        self._warned: set[str] = set()
        self._epoch = 0
        self._consumed = 0
        # Persistent workers see no attribute that is set after their start, only memory they share.
        self._start = torch.zeros(2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # torch's

    @property
    def batch_size(self) -> int:
        """Samples of a rank's batch; the DataLoader must be given this very size."""
        return self.global_batch // self.world

    @property
    def epoch(self) -> int:
        """The epoch under way: the one after, as soon as the last global batch of an epoch was advanced over."""
        return self._epoch

    @property
    def filter_hash(self) -> str:
        """sha256 of what the positions refer to; states of different ones are not interchangeable."""
        return self._rows.digest(role=self.role, window=self.window)

    def __len__(self) -> int:
        """Samples this rank gets in a whole epoch, pads included."""
        return steps(len(self._rows), consumed=0, batch=self.global_batch) * self.batch_size

    def batches(self, *, workers: int = 0, **options: Any) -> Batches:
        """A DataLoader of this rank's batches, its workers persistent and safely started; `options` are DataLoader's.

        As always with processes that are not forked, a script that uses workers needs `if __name__ == "__main__":`.
        """
        if workers:
            methods = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
            context.set_forkserver_preload([__name__])
            options = {"multiprocessing_context": context, "persistent_workers": True, **options}
        options = {"collate_fn": collate, **options}
        return Batches(self, batch_size=self.batch_size, num_workers=workers, **options)

    def set_epoch(self, epoch: int) -> None:
        """Say what the next iteration reads: the rest of `epoch` if that is the one under way, else all of it.

        For a DataLoader of your own, before each iteration; `batches` does it by itself.
        """
        if epoch != self._epoch:
            self._epoch, self._consumed = epoch, 0
        self._start.copy_(torch.tensor([self._epoch, self._consumed]))

    def advance(self, batches: int = 1) -> None:
        """Count global batches as trained on. Workers run ahead, so only the training loop can know; call it on every
        rank after each batch. After the last one the state stands at the start of the next epoch."""
        self._consumed += batches * self.global_batch
        self._roll_over()

    def state_dict(self) -> State:
        """Where training stands by `advance`; the same on every rank."""
        return State(
            manifest_version=self.version,
            filter_hash=self.filter_hash,
            seed=self.seed,
            epoch=self._epoch,
            consumed=self._consumed,
            global_batch=self.global_batch,
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` stands; nothing is replayed. Not while an iteration is under way.

        Raises ImageyardError if it is of another version, filter, window or seed. Another global_batch is accepted
        with a warning: the samples go on from the same position, in other batches.
        """
        own = self.state_dict()
        for name in ("manifest_version", "filter_hash", "seed"):
            if state[name] != own[name]:
                raise ImageyardError(
                    f"{self.url}: the state has {name} {state[name]} and this stream {own[name]}; make the stream "
                    "with the version, role, keep, window and seed of the run that saved the state"
                )
        if state["global_batch"] != self.global_batch:
            warnings.warn(
                f"{self.url}: saved with a global batch of {state['global_batch']} and resumed with "
                f"{self.global_batch}: no sample is lost or repeated, but batches differ from an uninterrupted run's",
                stacklevel=2,
            )
        self._epoch, self._consumed = int(state["epoch"]), int(state["consumed"])
        self._roll_over()
        self.set_epoch(self._epoch)

    def __iter__(self) -> Iterator[Example]:
        if os.getpid() != self._process:
            raise ImageyardError(
                f"{self.url}: this worker was forked from a process that has used the store, whose threads do not "
                'survive a fork; use stream.batches(workers=...), or DataLoader(multiprocessing_context="forkserver")'
            )
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        epoch, consumed = self._start.tolist()
        rows = len(self._rows)
        order = EpochOrder(self._rows.counts, seed=self.seed, epoch=epoch, window=self.window)
        reader = Reader(self.rank, self.world, worker, workers)
        return self._examples(order, slots(rows, reader, consumed=consumed, batch=self.global_batch))

    def __getstate__(self) -> dict[str, Any]:
        if self.url.startswith("memory:"):
            raise ImageyardError(f"{self.url}: a memory:// dataset lives in one process; use workers=0")
        return self.__dict__ | {"_dataset": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _process=os.getpid())

    def _roll_over(self) -> None:
        if self._consumed >= len(self._rows):
            self._epoch, self._consumed = self._epoch + 1, 0

    def _examples(self, order: EpochOrder, positions: Iterator[int]) -> Iterator[Example]:
        if self._dataset is None:
            self._dataset = Dataset.open(self.url)
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="imageyard-fetch")
        fetcher = Fetcher(self._dataset, self._rows, order, pool, ranges=self.window)
        try:
            ahead: deque[tuple[int, Future[Fetched]]] = deque()
            while True:
                for position in islice(positions, 2 * THREADS - len(ahead)):
                    ahead.append((position, fetcher.start(wrapped(position, len(order)))))
                if not ahead:
                    return
                position, fetched = ahead.popleft()
                yield self._example(position, fetched.result(), order, fetcher)
        finally:
            pool.shutdown(cancel_futures=True)

    def _example(self, position: int, first: Fetched, order: EpochOrder, fetcher: Fetcher) -> Example:
        """The example of `position`, or of the first sound one after it in its window."""
        found, others = first, order.stand_ins(wrapped(position, len(order)))
        image, reason = decoded(found.data)
        while image is None:
            self._warn(found.sample.source_ref, reason)
            other = next(others, None)
            if other is None:
                raise ImageyardError(
                    f"{self.url}: no image can be read in a window of version {self.version}, role {self.role}; "
                    f"the last one: {found.sample.source_ref}: {reason}"
                )
            found = fetcher.start(other).result()
            image, reason = decoded(found.data)
        return example(
            self._transform(image),
            found.sample,
            position=position,
            is_pad=position >= len(order) or found is not first,
        )

    def _warn(self, source_ref: str, reason: str) -> None:
        if source_ref not in self._warned:
            self._warned.add(source_ref)
            warnings.warn(f"{source_ref}: {reason}; another sample stands in for it", stacklevel=2)


class Batches(DataLoader[Example]):
    """A DataLoader that begins every iteration where its stream stands."""

    def __iter__(self) -> Any:
        stream = cast(VersionStream, self.dataset)
        stream.set_epoch(stream.epoch)
        return super().__iter__()


def _place_among_ranks(rank: int | None, world: int | None) -> tuple[int, int]:
    if (rank is None) != (world is None):
        raise ImageyardError("rank and world belong together: give both, or neither to have torch.distributed's")
    if rank is not None and world is not None:
        return rank, world
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _refuse_impossible(stream: VersionStream) -> None:
    if not 0 <= stream.rank < stream.world:
        raise ImageyardError(f"rank {stream.rank} of {stream.world}: ranks are counted from 0")
    if stream.global_batch < 1 or stream.global_batch % stream.world:
        raise ImageyardError(
            f"a global batch of {stream.global_batch} cannot be shared equally by {stream.world} ranks; "
            f"use a multiple of {stream.world}"
        )
    if stream.window < 1 or stream.seed < 0:
        raise ImageyardError(f"window {stream.window}, seed {stream.seed}: at least 1 and at least 0")
