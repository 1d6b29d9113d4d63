"""Whether the service lives and can work, and its numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from imageyard.service.api.problems import ProblemError, answers
from imageyard.service.api.readiness import Reach
from imageyard.service.api.yard import Yard, yard_of

router = APIRouter(tags=["health"])
TEXT = "text/plain; version=0.0.4; charset=utf-8"
_EVERYWHERE = answers(400, 405, 414, 421, 431, 500)


class Alive(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: Literal["ready"] = "ready"
    stores: int = Field(description="Tenants' stores that answer and create only once.")
    failing: int = Field(description="Those that do not: their tenants get 503, the others work on. See the log.")
    ray: Reach = Field(description="Jobs wait in the store while Ray is away, so this alone makes nothing unready.")


@router.get("/healthz", operation_id="healthz", summary="Whether the process lives", responses=_EVERYWHERE)
async def healthz() -> Alive:
    return Alive()


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Whether tenants' stores can be worked with",
    responses={**_EVERYWHERE, **answers(503)},
)
def readyz(yard: Annotated[Yard, Depends(yard_of)]) -> Ready:
    found = yard.readiness.look()
    if found is None:
        raise ProblemError(503, "the stores are being looked at, and have not answered yet")
    working = found.stores - len(found.failing)
    if not working:
        raise ProblemError(503, f"none of {found.stores} stores can be worked with; see the log")
    return Ready(stores=working, failing=len(found.failing), ray=found.ray)


@router.get("/metrics", operation_id="metrics", summary="Numbers for Prometheus", include_in_schema=False)
def metrics(yard: Annotated[Yard, Depends(yard_of)]) -> Response:
    return Response(yard.metrics.text(), media_type=TEXT)
