"""All pairs of 256-bit codes within 31 bits: against faiss, and imagededup for 64 bits; growth, memory, new ones.

    python tests/bench/search.py [--codes 1000000] [--large 10000000] [--json]

Codes are random, of which one in fifty is a copy of another with up to 40 bits flipped. Everything that takes too
long is measured on some queries and said to be extrapolated. faiss-cpu (and imagededup, where it is installed) are
not among the product's dependencies: pip install faiss-cpu imagededup.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest.mock import MagicMock

import numpy as np

QUERIES = 1000
WITHIN = 31
BUILD_SECONDS = 2e-8
"""A code and table, to sort: memory's pace."""
CORES = len(os.sched_getaffinity(0))
CORE_HOUR = 0.05
"""Dollars on demand."""


def planted(n: int, words: int = 4, seed: int = 0) -> np.ndarray:
    """Random codes, one in fifty (200,000 at most) a copy of another, 0 to 40 bits flipped: uint64 (n, words)."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << 64, (n, words), np.uint64)
    copies = min(n // 50, 200_000)
    rows = rng.choice(n, 2 * copies, replace=False, shuffle=True).reshape(2, -1)
    flips = rng.integers(0, 10 * words + 1, copies)
    order = np.argsort(rng.random((copies, 64 * words), dtype=np.float32), axis=1)
    bits = order < flips[:, None]
    codes[rows[1]] = codes[rows[0]] ^ np.packbits(bits, axis=1).view(np.uint64)
    return codes


def alone(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What `work` says, from a process of its own, with the peak of its memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    said = work(*arguments)
    return said | {"peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}


def ours(n: int, mode: str, words: int = 4, within: int = WITHIN) -> dict[str, Any]:
    from imageyard.ray_jobs.search.pairs import find_pairs

    find_pairs(planted(5000, words, 1), within, mode=mode)  # type: ignore[arg-type]  # compiled, or loaded
    codes = planted(n, words)
    start = time.perf_counter()
    found = find_pairs(codes, within, mode=mode)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    certificate = found.certificate
    return {
        "seconds": seconds,
        "pairs": len(found.first),
        "mode": certificate.mode,
        "exact_to": certificate.exact_to,
        "comparisons": certificate.comparisons,
        "sampled": f"{certificate.sampled_found} of {certificate.sampled_pairs}",
    }


def faiss_flat(n: int) -> dict[str, Any]:
    import faiss

    codes = planted(n).view(np.uint8)
    index = faiss.IndexBinaryFlat(256)
    index.add(codes)
    start = time.perf_counter()
    index.range_search(codes[:QUERIES], WITHIN + 1)  # strictly less
    return {"seconds": (time.perf_counter() - start) * n / QUERIES, "extrapolated_from": QUERIES}


def faiss_multihash(n: int) -> dict[str, Any]:
    """16 tables of 16 bits, one bit flipped in each query: exact within 31 bits, as ours."""
    import faiss

    codes = planted(n).view(np.uint8)
    index = faiss.IndexBinaryMultiHash(256, 16, 16)
    start = time.perf_counter()
    index.add(codes)
    built = time.perf_counter() - start
    index.nflip = 1
    start = time.perf_counter()
    index.range_search(codes[:QUERIES], WITHIN + 1)
    return {"seconds": built + (time.perf_counter() - start) * n / QUERIES, "extrapolated_from": QUERIES}


def apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def imagededup(n: int) -> dict[str, Any]:
    """Its BK-tree, in one process: its own pool of processes only shares out the queries."""
    whole = ("torchvision", "torchvision.transforms", "torchvision.models")
    for name in (*whole, "torchvision.models.vision_transformer"):  # its search needs none of them
        sys.modules.setdefault(name, MagicMock())
    from imagededup.handlers.search.bktree import BKTree

    codes = planted(n, 1)
    hashes = {str(row): f"{int(code):016x}" for row, code in enumerate(codes[:, 0])}

    start = time.perf_counter()
    tree = BKTree(hashes, apart)
    pairs = sum(len(tree.search(code, tol=10)) - 1 for code in hashes.values()) // 2
    return {"seconds": time.perf_counter() - start, "pairs": pairs}


def incremental(n: int, new: int) -> dict[str, Any]:
    """New codes against old ones, the old ones' pairs known; then groups of both, which must be the same."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from imageyard.ray_jobs.search.pairs import collapsed, find_pairs

    def groups(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
        graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(size, size))
        return connected_components(graph, directed=False)[1]

    codes = planted(n + new)
    codes = codes[collapsed(codes)[1]]
    n = len(codes) - new
    find_pairs(codes[:5000].copy(), WITHIN, mode="exact", fresh=4900)
    known = find_pairs(codes[:n].copy(), WITHIN, mode="exact")
    fulls, parts = [], []
    for _ in range(3):
        start = time.perf_counter()
        whole = find_pairs(codes, WITHIN, mode="exact")
        expected = groups(whole.first, whole.second, len(codes))
        fulls.append(time.perf_counter() - start)
        start = time.perf_counter()
        added = find_pairs(codes, WITHIN, mode="exact", fresh=n)
        first, second = np.concatenate([known.first, added.first]), np.concatenate([known.second, added.second])
        got = groups(first, second, len(codes))
        parts.append(time.perf_counter() - start)
    return {
        "full_seconds": sorted(fulls)[1],
        "incremental_seconds": sorted(parts)[1],
        "ratio": sorted(fulls)[1] / sorted(parts)[1],
        "same_groups": bool((expected == got).all()),
        "comparisons": [whole.certificate.comparisons, added.certificate.comparisons],
    }


