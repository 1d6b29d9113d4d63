"""Whether the service lives and can work, and its numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from imageyard.service.api.yard import Yard, yard_of

router = APIRouter(tags=["health"])
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Alive(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: Literal["alive"] = "alive"


@router.get("/healthz", operation_id="healthz", summary="Whether the process lives")
async def healthz() -> Alive:
    return Alive()


@router.get("/metrics", operation_id="metrics", summary="Numbers for Prometheus", include_in_schema=False)
def metrics(yard: Annotated[Yard, Depends(yard_of)]) -> Response:
    return Response(yard.metrics.text(), media_type=TEXT)
