"""The search on a Ray cluster of several nodes: the bytes of one process, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imageyard.manifests import Store
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.search.pairs import Found, find_pairs

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]


def codes_of(n: int) -> np.ndarray:
    """Random codes, every tenth a copy of the one before it with some bits flipped."""
    rng = np.random.default_rng(11)
    codes = rng.integers(0, 1 << 64, (n, 4), np.uint64)
    for row in range(9, n, 10):
        bits = np.zeros(256, np.uint8)
        bits[rng.choice(256, rng.integers(0, 36), replace=False)] = 1
        codes[row] = codes[row - 1] ^ np.packbits(bits).view(np.uint64)
    return codes


def told(found: Found) -> tuple[Any, ...]:
    return *(part.tobytes() for part in (found.node, found.first, found.second, found.distance)), found.certificate


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of three nodes with one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(2):
            nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        yield nodes.address
    finally:
        ray.shutdown()
        nodes.shutdown()


def working() -> list[int]:
    """Processes that are at a task of the search."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "cmdline").read_bytes().startswith(b"ray::_work"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def test_several_nodes_find_what_one_process_does_even_while_their_tasks_are_killed(
    cluster: str, tmp_path: Path
) -> None:
    codes = codes_of(200_000)
    here = find_pairs(codes, 31, mode="exact")
    assert len(here.first) > 10_000
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.05) and len(killed) < 3:
            for pid in working()[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    engine = RayEngine(address=cluster, distribute_from=0)
    calm, stormy = (Store.open(f"file://{tmp_path}/{name}") for name in ("calm", "stormy"))
    with engine:
        there = find_pairs(codes, 31, mode="exact", run=lambda tasks, rows: engine.search(calm, tasks, rows))
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            again = find_pairs(codes, 31, mode="exact", run=lambda tasks, rows: engine.search(stormy, tasks, rows))
        finally:
            ended.set()
            killer.join()
    assert killed
    assert told(there) == told(again) == told(here)
    assert parts(calm) == parts(stormy)
    assert len(parts(calm)) == 16


def parts(store: Store) -> dict[str, bytes]:
    return {entry.key: store.get(entry.key) for entry in store.list("index/parts")}


def test_a_search_that_was_begun_uses_what_is_there(tmp_path: Path) -> None:
    codes = codes_of(20_000)
    store = Store.open(f"file://{tmp_path}")
    with RayEngine(actors=1, distribute_from=0) as engine:
        first = find_pairs(codes, 31, mode="exact", run=lambda tasks, rows: engine.search(store, tasks, rows))
        gone = sorted(store.list("index/parts"), key=lambda entry: entry.key)[0]
        store.remove(gone)
        stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "index/parts").rglob("*.parquet")}
        second = find_pairs(codes, 31, mode="exact", run=lambda tasks, rows: engine.search(store, tasks, rows))
    assert told(first) == told(second)
    assert gone.key in parts(store)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
