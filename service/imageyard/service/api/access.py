"""What a route asks for: a key with a scope, and a dataset that is there.

    @router.get("", operation_id="list_jobs")
    def list_jobs(place: Annotated[Place, Depends(within("read"))]) -> ...:
        place.dataset, place.name, place.settings, place.caller

The key itself is looked at in `gate.py`, before a byte of the body is read. No `from __future__ import annotations`
here: FastAPI cannot resolve the names of an enclosing function.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from imageyard.manifests.dataset import Dataset
from imageyard.service.api.keys import Caller
from imageyard.service.api.problems import ProblemError, not_found
from imageyard.service.api.yard import Yard, yard_of
from imageyard.service.catalog import NAME, DatasetSettings
from imageyard.service.deployment import Scope

_BEARER = HTTPBearer(
    scheme_name="key", bearerFormat="iy_…", description="A key that `imageyard key` made.", auto_error=False
)
DatasetName = Annotated[
    str, Path(description="The dataset's name.", pattern=NAME, min_length=1, max_length=63, examples=["cats"])
]


@dataclass(frozen=True)
class Place:
    """A dataset of the caller's tenant, which exists."""

    caller: Caller
    name: str
    settings: DatasetSettings
    dataset: Dataset


def caller(scope: Scope) -> Callable[..., Caller]:
    """A dependency: who calls, with at least `scope`; 403 without it."""

    def found(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None) -> Caller:
        who = request.scope["state"].get("caller")
        if not isinstance(who, Caller):
            raise ProblemError(401, "send a key: Authorization: Bearer iy_…")
        if not who.may(scope):
            raise ProblemError(403, f"this needs a key with the scope {scope}; {who.name} has {', '.join(who.scopes)}")
        _refuse_strangers(request)
        return who

    return found


def _refuse_strangers(request: Request) -> None:
    """A misspelt filter would be no filter, and the answer everything."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = sorted(_queried(route.dependant))
    for name in request.query_params:
        if name not in known:
            close = difflib.get_close_matches(name[:50], known, n=1)
            there = (
                f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}" if known else "there is none"
            )
            raise ProblemError(422, f"query.{name[:50]} is no parameter of this address; {there}")


def _queried(dependant: Dependant) -> Iterable[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _queried(inner)


def within(scope: Scope) -> Callable[..., Place]:
    """A dependency: the dataset that the path names as `{dataset}`, for a caller with `scope`; 404 if there is none."""

    def found(
        dataset: DatasetName,
        who: Annotated[Caller, Depends(caller(scope))],
        yard: Annotated[Yard, Depends(yard_of)],
    ) -> Place:
        catalog = yard.catalog(who.tenant)
        settings = catalog.settings(dataset)
        if settings is None or settings.deleted:
            raise not_found()
        return Place(who, dataset, settings, Dataset(catalog.store(dataset)))

    return found


def streaming(scope: Scope) -> Callable[..., Iterator[Place]]:
    """As `within`, for event streams: it takes a place among the open ones until the answer has ended; else 429."""

    def found(
        place: Annotated[Place, Depends(within(scope))], yard: Annotated[Yard, Depends(yard_of)]
    ) -> Iterator[Place]:
        with yard.streams.place(place.caller.name):
            yield place

    return found