def plan(n: int, rate: float, dollars: float) -> dict[str, Any]:
    """What `n` codes take on a cluster, on paper: from comparisons a second and core, and dollars a core hour."""
    from imageyard.ray_jobs.search.scheme import scheme_for
    from imageyard.ray_jobs.search.tasks import tasks_of

    said = {}
    for mode in ("exact", "lsh"):
        scheme = scheme_for(n, 256, WITHIN, mode)  # type: ignore[arg-type]
        tables = scheme.tables * n * BUILD_SECONDS
        hours = (scheme.comparisons(n) / rate + tables) / 3600
        said[mode] = {
            "codes_gb": n * 32 / 1e9,
            "task_gb": (n * 12 + (8 << max(slot.width for cut in scheme.cuts for slot in cut.slots)) * 3) / 1e9,
            "tasks": len(tasks_of(scheme, n, 0, WITHIN)),
            "recall at 31": round(scheme.recall(WITHIN), 4),
            "core hours": round(hours, 2),
            "dollars": round(hours * dollars, 2),
        }
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    n = asked.codes
    said: dict[str, Any] = {"codes": n}
    for mode in ("auto", "exact", "banded", "lsh"):
        said[f"ours, {mode}"] = alone(ours, n, mode)
    if importlib.util.find_spec("faiss"):
        said["faiss flat"] = alone(faiss_flat, n)
        said["faiss MultiHash"] = alone(faiss_multihash, n)
    said["64 bits within 10, 5,000 codes, ours"] = alone(ours, 5_000, "exact", 1, 10)
    if importlib.util.find_spec("imagededup"):
        said["64 bits within 10, 5,000 codes, imagededup's BK-tree"] = alone(imagededup, 5_000)
    said["incremental"] = alone(incremental, n, n // 100)
    sizes = [size for size in (n // 10, n, asked.large) if size]
    grown = {size: alone(ours, size, "exact") for size in sizes}
    said["growth"] = grown
    steps = [(sizes[0], sizes[-1])]
    said["growth exponent"] = {
        f"{low:,} to {high:,}": math.log(grown[high]["seconds"] / grown[low]["seconds"]) / math.log(high / low)
        for low, high in steps
    }
    largest = grown[sizes[-1]]
    rate = largest["comparisons"] / largest["seconds"] / CORES
    said["comparisons a second and core"] = rate
    for size in (100_000_000, 1_000_000_000):
        said[f"plan for {size:,}"] = plan(size, rate, CORE_HOUR)
    if asked.json:
        print(json.dumps(said, indent=1))
        return
    fastest = said["ours, auto"]["seconds"]
    for name, result in said.items():
        if isinstance(result, dict) and "seconds" in result:
            print(f"{name}: {result['seconds']:.2f} s, x {result['seconds'] / fastest:,.1f}; {result}")
        else:
            print(f"{name}: {result}")


if __name__ == "__main__":
    main()
