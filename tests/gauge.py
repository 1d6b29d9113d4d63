"""Extractors that tell where and when they ran, take a set time, or get in each other's way; workers import this."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.extractors.base import Extractor, ModelExtractor, PixelExtractor, Row
from imageyard.ray_jobs.state import State, World
from imageyard.ray_jobs.steps.base import Step
from poison import Poison

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BATCH = 4


def place() -> Row:
    """The process, the GPUs that CUDA would see, and those that Ray has given it, both as `0,1`."""
    import ray

    given = ray.get_gpu_ids() if ray.is_initialized() else []
    return {
        "pid": os.getpid(),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "given": ",".join(map(str, given)),
    }


def meet(folder: Path, count: int) -> None:
    """Return when `count` processes have come here."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).touch()
    end = time.monotonic() + 60
    while len(list(folder.iterdir())) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"of {count} workers some never came to {folder}")
        time.sleep(0.02)


class WhereModel:
    batch = BATCH

    def __init__(self, seconds: float, place: Row, meet: tuple[str, int] | None = None) -> None:
        self._seconds, self._place, self._meet = seconds, place, meet

    def prepare(self, image: Decoded) -> np.ndarray:
        import numpy as np

        return np.asarray(image.rgb)

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        if self._meet is not None:
            meet(Path(self._meet[0]), self._meet[1])
        time.sleep(self._seconds)
        return [self._place | {"size": image.shape[0] * image.shape[1]} for image in images]


class Where(ModelExtractor):
    """A model that says where it was loaded, and how many pixels it saw; each run takes `seconds`."""

    name: ClassVar[str] = "where"
    version: ClassVar[int] = 1

    seconds: float = 0.0
    broken: bool = False
    meet: tuple[str, int] | None = None
    """A folder, and how many processes must have come there before a run begins."""

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        import pyarrow as pa

        return [
            pa.field("pid", pa.int64()),
            pa.field("visible", pa.string()),
            pa.field("given", pa.string()),
            pa.field("size", pa.int64()),
        ]

    def load(self, *, threads: int, gpu: bool) -> WhereModel:
        if self.broken:
            raise ModelError("a model that was not needed was loaded")
        return WhereModel(self.seconds, place(), self.meet)


class WherePixels(PixelExtractor):
    """The same without a model; each image takes `seconds`."""

    name: ClassVar[str] = "where-pixels"
    version: ClassVar[int] = 1

    seconds: float = 0.0

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        return Where.columns()

    def measure(self, image: Decoded) -> Row:
        time.sleep(self.seconds)
        return place() | {"size": image.rgb.width * image.rgb.height}


class SlowToWrite(WherePixels):
    """Facts that take a second and a half to write."""

    name: ClassVar[str] = "slow-to-write"

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        time.sleep(1.5)
        return Where.columns()


class PoisonBesideWriting(Step):
    """Wants the poison measured, and something that is still being written when the next image kills."""

    kind: ClassVar[str] = "poison-beside-writing"

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (SlowToWrite(), Poison())

    def decide(self, state: State, world: World) -> State:
        return state


class PairModel(WhereModel):
    """Whose runs wait for each other, up to a minute."""

    def __init__(self) -> None:
        super().__init__(0.0, {})
        self._met = threading.Barrier(2, timeout=60)
        self.most = self._now = 0
        self._lock = threading.Lock()

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._met.wait()
        with self._lock:
            self._now -= 1
        return super().run(images)


class Pairs(Where):
    """A model that two threads call at a time."""

    name: ClassVar[str] = "pairs"
    runs_at_once: ClassVar[int] = 2

    def load(self, *, threads: int, gpu: bool) -> PairModel:
        return PairModel()


class Few(Where):
    """A model of which a shard has few images."""

    name: ClassVar[str] = "few"
    most_a_shard: ClassVar[int | None] = 3
