"""Compile what is compiled, once for a machine or an image of one: `python -m imageyard.ray_jobs.warm`.

Whoever does not, waits for it in the first job that compares more than some thousand images, or crops.
"""

from __future__ import annotations

from imageyard.ray_jobs.search.scheme import Mode

MODES: tuple[Mode, ...] = ("exact", "banded")


def warm() -> None:
    """Run every compiled function on as little as it takes; what comes of it stays beside the modules, or in the cache.

    Half a minute the first time and two seconds after.
    """
    import numpy as np

    from imageyard.ray_jobs.alike import agreement
    from imageyard.ray_jobs.extractors.phash import SIDE
    from imageyard.ray_jobs.leaders import walk
    from imageyard.ray_jobs.search.pairs import find_pairs

    numbers = np.random.default_rng(0)
    pictures = numbers.integers(0, 255, (2, SIDE, SIDE), np.uint8)
    agreement(pictures, pictures[::-1].copy())
    for words in (1, 4):
        codes = numbers.integers(0, 1 << 64, (64, words), np.uint64)
        for mode in MODES:
            find_pairs(codes, 8, mode=mode, fresh=32)
    order, none = np.arange(2), np.zeros(0, np.int64)
    walk(order, order, none, order[:, None], np.zeros(3, np.int64), none, np.zeros(0), fast=True)


if __name__ == "__main__":
    warm()
