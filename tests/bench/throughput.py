"""A whole tagging job, store to committed version, against the same session fed from memory, in alternating rounds.

    python tests/bench/throughput.py [--images 512] [--rounds 3] [--cost 20 50 100] [--store file s3] [--folder JPEGS]
    python tests/bench/throughput.py --vit-b --gpu

Work: 512 x 512 JPEGs in the drop folder are taken in, decoded, probed, thumbnailed and tagged by a vision transformer
of the WD14 contract of about `cost` milliseconds an image on one core, and committed. Fed from memory: the session
alone, prepared uint8 batches in, scores out, on as many threads as in the job. Two placements: one actor of two CPUs,
one of which is the model's; and an actor a CPU, where model and decoding share it. Beside decoding: the session fed
from memory again, while another process decodes as many images, which is what the machine allows at most. The clock of
a job runs from its call to the commit, less the time from the start of workers to the first one ready, which is stated.
Prints a JSON line a round, then medians: images a second of all, ratios, CPU seconds for 1,000 images, what the model
waited for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from engine import cpu_of_this_tree
from vit import VIT_B, Shape, build_vit

import pictures
from imageyard.manifests import Dataset
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.models import files
from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger
from imageyard.ray_jobs.recipe import Recipe, parse_recipe
from imageyard.ray_jobs.run import Surroundings, run
from imageyard.ray_jobs.work import Tally
from imageyard.ray_jobs.worker import Place
from imageyard.service.local_s3 import serve

COSTS = {20: Shape(192, 3, 4), 50: Shape(192, 6, 4), 100: Shape(192, 12, 4)}
"""Milliseconds an image on a core of an AMD EPYC, about."""
BATCHES = (8, 16, 32, 64, 128)
"""Of a GPU: the best is the ceiling."""
QUIET = 0.3
"""Cores of other people's below which a round is not disturbed: a job has two threads to be delayed, memory one."""
FED = 64
"""Pictures in memory, over and over."""


@dataclass(frozen=True)
class Placement:
    name: str
    actors: int
    place: Place
    gpus: float = 0

    @property
    def threads(self) -> int:
        """Threads of the models of all actors."""
        return self.actors * (self.place.model_threads or self.place.cpus)


ONE = Placement("one actor, a core for the model and one beside it", 1, Place(cpus=2, model_threads=1))
EACH = Placement("an actor a core", 2, Place(cpus=1))
GPU = Placement("one actor with a GPU", 1, Place(cpus=max(1, len(os.sched_getaffinity(0)) - 1), gpu=True), gpus=1)


@dataclass
class Times:
    """When a job came to each phase."""

    at: dict[str, float] = field(default_factory=dict)

    def phase(self, name: str, *, brief: bool = False) -> None:
        self.at.setdefault(name, time.perf_counter())

    def expect(self, images: int) -> None:
        return None

    def advance(self, tally: Tally) -> None:
        return None


@dataclass(frozen=True)
class Job:
    seconds: float
    """From the call to the commit, without the start of workers."""
    starting: float
    cpu: float
    tally: Tally
    phases: dict[str, float]


def a_job(dataset: Dataset, recipe: Recipe, models: Path, placement: Placement) -> Job:
    times = Times()
    engine = RayEngine(actors=placement.actors, place=placement.place, gpus=placement.gpus)
    with cpu_of_this_tree() as cpu:
        begun = time.perf_counter()
        outcome = run(dataset, recipe, Surroundings(engine=engine, models=models, watcher=times))
    assert outcome.state == "committed"
    starting = times.at["measuring"] - times.at["starting workers"]
    names = [*times.at][1:]
    phases = {name: times.at[name] - times.at[before] for before, name in zip(times.at, names, strict=False)}
    return Job(times.at["writing the report"] - begun - starting, starting, cpu[0], outcome.tally, phases)


