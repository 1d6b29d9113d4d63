"""A cluster that begins without workers: jobs ask for what an autoscaler may start, and wait for it."""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pictures
from gauge import Where
from imageyard.manifests import Store
from imageyard.manifests.errors import JobError
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.capacity import nodes_of
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.work import Item, Shard

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that works on nothing, to which nodes can be added."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        logging_level=50,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def waiting() -> int:
    """Actors for which there is no room: an autoscaler counts these."""
    import ray

    found: dict[str, dict[str, Any]] = ray._private.state.actors()
    return sum(one["State"] == "PENDING_CREATION" for one in found.values())


def cut(store: Store, extractor: Where, shards: int) -> list[Shard]:
    found = []
    for seed in range(shards):
        data = pictures.photo(seed, (40, 30))
        content = hashlib.sha256(data).hexdigest()
        store.create(f"images/{content}", data)
        found.append(Shard((Item(f"images/{content}", len(data), sha256=content),), (extractor,)))
    return found


def test_a_job_on_an_empty_cluster_asks_for_what_may_come_and_works_there(cluster: Any, tmp_path: Path) -> None:
    store, extractor = Store.open(f"file://{tmp_path}/data"), Where(meet=(f"{tmp_path}/met", 2))
    shards = cut(store, extractor, 8)
    with pytest.raises(JobError, match="none to give"):
        RayEngine(gpus=0.25).run(store, shards, lambda tally: None)

    engine = RayEngine(gpus=0.25, may_come=nodes_of('[{"most": 2, "CPU": 2, "GPU": 1}]'))
    job = threading.Thread(target=engine.run, args=(store, shards, lambda tally: None))
    job.start()
    end = time.monotonic() + 120
    while waiting() < 2:
        assert job.is_alive()
        assert time.monotonic() < end
        time.sleep(0.1)
    assert waiting() == 2
    cluster.add_node(num_cpus=2, num_gpus=1)
    job.join(240)
    assert not job.is_alive()
    rows = facts.read(store, extractor.identity(), [item.id for shard in shards for item in shard.items], ["pid"])
    assert len(rows) == 8
    assert len(set(rows.column("pid").to_pylist())) == 2
