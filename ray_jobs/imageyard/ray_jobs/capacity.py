"""How many workers the nodes of a cluster have room for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

EXACT = 4
"""Decimals of a resource that Ray keeps."""


def room(nodes: Iterable[Mapping[str, float]], *, cpus: int, gpus: float = 0) -> int:
    """How many workers of `cpus` CPUs and `gpus` GPUs fit on `nodes`, each the resources of a node, all of it free.

    A share of a GPU is of one GPU: of 0.6 one fits on each, and on two nodes of one GPU no worker with two.
    """
    return sum(_fitting(node, cpus, gpus) for node in nodes)


def _fitting(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    by_cpus = math.floor(node.get("CPU", 0) / cpus)
    if not gpus:
        return by_cpus
    whole = math.floor(node.get("GPU", 0))
    by_gpus = whole * math.floor(round(1 / gpus, EXACT)) if gpus <= 1 else math.floor(whole / gpus)
    return min(by_cpus, by_gpus)
