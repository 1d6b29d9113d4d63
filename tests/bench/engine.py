"""The engine against a plain process pool that does the same work, in alternating rounds.

    python tests/bench/engine.py [--images 5000] [--rounds 3]

Work: read a 512 x 512 JPEG from local disk, decode it, measure probe and hashes, and run a stub model that takes
5 ms a batch of 32. The cluster is started before the clock. Prints one JSON line a round and the median ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

import pictures
from imageyard.manifests import Store
from imageyard.ray_jobs.canonical import Decoded, decode
from imageyard.ray_jobs.extractors.base import Model, ModelExtractor, Row
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.work import Item, Shard

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BATCH, SECONDS = 32, 0.005


class StubModel:
    batch = BATCH

    def prepare(self, image: Decoded) -> np.ndarray:
        import numpy as np

        return np.asarray(image.rgb.resize((224, 224)))

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        time.sleep(SECONDS)
        return [{"mean": float(image.mean())} for image in images]


class Stub(ModelExtractor):
    name: ClassVar[str] = "stub"
    version: ClassVar[int] = 1

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        import pyarrow as pa

        return [pa.field("mean", pa.float32())]

    def load(self, *, threads: int, gpu: bool) -> Model:
        return StubModel()


EXTRACTORS = (Probe(), Hashes(), Stub())


def plain(paths: list[str]) -> int:
    """One task of the pool: the same calls, one file after the other."""
    probe, hashes, model = Probe(), Hashes(), StubModel()
    rows, waiting = [], []
    for path in paths:
        image = decode(Path(path).read_bytes())
        rows.append((probe.measure(image), hashes.measure(image)))
        waiting.append(model.prepare(image))
        if len(waiting) == BATCH:
            model.run(waiting)
            waiting = []
    if waiting:
        model.run(waiting)
    return len(rows)


@contextmanager
def cpu_of_this_tree() -> Iterator[list[float]]:
    """CPU seconds of this process and all its descendants, those that end included up to a tenth of a second."""
    seen: dict[tuple[int, str], float] = {}
    start: dict[tuple[int, str], float] = {}
    done, spent = threading.Event(), [0.0]
    tick = os.sysconf("SC_CLK_TCK")

    def look(into: dict[tuple[int, str], float]) -> None:
        stats = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = path.read_text().split(" (", 1)
                fields = rest.rsplit(") ", 1)[1].split()
            except (OSError, ValueError):
                continue
            stats[int(pid)] = (int(fields[1]), fields[19], (int(fields[11]) + int(fields[12])) / tick)
        family = {os.getpid()}
        grown = True
        while grown:
            more = {pid for pid, (parent, _, _) in stats.items() if parent in family} - family
            family |= more
            grown = bool(more)
        for pid in family & stats.keys():
            into[pid, stats[pid][1]] = stats[pid][2]

    def watch() -> None:
        while not done.wait(0.1):
            look(seen)

    look(start)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield spent
    finally:
        done.set()
        watcher.join()
        look(seen)
        spent[0] = sum(value - start.get(key, 0.0) for key, value in seen.items())


def make_images(folder: Path, count: int) -> None:
    """`count` JPEGs: a few scenes, each saved at many qualities, so that no two files are equal."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [pictures.scene(seed) for seed in range(50)]
    for number in range(count):
        data = pictures.encoded(scenes[number % 50], "JPEG", quality=70 + number // 50 % 25)
        (folder / f"{number:06d}.jpg").write_bytes(data + number.to_bytes(4, "big"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="imageyard-bench-"))
    make_images(folder / "images", arguments.images)
    store = Store.open(f"file://{folder}")
    names = sorted(path.name for path in (folder / "images").iterdir())
    size = 256
    shards = [
        Shard(tuple(Item(f"images/{name}", 0, sha256=f"{name}") for name in names[at : at + size]), EXTRACTORS)
        for at in range(0, len(names), size)
    ]
    paths = [str(folder / "images" / name) for name in names]
    ratios: list[tuple[float, float]] = []
    with RayEngine(actors=arguments.workers) as engine:
        engine.run(store, shards[:2], lambda tally: None)
        for number in range(arguments.rounds):
            with cpu_of_this_tree() as base_cpu:
                begun = time.perf_counter()
                with ProcessPoolExecutor(arguments.workers) as pool:
                    tasks = [paths[at : at + size] for at in range(0, len(paths), size)]
                    assert sum(pool.map(plain, tasks)) == len(paths)
                base = time.perf_counter() - begun
            shutil.rmtree(folder / "facts", ignore_errors=True)
            with cpu_of_this_tree() as our_cpu:
                begun = time.perf_counter()
                engine.run(store, shards, lambda tally: None)
                ours = time.perf_counter() - begun
            ratios.append((ours / base, our_cpu[0] / base_cpu[0]))
            said = {"pool_wall": base, "engine_wall": ours, "pool_cpu": base_cpu[0], "engine_cpu": our_cpu[0]}
            print(json.dumps({"round": number, **{name: round(value, 2) for name, value in said.items()}}))
    wall, cpu = (statistics.median(values) for values in zip(*ratios, strict=True))
    print(f"{arguments.images} images, {arguments.workers} workers: wall x{wall:.2f}, CPU x{cpu:.2f} of a process pool")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
