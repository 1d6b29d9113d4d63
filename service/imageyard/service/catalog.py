"""The datasets of one tenant: a folder each below its prefix, with numbered settings of which the newest counts."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from imageyard.manifests.errors import ChangedError, ExistsError, ImageyardError, NotFoundError
from imageyard.manifests.store import Store
from imageyard.service.stores import Stores

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_NAME = re.compile(NAME[1:-1])
RESERVED = frozenset(
    ("drop", "facts", "images", "index", "jobs", "manifests", "open", "settings", "statistics", "versions")
)
"""Names of folders within a dataset, which policies know by their names: no dataset has one."""
DIGITS = 20
_SETTINGS = re.compile(rf"[0-9]{{{DIGITS}}}\.json")
MOST_KNOWN = 10_000
"""Newest settings remembered, each a few hundred bytes."""
SIDE_BY_SIDE = 8
"""Datasets looked at together in a listing."""

Profile = Literal["lora-character", "lora-style", "lora-concept", "anomaly", "plain"]


class DatasetSettings(BaseModel):
    """What a team has decided about a dataset; written once, followed by the next number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    number: int
    name: str
    profile: Profile
    recipe: dict[str, Any] | None
    """As it was sent, without `dataset`; None for the profile's own."""
    watch: bool
    """Whether what arrives in the drop folder is taken in by itself."""
    deleted: bool = False
    by: str
    """Who set it: tenant/key."""
    at: str
    """When: YYYY-MM-DDTHH:MM:SS.ffffff, UTC."""

    @property
    def key(self) -> str:
        return settings_key(self.number)


class Catalog:
    """Datasets below `prefix`."""

    def __init__(self, prefix: str, stores: Stores, clock: Callable[[], datetime]) -> None:
        self.prefix, self._stores, self._clock = prefix, stores, clock
        self._known: OrderedDict[str, DatasetSettings] = OrderedDict()
        self._lock = threading.Lock()

    def url(self, name: str) -> str:
        """Of the dataset `name`, which must be a name: ImageyardError if it is none."""
        _check(name)
        return f"{self.prefix}/{name}"

    def store(self, name: str) -> Store:
        """The dataset's prefix, opened."""
        _check(name)
        return self._stores.below(self.prefix, name)

    def settings(self, name: str) -> DatasetSettings | None:
        """The newest settings of `name`, None if there have never been any; they may say that it is deleted.

        Always what the store says now: remembered is only where to look first.
        """
        _check(name)
        # By the tenant's own store: a name that somebody made up is not worth a store, nor the folder of one.
        store = self._stores.open(self.prefix)
        with self._lock:
            known = self._known.get(name)
        if known is None:
            numbers = _numbers(store, name)
            if not numbers:
                return None
            known = _read(store, name, numbers[-1])
        while (follower := _read_if_there(store, name, known.number + 1)) is not None:
            known = follower
        self._remember(known)
        return known

    def create(
        self, name: str, *, profile: Profile, recipe: dict[str, Any] | None, watch: bool, by: str
    ) -> DatasetSettings:
        """A new dataset, or one again that was deleted; ExistsError if it is there.

        Images and versions that lie there already, from before or from the command line, belong to it.
        """
        if name in RESERVED:
            raise ImageyardError(f"{name} is the name of a folder within datasets; choose another")
        newest = self.settings(name)
        if newest is not None and not newest.deleted:
            raise ExistsError(f"the dataset {name} is already there")
        number = newest.number + 1 if newest else 1
        said = {"profile": profile, "recipe": recipe, "watch": watch, "deleted": False, "by": by}
        return self._write(name, number, said)

    def change(self, settings: DatasetSettings, *, by: str, **changes: Any) -> DatasetSettings:
        """The settings that follow `settings`; ChangedError if others have followed already."""
        said = settings.model_dump(include={"profile", "recipe", "watch", "deleted"}) | changes | {"by": by}
        try:
            return self._write(settings.name, settings.number + 1, said)
        except ExistsError as error:
            raise ChangedError(
                f"the settings of {settings.name} were changed by somebody else; read them again"
            ) from error

    def listed(self, *, after: str = "", most: int = 100) -> list[DatasetSettings]:
        """Datasets that are there, in order of name, from the first name above `after`."""
        return list(islice(self.every(after=after), most))

    def every(self, *, after: str = "") -> Iterator[DatasetSettings]:
        """As `listed`, all of them."""
        names = sorted(
            name for name in self._stores.open(self.prefix).folders() if _NAME.fullmatch(name) and name > after
        )
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for start in range(0, len(names), SIDE_BY_SIDE):
                for settings in pool.map(self.settings, names[start : start + SIDE_BY_SIDE]):
                    if settings is not None and not settings.deleted:
                        yield settings

    def _write(self, name: str, number: int, said: dict[str, Any]) -> DatasetSettings:
        at = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        settings = DatasetSettings(number=number, name=name, at=at, **said)
        _check(name)
        self._stores.open(self.prefix).create(
            f"{name}/{settings.key}", (settings.model_dump_json(indent=1) + "\n").encode()
        )
        self._remember(settings)
        return settings

    def _remember(self, settings: DatasetSettings) -> None:
        with self._lock:
            known = self._known.pop(settings.name, settings)
            self._known[settings.name] = max(known, settings, key=lambda one: one.number)
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)


def settings_key(number: int) -> str:
    """Where the settings of a number lie in their dataset."""
    return f"settings/{number:0{DIGITS}d}.json"


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ImageyardError(f"{name[:80]!r} is no name of a dataset")


def _numbers(store: Store, dataset: str) -> Sequence[int]:
    names = (entry.key.rsplit("/", 1)[-1] for entry in store.list(f"{dataset}/settings"))
    return sorted(int(name[:DIGITS]) for name in names if _SETTINGS.fullmatch(name))


def _read(store: Store, dataset: str, number: int) -> DatasetSettings:
    key = f"{dataset}/{settings_key(number)}"
    try:
        return DatasetSettings.model_validate_json(store.get(key))
    except ValidationError as error:
        raise ImageyardError(f"{store.address(key)}: not settings that this release can read") from error


def _read_if_there(store: Store, dataset: str, number: int) -> DatasetSettings | None:
    try:
        return _read(store, dataset, number)
    except NotFoundError:
        return None
