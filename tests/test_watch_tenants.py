"""What a service watches: the datasets whose settings say so, with the recipe they have now."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import pictures
from imageyard.manifests import Dataset
from imageyard.ray_jobs import job
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.service.catalog import Catalog
from imageyard.service.deployment import Deployment, Key, Tenant, digest_of
from imageyard.service.stores import Stores
from imageyard.service.watch.cluster import AT_ONCE, ClusterRunner
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.runners import LocalRunner
from imageyard.service.watch.tenants import Wanted, watch
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule
from jobs import DATE, drop, roles, store_keys
from silent import silent_s3
from test_jobs import attempt

INGEST = {"steps": ["ingest"]}


class Yard:
    """Two tenants of a deployment over a folder, or elsewhere."""

    def __init__(self, folder: Path, **prefixes: str) -> None:
        tenants = [
            Tenant(
                name=name,
                prefix=prefixes.get(name, (folder / name).as_uri()),
                keys=(Key(name="key", sha256=digest_of(f"iy_{name}-{'x' * 40}"), scopes=("read",)),),
            )
            for name in ("acme", "zoo")
        ]
        self.deployment = Deployment(tenants=tuple(tenants), dev=True)
        self.catalogs = {tenant.name: Catalog(tenant.prefix, Stores(), lambda: datetime.now(UTC)) for tenant in tenants}
        self.said: list[tuple[str, dict[str, Any]]] = []

    def catalog(self, tenant: Tenant) -> Catalog:
        return self.catalogs[tenant.name]

    def create(self, tenant: str, name: str, *, recipe: dict[str, Any] | None = None, watch: bool = True) -> None:
        self.catalogs[tenant].create(name, profile="plain", recipe=recipe, watch=watch, by="the test")

    def tell(self, kind: str, **said: Any) -> None:
        self.said.append((kind, said))

    def wanted(self, *, slow: float = 55) -> Wanted:
        return Wanted(self.deployment, self.catalog, tell=self.tell, slow=slow)

    def watched(self) -> list[str]:
        found = self.wanted().read()
        return [one.url.rsplit("/", 2)[-2] + "/" + one.url.rsplit("/", 1)[-1] for one in found]


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_what_settings_say_is_watched_and_nothing_else(yard: Yard) -> None:
    yard.create("acme", "cats", recipe=INGEST)
    yard.create("acme", "idle", recipe=INGEST, watch=False)
    yard.create("zoo", "apes")
    assert yard.watched() == ["acme/cats", "zoo/apes"]
    assert [one.tenant for one in yard.wanted().read()] == ["acme", "zoo"]
    settings = yard.catalogs["acme"].settings("cats")
    assert settings is not None
    yard.catalogs["acme"].change(settings, by="the test", watch=False)
    assert yard.watched() == ["zoo/apes"]


def test_a_recipe_that_may_not_run_here_stops_no_other(yard: Yard) -> None:
    yard.create("acme", "cats", recipe={"steps": ["ingest", {"tag": {"model": "/etc/passwd"}}]})
    yard.create("acme", "dogs", recipe={"steps": [{"split": {"test": 0.5}}]})
    yard.create("zoo", "apes", recipe=INGEST)
    assert yard.watched() == ["zoo/apes"]
    assert [kind for kind, _ in yard.said] == ["unwatched", "unwatched"]


def test_settings_that_nobody_can_read_stop_no_other_tenant_and_nothing_that_was_watched(
    yard: Yard, tmp_path: Path
) -> None:
    yard.create("acme", "cats", recipe=INGEST)
    yard.create("zoo", "apes", recipe=INGEST)
    broken = tmp_path / "acme" / "cats" / "settings" / f"{2:020d}.json"
    wanted = yard.wanted()
    for before, text in ((False, None), (True, "garbage")):
        if text is not None:
            broken.write_text(text)
        assert [one.url.rsplit("/", 1)[-1] for one in wanted.read()] == ["cats", "apes"], before
    assert [kind for kind, _ in yard.said] == ["datasets"]
    assert yard.watched() == ["zoo/apes"]  # by who has never seen it otherwise


def test_a_tenant_whose_store_fails_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "acme").write_bytes(b"")  # no folder
    yard = Yard(tmp_path)
    yard.create("zoo", "apes", recipe=INGEST)
    assert yard.watched() == ["zoo/apes"]
    assert [(kind, said["tenant"]) for kind, said in yard.said] == [("datasets", "acme")]


def test_settings_of_others_are_read_while_the_store_of_one_tenant_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(tmp_path, acme="s3://bucket/acme")
    wanted = yard.wanted(slow=0.1)
    with silent_s3(monkeypatch) as silent:
        for name in ("apes", "bees"):
            yard.create("zoo", name, recipe=INGEST)
            until(lambda name=name: any(one.url.endswith(name) for one in wanted.read()))  # type: ignore[misc]
        assert silent.asked.wait(120)
        assert {said["tenant"] for _, said in yard.said} <= {"acme", "zoo"}
        assert all("no answer within 0.1 s" in said["error"] for _, said in yard.said)
        silent.answers.set()
        until(lambda: len(wanted.read()) == 2 and "permission denied" in yard.said[-1][1]["error"])


def test_a_drop_of_one_tenant_is_taken_in_while_the_stores_of_others_do_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one of them did not answer before anybody knew what is watched, those of the other only since then."""
    dataset = Dataset.open((tmp_path / "zoo" / "apes").as_uri())
    drop(dataset, {"a.jpg": pictures.photo(1, (48, 48))})
    yard = Yard(tmp_path, acme="s3://bucket/acme")
    yard.create("zoo", "apes", recipe=INGEST)
    urls = [f"s3://bucket/owls/{number}" for number in range(40)]
    owls = [Watched(parse_recipe(INGEST, where="test", dataset=url), INGEST, "owls") for url in urls]
    wanted = yard.wanted(slow=0.1)
    with silent_s3(monkeypatch) as silent:
        until(lambda: len(wanted.read()) == 1)
        runner = LocalRunner(LocalEngine, tmp_path, date=DATE)
        watcher = Watcher(lambda: [*owls, *wanted.read()], runner, pace=Pace(Rule(0.1, 10), every=1), tell=yard.tell)

        def taken_in() -> bool:
            watcher.turn()
            return bool(dataset.numbers())

        try:
            until(taken_in)
            assert silent.asked.is_set()
            assert [said for kind, said in yard.said if kind == "failed"] == []  # the others were waited for all along
        finally:
            silent.answers.set()
            watcher.end()


