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

import hashlib
import io
import multiprocessing
import os
import struct
import warnings
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple, TypedDict, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, ManifestError, NotFoundError, VersionError
from imageyard.manifests.order import EpochOrder, Reader, slots, steps, wrapped
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import ManifestEntry, Role, Version

THREADS = 16
"""Objects a reader fetches at a time; twice as many are held fetched and not yet decoded."""

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for bytes that are not a sound image: OSError and SyntaxError as documented, the rest in fact."""


class Example(TypedDict):
    """What a stream yields for one position."""

    image: Any
    """The transform's result; without one, a uint8 tensor of shape (3, height, width)."""
    caption: str | None
    tags: list[str]
    """Class names of the label `tags`, the surest first."""
    labels: dict[str, str | list[str]]
    """Every classification label: its class name, or for several classes their names, the surest first."""
    source_ref: str
    position: int
    """The place in the epoch's order; positions of a rank's batch are consecutive."""
    is_pad: bool
    """Whether this is another position's sample: to fill the last batch, or to stand in for a bad image."""


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
        self._entry = _entry(opened, record, role)
        self._kept = None if keep is None else _kept(opened.read(record, role), self._entry, keep)
        self._rows = [len(rows) for rows in self._kept] if self._kept is not None else _lines(self._entry)
        if not sum(self._rows):
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
        digest = hashlib.sha256(f"{self.role} {self._entry.sha256} {self.window} {_lines(self._entry)}".encode())
        for rows in self._kept or ():
            digest.update(len(rows).to_bytes(8, "little") + rows.astype("<u4").tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        """Samples this rank gets in a whole epoch, pads included."""
        return steps(sum(self._rows), consumed=0, batch=self.global_batch) * self.batch_size

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
        rows = sum(self._rows)
        order = EpochOrder(self._rows, seed=self.seed, epoch=epoch, window=self.window)
        reader = Reader(self.rank, self.world, worker, workers)
        return self._examples(order, slots(rows, reader, consumed=consumed, batch=self.global_batch))

    def __getstate__(self) -> dict[str, Any]:
        if self.url.startswith("memory:"):
            raise ImageyardError(f"{self.url}: a memory:// dataset lives in one process; use workers=0")
        return self.__dict__ | {"_dataset": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _process=os.getpid())

    def _roll_over(self) -> None:
        if self._consumed >= sum(self._rows):
            self._epoch, self._consumed = self._epoch + 1, 0

    def _examples(self, order: EpochOrder, positions: Iterator[int]) -> Iterator[Example]:
        if self._dataset is None:
            self._dataset = Dataset.open(self.url)
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="imageyard-fetch")
        fetcher = _Fetcher(self._dataset, self._entry, self._kept, order, pool, ranges=self.window)
        try:
            ahead: deque[tuple[int, Future[_Fetched]]] = deque()
            while True:
                for position in islice(positions, 2 * THREADS - len(ahead)):
                    ahead.append((position, fetcher.start(wrapped(position, len(order)))))
                if not ahead:
                    return
                position, fetched = ahead.popleft()
                yield self._example(position, fetched.result(), order, fetcher)
        finally:
            pool.shutdown(cancel_futures=True)

    def _example(self, position: int, first: _Fetched, order: EpochOrder, fetcher: _Fetcher) -> Example:
        """The example of `position`, or of the first sound one after it in its window."""
        found, others = first, order.stand_ins(wrapped(position, len(order)))
        image, reason = _decoded(found)
        while image is None:
            self._warn(found.sample.source_ref, reason)
            other = next(others, None)
            if other is None:
                raise ImageyardError(
                    f"{self.url}: no image can be read in a window of version {self.version}, role {self.role}; "
                    f"the last one: {found.sample.source_ref}: {reason}"
                )
            found = fetcher.start(other).result()
            image, reason = _decoded(found)
        caption = found.sample.value("caption")
        labels = dict(_labels(found.sample))
        tags = labels.get("tags", [])
        return Example(
            image=self._transform(image),
            caption=caption if isinstance(caption, str) else None,
            tags=tags if isinstance(tags, list) else [tags],
            labels=labels,
            source_ref=found.sample.source_ref,
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


def collate(examples: Sequence[Example]) -> dict[str, Any]:
    """A batch: images stacked if they are tensors of one shape, else a list; `position` int64 and `is_pad` bool of
    shape (n,); everything else a list."""
    batch: dict[str, Any] = {name: [cast(dict[str, Any], one)[name] for one in examples] for name in examples[0]}
    images = batch["image"]
    if len({one.shape if isinstance(one, torch.Tensor) else id(one) for one in images}) == 1:
        batch["image"] = default_collate(images)
    return batch | {"position": torch.tensor(batch["position"]), "is_pad": torch.tensor(batch["is_pad"])}


def canonical(data: bytes) -> Image.Image:
    """The image in `data` as RGB: first frame, EXIF orientation applied, 16-bit scaled to 8, alpha on white.

    Raises one of UNREADABLE.
    """
    with Image.open(io.BytesIO(data)) as opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith(("I", "F")):
            deep = np.asarray(image).astype(np.float64) / (257 if image.mode.startswith("I") else 1)
            image = Image.fromarray(deep.round().clip(0, 255).astype(np.uint8))
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")


def to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as a uint8 tensor of shape (3, height, width)."""
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


class _Fetched(NamedTuple):
    sample: Sample
    data: bytes | None
    """None if there is no such object."""


class _Fetcher:
    """Reads lines and images by position, in threads, keeping the ranges used last."""

    def __init__(
        self,
        dataset: Dataset,
        entry: ManifestEntry,
        kept: list[NDArray[np.uint32]] | None,
        order: EpochOrder,
        pool: ThreadPoolExecutor,
        *,
        ranges: int,
    ) -> None:
        self._dataset = dataset
        self._entry = entry
        self._kept = kept
        self._order = order
        self._pool = pool
        self._most = ranges
        self._ranges: OrderedDict[int, Future[list[Sample]]] = OrderedDict()
        self._stores: dict[str, Store] = {}
        self._lock = Lock()

    def start(self, position: int) -> Future[_Fetched]:
        """Begin to fetch what stands at `position` of the epoch."""
        place = self._order.place(position)
        lines = self._ranges.pop(place.range, None)
        if lines is None:
            # Before the first sample that waits for it in the pool's queue, so no thread waits for ever.
            lines = self._pool.submit(self._dataset.read_range, self._entry, place.range)
        self._ranges[place.range] = lines
        if len(self._ranges) > self._most:
            self._ranges.popitem(last=False)
        row = place.row if self._kept is None else int(self._kept[place.range][place.row])
        return self._pool.submit(self._fetch, lines, place.range, row)

    def _fetch(self, lines: Future[list[Sample]], nth: int, row: int) -> _Fetched:
        where = f"{self._dataset.store.address(self._entry.key)}, range {nth}, line {row + 1}"
        sample = Sample.parse(lines.result()[row].line, where=where)
        store, key = self._located(sample.source_ref, where)
        try:
            return _Fetched(sample, store.get(key))
        except NotFoundError:
            return _Fetched(sample, None)

    def _located(self, source_ref: str, where: str) -> tuple[Store, str]:
        """The store and key of an image, which may lie in another bucket than the dataset."""
        key = self._dataset.store.key_of(source_ref)
        if key is not None:
            return self._dataset.store, key
        scheme, separator, rest = source_ref.partition("://")
        bucket, _, key = rest.partition("/")
        if not separator or not key:
            raise ManifestError(f"{where}: source-ref is {source_ref!r}, not the URL of an object")
        url = f"{scheme}://{bucket}" if bucket else f"{scheme}:///"
        with self._lock:
            if url not in self._stores:
                self._stores[url] = Store.open(url)
            return self._stores[url], key


def _decoded(fetched: _Fetched) -> tuple[Image.Image, str] | tuple[None, str]:
    """The image, or None and the reason."""
    if fetched.data is None:
        return None, "there is no such object"
    try:
        return canonical(fetched.data), ""
    except UNREADABLE as error:
        return None, f"not a readable image ({type(error).__name__}: {error})"


def _labels(sample: Sample) -> Iterator[tuple[str, str | list[str]]]:
    for name in sample.label_names:
        metadata = sample.metadata(name) or {}
        value, classes = sample.value(name), metadata.get("class-map")
        if isinstance(value, list) and isinstance(classes, dict):
            scores = metadata.get("confidence-map") or {}
            ranked = sorted((str(index) for index in value), key=lambda index: -float(scores.get(index, 0)))
            yield name, [str(classes.get(index, index)) for index in ranked]
        elif isinstance(metadata.get("class-name"), str):
            yield name, metadata["class-name"]


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


def _entry(dataset: Dataset, version: Version, role: Role) -> ManifestEntry:
    entry = version.manifests.get(role)
    if entry is None:
        have = ", ".join(version.manifests) or "none"
        raise VersionError(f"{dataset.url}: version {version.number} has no role {role!r}; it has {have}")
    size = dataset.store.head(entry.key).size
    if size != entry.bytes:
        raise ManifestError(
            f"{dataset.store.address(entry.key)}: {size:,} bytes, but the version says {entry.bytes:,}; "
            "the object was changed after its commit"
        )
    return entry


def _kept(samples: Iterable[Sample], entry: ManifestEntry, keep: Callable[[Sample], bool]) -> list[NDArray[np.uint32]]:
    """Rows of each range that pass `keep`."""
    lines = iter(samples)
    return [
        np.array([row for row, sample in enumerate(islice(lines, part.lines)) if keep(sample)], dtype=np.uint32)
        for part in entry.ranges
    ]


def _lines(entry: ManifestEntry) -> list[int]:
    return [part.lines for part in entry.ranges]