def busy() -> float:
    """CPU seconds that this machine has worked, for whomever."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def others() -> Iterator[list[float]]:
    """Cores that anybody but this process and its children worked on, on average; put into the list at the end."""
    found = [0.0]
    with cpu_of_this_tree() as own:
        begun, before = time.perf_counter(), busy()
        yield found
        seconds, all_cpu = time.perf_counter() - begun, busy() - before
    found[0] = max(0.0, all_cpu - own[0]) / seconds


def from_memory(tagger: OnnxTagger, inputs: np.ndarray, count: int) -> float:
    """Seconds that the session takes for `count` images, in whole batches."""
    batches = [inputs[at : at + tagger.batch] for at in range(0, len(inputs), tagger.batch)]
    batches = [batch for batch in batches if len(batch) == tagger.batch]
    tagger.scores(batches[0])
    begun = time.perf_counter()
    for number in range(count // tagger.batch):
        tagger.scores(batches[number % len(batches)])
    return (time.perf_counter() - begun) * count / (count // tagger.batch * tagger.batch)


def beside_decoding(tagger: OnnxTagger, inputs: np.ndarray, images: Sequence[bytes], count: int) -> float:
    """As `from_memory`, while another process decodes and prepares an image for each that the session is fed.

    What two cores of a machine take from each other, nothing of which is the job's doing: caches, memory, clock, or
    being one core after all.
    """
    tokens: Any = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=_decoded, args=(tokens, tagger, images), daemon=True)
    child.start()
    batches = [inputs[at : at + tagger.batch] for at in range(0, len(inputs) - tagger.batch + 1, tagger.batch)]
    tagger.scores(batches[0])
    begun = time.perf_counter()
    for number in range(count // tagger.batch):
        tokens.put(tagger.batch)
        tagger.scores(batches[number % len(batches)])
    seconds = (time.perf_counter() - begun) * count / (count // tagger.batch * tagger.batch)
    tokens.put(0)
    child.join()
    return seconds


def _decoded(tokens: Any, tagger: OnnxTagger, images: Sequence[bytes]) -> None:
    at = 0
    while count := tokens.get():
        for data in images[at : at + count]:
            tagger.prepare(decode(data))
        at = (at + count) % len(images)


def jpegs(folder: Path | None, count: int) -> dict[str, bytes]:
    """`count` JPEGs, no two equal: those of `folder`, or scenes, each over and over with other last bytes."""
    found = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))] if folder else []
    found = found or [pictures.photo(seed) for seed in range(FED)]
    return {f"{n:06d}.jpg": found[n % len(found)] + n.to_bytes(4, "big") for n in range(count)}


@contextmanager
def stores(kinds: list[str], folder: Path) -> Iterator[dict[str, str]]:
    """A URL to begin datasets with, by kind of store."""
    with serve(folder / "s3") if "s3" in kinds else nullcontext() as server:
        urls = {"file": f"file://{folder}/file"}
        if server is not None:
            os.environ.update(server.environment())
            server.create_bucket("bench")
            urls["s3"] = "s3://bench"
        yield {kind: urls[kind] for kind in kinds}


def compare(
    tagger: str, placement: Placement, images: dict[str, bytes], arguments: argparse.Namespace, folder: Path
) -> None:
    found = files.locate(tagger, folder=folder)
    gpu = placement.place.gpu
    sessions = [OnnxTagger(found, threads=placement.threads, gpu=gpu, batch=b) for b in (BATCHES if gpu else (None,))]
    inputs = np.stack([sessions[0].prepare(decode(data)) for data in list(images.values())[: max(FED, max(BATCHES))]])
    count = len(images)
    for kind, url in arguments.urls.items():
        said: list[dict[str, float]] = []
        for number in range(arguments.rounds):
            dataset = Dataset.open(f"{url}/{tagger}-{placement.actors}-{number}-{time.time_ns()}")
            for name, data in images.items():
                dataset.store.create(f"drop/{name}", data)
            with others() as before:
                memory = min(from_memory(session, inputs, count // 2) for session in sessions)
            recipe = parse_recipe({"dataset": dataset.url, "steps": ["ingest", {"tag": {"model": tagger}}]}, where="")
            with others() as beside:
                job = a_job(dataset, recipe, folder, placement)
            with others() as after:
                memory += min(from_memory(session, inputs, count - count // 2) for session in sessions)
            beneath = beside_decoding(sessions[0], inputs, list(images.values()), count) if not gpu else memory
            work = job.tally
            lanes = placement.actors
            shared = work.model_seconds / (work.model_seconds + work.decoding_seconds)
            row = {
                "memory images/s": count / memory,
                "job images/s": count / job.seconds,
                "ratio": memory / job.seconds,
                "memory beside decoding images/s": count / beneath,
                "ratio to that": beneath / job.seconds,
                "ceiling, of cores shared with decoding": shared if placement is EACH else 1.0,
                "model at work, share of the job": work.model_seconds / lanes / job.seconds,
                "cores of others, memory": (before[0] + after[0]) / 2,
                "cores of others, job": beside[0],
                "CPU s per 1,000 images": job.cpu / count * 1000,
                "workers ready after s": job.starting,
                "model load s": work.loading_seconds / lanes,
                "model s": work.model_seconds / lanes,
                "padding s": work.padding_seconds / lanes,
                "waited for shard s": work.waited_for_shard_seconds / lanes,
                "waited for store s": work.waited_for_store_seconds / lanes,
                "waited for decode s": work.waited_for_decode_seconds / lanes,
                "rest s": job.seconds
                - sum(
                    (
                        work.model_seconds,
                        work.waited_for_shard_seconds,
                        work.waited_for_store_seconds,
                        work.waited_for_decode_seconds,
                    )
                )
                / lanes,
                "decoding s": work.decoding_seconds,
                "writing s": work.writing_seconds,
            }
            row |= {f"until {name} s": seconds for name, seconds in job.phases.items()}
            said.append(row)
            print(json.dumps({name: round(value, 3) for name, value in row.items()}), flush=True)
        medians = {name: statistics.median(row[name] for row in said) for name in said[0]}
        print(f"== {tagger}, {kind}://, {placement.name}: {count} images, medians of {len(said)}")
        for name, value in medians.items():
            print(f"   {name:36} {value:10.3f}")
        quiet = [row["ratio"] for row in said if max(row[name] for name in row if name.startswith("cores of")) < QUIET]
        ratio = f"{statistics.median(quiet):.3f}" if quiet else "unknown"
        print(f"   rounds in which others used less than {QUIET} cores: {len(quiet)}, their ratio {ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cost", type=int, nargs="*", choices=list(COSTS), default=[20])
    parser.add_argument(
        "--vit-b", action="store_true", help="the shape of wd-vit-tagger-v3: seconds an image on a core"
    )
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--one-only", action="store_true", help="leave out the placement of an actor a core")
    parser.add_argument("--store", nargs="*", choices=["file", "s3"], default=["file"])
    parser.add_argument("--folder", type=Path, help="JPEGs to take instead of made ones")
    arguments = parser.parse_args()
    import ray

    folder = Path(tempfile.mkdtemp(prefix="imageyard-bench-"))
    shapes = {f"vit-{cost}ms": COSTS[cost] for cost in arguments.cost}
    if arguments.vit_b:
        shapes = {"vit-b": VIT_B}
    for name, shape in shapes.items():
        build_vit(folder / name, shape)
    images = jpegs(arguments.folder, arguments.images)
    with stores(arguments.store, folder) as urls:
        arguments.urls = urls
        cpus = max(2, len(os.sched_getaffinity(0)))
        ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level=50)
        for name in shapes:
            for placement in (GPU,) if arguments.gpu else (ONE,) if arguments.one_only else (ONE, EACH):
                compare(name, placement, images, arguments, folder)
        ray.shutdown()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
