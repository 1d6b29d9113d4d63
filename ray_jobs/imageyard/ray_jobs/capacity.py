"""How many workers a cluster has room for, on the nodes that are there and on those that it may be given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from imageyard.manifests.errors import JobError

EXACT = 4
"""Decimals of a resource that Ray keeps."""
WORTH = 4
"""Shards for which a worker is worth a node that is not there yet."""
NODES = "IMAGEYARD_NODES"
"""What the environment calls the nodes that may be added: Ray's autoscaler tells a job nothing of them."""

Resources = Mapping[str, float]
"""Of a node, by Ray's names."""


class _Group(BaseModel):
    """Nodes of one kind that an autoscaler may start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most: int = Field(ge=0, le=10_000)
    CPU: float = Field(ge=0)
    GPU: float = Field(default=0, ge=0)


_GROUPS = TypeAdapter(tuple[_Group, ...])


def nodes_of(said: str) -> tuple[Resources, ...]:
    """Nodes that an autoscaler may have at most, out of `[{"most": 20, "CPU": 7}, {"most": 8, "CPU": 6, "GPU": 1}]`.

    Raises JobError for anything else.
    """
    if not said.strip():
        return ()
    try:
        groups = _GROUPS.validate_json(said)
    except ValidationError as error:
        raise JobError(
            f"{NODES} is {said[:200]!r}; it must say which nodes the autoscaler may start, such as "
            '[{"most": 20, "CPU": 7}, {"most": 8, "CPU": 6, "GPU": 1}]'
        ) from error
    return tuple({"CPU": group.CPU, "GPU": group.GPU} for group in groups for _ in range(group.most))


def wanted(
    nodes: Sequence[Resources], may_come: Sequence[Resources], *, cpus: int, gpus: float = 0, shards: int
) -> int:
    """How many workers to ask for: all that `nodes` have room for, or more where there is work for nodes that may come.

    At least one. Workers that find no room wait, which is what an autoscaler counts.
    """
    more = min(room(may_come, cpus=cpus, gpus=gpus), math.ceil(shards / WORTH))
    return max(1, room(nodes, cpus=cpus, gpus=gpus), more)


def room(nodes: Iterable[Resources], *, cpus: int, gpus: float = 0) -> int:
    """How many workers of `cpus` CPUs and `gpus` GPUs fit on `nodes`, each the resources of a node, all of it free.

    A share of a GPU is of one GPU: of 0.6 one fits on each, and on two nodes of one GPU no worker with two.
    """
    return sum(_fitting(node, cpus, gpus) for node in nodes)


def _fitting(node: Resources, cpus: int, gpus: float) -> int:
    by_cpus = math.floor(node.get("CPU", 0) / cpus)
    if not gpus:
        return by_cpus
    whole = math.floor(node.get("GPU", 0))
    by_gpus = whole * math.floor(round(1 / gpus, EXACT)) if gpus <= 1 else math.floor(whole / gpus)
    return min(by_cpus, by_gpus)
