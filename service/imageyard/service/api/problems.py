"""Every error as RFC 9457 has it: one shape, application/problem+json, no internals and no echo of what was sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from imageyard.manifests.errors import (
    ChangedError,
    CommitError,
    ExistsError,
    ImageyardError,
    JobError,
    JobMissingError,
    JobTakenError,
    ModelError,
    NotFoundError,
    RecipeError,
    SampleError,
    StoreError,
    VersionError,
)
from imageyard.service.reading import BusyError

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 10
LONGEST = 1000
"""Characters of a detail: a person's text may be in it."""
_TITLES: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "Bad request"),
    401: ("unauthenticated", "A valid key is needed"),
    403: ("scope-missing", "The key may not do this"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    406: ("not-acceptable", "Not acceptable"),
    408: ("too-slow", "The body came too slowly"),
    409: ("conflict", "Conflict"),
    411: ("length-required", "Length required"),
    412: ("precondition-failed", "It has changed"),
    413: ("body-too-large", "The body is too large"),
    414: ("url-too-long", "The URL is too long"),
    415: ("unsupported-media-type", "Unsupported media type"),
    421: ("wrong-host", "Not a host of this service"),
    422: ("invalid", "Something in the request cannot be used"),
    428: ("precondition-required", "If-Match is needed"),
    429: ("too-many-requests", "Too many requests"),
    431: ("headers-too-large", "The headers are too large"),
    500: ("internal", "Internal error"),
    501: ("not-supported", "Not supported here"),
    503: ("unavailable", "Not available now"),
}
NOTHING_HERE = "there is no such thing, or it is not this key's to see"
_KINDS: tuple[tuple[type[ImageyardError], int], ...] = (
    (NotFoundError, 404),
    (ExistsError, 409),
    (ChangedError, 409),
    (StoreError, 503),
    (SampleError, 422),
    (VersionError, 404),
    (CommitError, 409),
    (RecipeError, 422),
    (ModelError, 422),
    (JobMissingError, 404),
    (JobTakenError, 422),
    (JobError, 409),
    (BusyError, 429),
)
_log = logging.getLogger("imageyard.service")


class Fault(BaseModel):
    """One thing in the request that cannot be used."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(examples=["body.name"])
    message: str = Field(examples=["String should match pattern '^[a-z0-9]…'"])


class Problem(BaseModel):
    """What went wrong, as RFC 9457 says it."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(examples=["urn:imageyard:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=[NOTHING_HERE])
    request_id: str = Field(description="Say it when you ask for help.", examples=["5f0c0f7a2b1d4c6e"])
    faults: tuple[Fault, ...] | None = Field(default=None, description="With 422: what, field by field.")


class ProblemError(Exception):
    """Raised anywhere below a route: this status and detail are the answer. The detail is shown to the caller."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def not_found() -> ProblemError:
    """The one answer to what is not there and to what is another's."""
    return ProblemError(404, NOTHING_HERE)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a router or a route: these statuses are problems. Those every route has are in `ALWAYS`."""
    return {status: {"description": _TITLES[status][1], "content": _CONTENT} for status in statuses}


_CONTENT: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
ALWAYS = answers(400, 401, 403, 404, 405, 414, 421, 422, 429, 431, 500, 503)
"""What any route of /v1 may answer besides its own."""
WITH_BODY = answers(408, 413, 415)
"""What routes that take a body may answer besides."""


def respond(
    request_id: str,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[Fault] | None = None,
) -> Response:
    """The response of a problem."""
    slug, title = _TITLES.get(status, ("error", "Error"))
    problem = Problem(
        type=f"urn:imageyard:problem:{slug}",
        title=title,
        status=status,
        detail=shortened(detail, LONGEST),
        request_id=request_id,
        faults=tuple(faults) if faults else None,
    )
    more = dict(headers or {})
    if status == 401:
        more.setdefault("WWW-Authenticate", 'Bearer realm="imageyard"')
    if status in (429, 503):
        more.setdefault("Retry-After", "5")
    return Response(problem.model_dump_json(exclude_none=True), status, more, MEDIA_TYPE)


def shortened(text: str, most: int) -> str:
    """`text` on one line, of at most `most` characters, without control characters."""
    plain = "".join(char if char.isprintable() else " " for char in text[: most + 1])
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def install(app: FastAPI) -> None:
    """Let `app` answer every error as a problem."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(ImageyardError, _imageyard)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    described = app.openapi

    def with_problems() -> dict[str, Any]:
        document = described()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if Problem.__name__ not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[Problem.__name__] = schema
        return document

    app.openapi = with_problems  # type: ignore[method-assign]  # as FastAPI says to extend the document


def _id(request: Request) -> str:
    return str(request.state.request_id)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  # for the type checker
    return respond(_id(request), error.status, error.detail, headers=error.headers)


async def _imageyard(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _KINDS if isinstance(error, kind)), 500)
    if status == 404 and not isinstance(error, VersionError):
        return respond(_id(request), 404, NOTHING_HERE)
    if status == 503:
        _log.error("the store failed: %s", error, extra={"request_id": _id(request)})
        return respond(_id(request), 503, "the store did not do what was asked of it; try again in a moment")
    if status == 500:
        _log.error("a request failed: %s", error, extra={"request_id": _id(request)})
        return respond(_id(request), 500, "something stored is not as it must be; the log says what")
    return respond(_id(request), status, str(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # for the type checker
    found = _without_echoes(error.errors())
    faults = [_fault(one) for one in found[:MOST_FAULTS]]
    first = f"{faults[0].field}: {faults[0].message}" if faults else "the request cannot be read"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return respond(_id(request), 422, first + more, faults=faults)


def _without_echoes(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what is said of a list only because something in it is wrong: that it is too short."""
    within = {fault["loc"][:depth] for fault in found for depth in range(len(fault["loc"]))}
    return [fault for fault in found if fault["type"] != "too_short" or fault["loc"] not in within]


def _fault(found: Mapping[str, Any]) -> Fault:
    if found["type"] == "json_invalid":
        why = shortened(str(found.get("ctx", {}).get("error", "not JSON")), 100)
        return Fault(field="body", message=f"is no JSON, from character {found['loc'][-1]} on ({why})")
    return Fault(
        field=shortened(".".join(str(part) for part in found["loc"]), 120),
        message=shortened(str(found["msg"]).removeprefix("Value error, "), 300),
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # for the type checker
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return respond(_id(request), 404, NOTHING_HERE)
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
        return respond(_id(request), 405, f"this address knows {headers['Allow']}", headers=headers)
    return respond(_id(request), error.status_code, str(error.detail), headers=headers)


def _allowed(request: Request) -> set[str]:
    """The methods of every route that this path means."""
    allowed: set[str] = set()
    for route in request.app.routes:
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            match, _ = route.matches({**request.scope, "method": method})
            if match is Match.FULL:
                allowed.add(method)
    return allowed
