"""What a service watches: the datasets whose settings say so, with the recipe they have now."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import pictures
from imageyard.manifests import Dataset
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.service.catalog import Catalog
from imageyard.service.deployment import Deployment, Key, Tenant, digest_of
from imageyard.service.stores import Stores
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.runners import LocalRunner
from imageyard.service.watch.tenants import watch, watched_in
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule
from jobs import DATE, drop, roles

INGEST = {"steps": ["ingest"]}


class Yard:
    """Two tenants of a deployment over a folder."""

    def __init__(self, folder: Path) -> None:
        tenants = [
            Tenant(
                name=name,
                prefix=(folder / name).as_uri(),
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

    def watched(self) -> list[str]:
        found = watched_in(self.deployment, self.catalog, tell=self.tell)
        return [one.url.rsplit("/", 2)[-2] + "/" + one.url.rsplit("/", 1)[-1] for one in found]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_what_settings_say_is_watched_and_nothing_else(yard: Yard) -> None:
    yard.create("acme", "cats", recipe=INGEST)
    yard.create("acme", "idle", recipe=INGEST, watch=False)
    yard.create("zoo", "apes")
    assert yard.watched() == ["acme/cats", "zoo/apes"]
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
    known: dict[str, list[Watched]] = {}
    for before, text in ((False, None), (True, "garbage")):
        if text is not None:
            broken.write_text(text)
        found = watched_in(yard.deployment, yard.catalog, tell=yard.tell, known=known)
        assert [one.url.rsplit("/", 1)[-1] for one in found] == ["cats", "apes"], before
    assert [kind for kind, _ in yard.said] == ["datasets"]
    assert yard.watched() == ["zoo/apes"]  # by who has never seen it otherwise


def test_a_tenant_whose_store_fails_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "acme").write_bytes(b"")  # no folder
    yard = Yard(tmp_path)
    yard.create("zoo", "apes", recipe=INGEST)
    assert yard.watched() == ["zoo/apes"]
    assert [(kind, said["tenant"]) for kind, said in yard.said] == [("datasets", "acme")]
    url = f"{yard.deployment.tenants[0].prefix}/cats"
    known = {"acme": [Watched(parse_recipe(INGEST, where="test", dataset=url), INGEST)]}
    found = watched_in(yard.deployment, yard.catalog, tell=yard.tell, known=known)
    assert [one.url for one in found] == [url, f"{yard.deployment.tenants[1].prefix}/apes"]


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