def test_long_windows_of_one_tenant_leave_places_for_those_of_others(tmp_path: Path, models: Path) -> None:
    class Clock:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    names = [*(("acme", f"cats-{number}") for number in range(AT_ONCE + 1)), ("zoo", "apes")]
    datasets = [Dataset.open((tmp_path / tenant / name).as_uri()) for tenant, name in names]
    for dataset in datasets:
        drop(dataset, {"a.jpg": pictures.photo(1, (48, 48))})
    watched = [
        Watched(parse_recipe(INGEST, where="test", dataset=dataset.url), INGEST, tenant)
        for dataset, (tenant, _) in zip(datasets, names, strict=True)
    ]
    *ours, theirs = datasets

    def tend() -> None:
        """Only those of the other tenant ever come to an end."""
        for name in (key.rsplit("/", 1)[-1] for key in store_keys(theirs.store, "open")):
            if job.known(theirs.store, name):  # the marker is there a moment before
                attempt(theirs, job.submission(theirs.store, name), models)

    clock, stopping = Clock(), threading.Event()
    runner = ClusterRunner(tend, pause=lambda seconds: stopping.wait(0.05))
    watcher = Watcher(lambda: watched, runner, pace=Pace(Rule(30, 10), every=1000), clock=clock, pause=stopping.wait)

    def going() -> int:
        watcher.turn()
        return sum(bool(store_keys(dataset.store, "open")) for dataset in ours)

    try:
        until(lambda: going() == 0 and watcher.counts.found == len(datasets))
        clock.now += 31
        until(lambda: going() >= AT_ONCE // 4 and theirs.numbers() == [1])
        assert (watcher.counts.windows, watcher.counts.failures) == (AT_ONCE // 4 + 1, 0)
    finally:
        watcher.stop()
        watcher.end()


def test_a_drop_of_a_watched_dataset_is_taken_in_until_the_service_stops(yard: Yard, tmp_path: Path) -> None:
    yard.create("acme", "cats", recipe=INGEST)
    dataset = Dataset.open(yard.catalogs["acme"].url("cats"))
    drop(dataset, {"a.jpg": pictures.photo(1, (48, 48))})
    stopping, watchers = threading.Event(), list[Watcher]()
    runner = LocalRunner(LocalEngine, tmp_path, date=DATE)
    thread = threading.Thread(
        target=watch,
        args=(yard.deployment, yard.catalog, runner, stopping),
        kwargs={"tell": yard.tell, "began": watchers.append, "pace": Pace(Rule(0.1, 10), every=1)},
    )
    thread.start()
    end = time.monotonic() + 60
    while not dataset.numbers() and time.monotonic() < end:
        time.sleep(0.05)
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()
    assert roles(dataset, dataset.newest()) == {"a.jpg": "unsplit"}
    assert watchers[0].counts.images <= 1
    assert watchers[0].lag() == 0
