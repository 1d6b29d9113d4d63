"""A search on Ray core: codes in the object store once a node, one pure task a table, pairs as Parquet."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import JobError, NotFoundError
from imageyard.manifests.store import Store
from imageyard.ray_jobs.search.tasks import Task, TaskResult, columns_of, run_task

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
"""Of what a task finds; raised when it would find anything else."""
RETRIES = 5
"""Times that a task is run again when the process or the node that ran it dies."""


def search_on_ray(store: Store, tasks: Sequence[Task], codes: np.ndarray) -> Iterable[TaskResult]:
    """The results of `tasks`, in their order, from whichever nodes of the connected cluster ran them.

    Each task writes what it found under a name made of the codes and the task, so a task that is run twice, or a
    search that is begun again, changes nothing and finds what is there. Raises JobError.
    """
    import numpy as np
    import ray
    from ray.exceptions import RayError, RayTaskError

    work: Any = ray.remote(_work).options(num_cpus=1, max_retries=RETRIES)
    known = hashlib.sha256(np.ascontiguousarray(codes).data).hexdigest()[:32]
    for cut, group in itertools.groupby(tasks, key=lambda task: task.cut):
        keys = {_key(known, task): task for task in group}
        done = {entry.key for entry in store.list(f"index/parts/{known}")}
        shared = ray.put(columns_of(codes, cut)) if any(key not in done for key in keys) else None
        running = {key: work.remote(store.url, key, task, shared) for key, task in keys.items() if key not in done}
        for key in keys:
            try:
                if key in running:
                    ray.get(running.pop(key))
            except RayTaskError as error:
                raise JobError(f"the search for pairs failed on a worker: {error.cause!r}") from error
            except RayError as error:
                reason = str(error).strip().splitlines()[0]
                raise JobError(
                    f"the search for pairs lost its workers {RETRIES} times ({reason}); run again"
                ) from error
            yield read_part(store, key)


def _key(codes: str, task: Task) -> str:
    """Where a task writes: named by the codes and all that the task is."""
    return f"index/parts/{codes}/{hashlib.sha256(repr((VERSION, task)).encode()).hexdigest()[:32]}.parquet"


def _work(url: str, key: str, task: Task, columns: np.ndarray) -> None:
    """Run a task in a process of its own, which opens the store itself, so that no credentials travel."""
    write_part(Store.open(url), key, run_task(task, columns))


def write_part(store: Store, key: str, result: TaskResult) -> None:
    """Write what a task found, once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = dict(zip(("first", "second", "distance"), result.pairs.T, strict=True))
    said = json.dumps({"comparisons": result.comparisons, "hot_buckets": result.hot_buckets})
    sink = io.BytesIO()
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table.replace_schema_metadata({"work": said}), sink, compression="zstd")
    store.ensure(key, sink.getvalue())


def read_part(store: Store, key: str) -> TaskResult:
    """What the task found that wrote `key`. Raises JobError if it is not there."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(store.get(key)))
    except NotFoundError as error:
        raise JobError(f"{store.address(key)}: a worker says it wrote this, but it is not there; run again") from error
    pairs = np.stack([table.column(name).to_numpy() for name in ("first", "second", "distance")], axis=1)
    return TaskResult(pairs, **json.loads(table.schema.metadata[b"work"]))
