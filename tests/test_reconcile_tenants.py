"""The reconcile loop over several tenants: each has its room, and none waits for the store of another."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imageyard.manifests import Dataset
from imageyard.ray_jobs import job
from imageyard.ray_jobs.submit import RayJobs
from imageyard.service.one_job import Limits
from imageyard.service.reconcile import Reconciler
from ray_api import TOKEN, RayApi, ray_api
from silent import silent_s3
from test_jobs import asked_of


@pytest.fixture
def api() -> Iterator[RayApi]:
    with ray_api() as server:
        yield server


@pytest.fixture
def acme(tmp_path: Path) -> Dataset:
    return Dataset.open((tmp_path / "acme" / "cats").as_uri())


@pytest.fixture
def zoo(tmp_path: Path) -> Dataset:
    return Dataset.open((tmp_path / "zoo" / "apes").as_uri())


def loop_of(api: RayApi, limits: Limits, **datasets: str) -> Reconciler:
    """A tenant for each name, with that dataset."""
    tenants = {name: lambda url=url: [url] for name, url in datasets.items()}  # type: ignore[misc]
    return Reconciler(tenants, RayJobs(api.address, TOKEN, timeout=30), limits=limits)


def submitted(dataset: Dataset, *names: str) -> None:
    for name in names:
        job.submit(dataset.store, asked_of(dataset, name))


def ended(dataset: Dataset, name: str) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    job.end(dataset.store, name, job.Ended(state="nothing", ended=job.stamp(clock())), clock=clock)


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


PATIENT = 120.0
"""Seconds for those who are not slow: a turn does not wait that long unless something is wrong."""


def test_while_the_store_of_one_tenant_does_not_answer_jobs_of_others_are_looked_after(
    zoo: Dataset, api: RayApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubles: list[str] = []
    with silent_s3(monkeypatch) as silent:
        loop = loop_of(api, Limits(slow=0.1), acme="s3://bucket/acme/cats", zoo=zoo.url)

        def handed(name: str) -> bool:
            troubles.extend(loop.once().troubles)
            return name in api.jobs

        for number in range(3):
            submitted(zoo, f"job-{number}")
            until(lambda number=number: handed(f"job-{number}-a1"))  # type: ignore[misc]
        assert silent.asked.wait(120)
        api.jobs.clear()
        until(lambda: handed("job-0-a2"))
        assert troubles == []  # all the while the other was waited for
        said = [record.getMessage() for record in caplog.records if "takes long" in record.getMessage()]
        assert len([line for line in said if "acme" in line]) == 1
        silent.answers.set()
        until(lambda: handed("") or any("permission denied" in trouble for trouble in troubles))


def test_a_place_that_becomes_free_is_given_to_who_has_waited_with_the_fewest(
    acme: Dataset, zoo: Dataset, api: RayApi
) -> None:
    submitted(acme, *(f"job-{number}" for number in range(6)))
    loop = loop_of(api, Limits(most=4, slow=PATIENT), acme=acme.url, zoo=zoo.url)
    assert [loop.once().live, loop.once().live] == [3, 3]  # the last place is for others
    submitted(zoo, "theirs-0", "theirs-1")
    assert loop.once().live == 4
    assert sorted(api.jobs) == ["job-0-a1", "job-1-a1", "job-2-a1", "theirs-0-a1"]
    ended(acme, "job-0")
    assert [loop.once().live, loop.once().live] == [3, 4]
    assert "theirs-1-a1" in api.jobs
    ended(zoo, "theirs-0")
    ended(zoo, "theirs-1")
    assert [loop.once().live, loop.once().live] == [2, 3]
    assert sorted(name for name in api.jobs if name.startswith("job")) == [f"job-{n}-a1" for n in range(4)]


def test_those_who_have_as_many_are_served_in_turn(acme: Dataset, zoo: Dataset, api: RayApi) -> None:
    submitted(acme, "a-0", "a-1", "a-2")
    loop = loop_of(api, Limits(most=1, slow=PATIENT), acme=acme.url, zoo=zoo.url)
    loop.once()
    submitted(zoo, "z-0", "z-1", "z-2")
    order = []
    for _ in range(6):
        loop.once()
        name = next(name for name in ("a-0", "a-1", "a-2", "z-0", "z-1", "z-2") if f"{name}-a1" in api.jobs)
        order.append(name)
        ended(acme if name.startswith("a") else zoo, name)
        api.jobs.clear()
        loop.once()
    assert order == ["a-0", "z-0", "a-1", "z-1", "a-2", "z-2"]


def test_a_cluster_that_is_away_is_away_for_all_tenants_and_that_is_said_once(
    acme: Dataset, zoo: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with ray_api() as api:
        pass
    submitted(acme, "ours")
    submitted(zoo, "theirs")
    loop = loop_of(api, Limits(slow=PATIENT), acme=acme.url, zoo=zoo.url)
    with caplog.at_level(logging.WARNING):
        assert "cannot be reached" in (loop.once().away or "")
        assert "asked again" in (loop.once().away or "")
    assert [record.getMessage() for record in caplog.records if "cannot be reached" in record.getMessage()] == [
        f"Ray at {api.address} cannot be reached (Connection refused)"
    ]
    with ray_api(RayApi(port=api.port)) as back:
        until(lambda: loop.once().away is None)
        assert sorted(back.jobs) == ["ours-a1", "theirs-a1"]
