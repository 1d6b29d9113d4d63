"""The application: the routers in one list, behind the gate and the edge.

To add a router: make `api/<noun>.py` with

    router = APIRouter(prefix="/v1/datasets/{dataset}/jobs", tags=["jobs"], responses=ALWAYS)

    @router.get("", operation_id="list_jobs", summary="List jobs")
    def list_jobs(place: Annotated[Place, Depends(within("read"))]) -> Jobs: ...

(`ALWAYS`, `WITH_BODY`, `answers`, `ProblemError` from `problems`; `caller`, `within`, `streaming`, `Place` from
`access`; `Yard`, `yard_of`, `note` from `yard`) and add it to `ROUTERS` below. Plain `def` routes run in threads, as
stores block. Raise `ProblemError(409, "…")` or any ImageyardError; every error becomes a problem. Give each route an
operation_id: the audit event is named by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig

from imageyard.service.api import datasets, health, job_events, jobs, problems, samples, statistics, uploads, versions
from imageyard.service.api.edge import Edge
from imageyard.service.api.gate import Gate
from imageyard.service.api.loops import Loop, running
from imageyard.service.api.yard import LabelStatistics, Yard
from imageyard.service.deployment import Deployment

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    datasets.router,
    uploads.router,
    jobs.router,
    job_events.router,
    versions.router,
    samples.router,
    statistics.router,
)

DOCUMENT = "/openapi.json"
UNTOLD: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Requests, with their bodies and keys, are nobody's to collect, whatever the environment says."""


def create_app(
    deployment: Deployment,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    labels: LabelStatistics | None = None,
    loops: Callable[[Yard], Sequence[Loop]] = lambda yard: (),
) -> FastAPI:
    """The application of `deployment`. It holds no state that a restart would lose: the bucket is the database.

    `loops` says what runs in the background for as long as the application does: reconciling, watching.
    """
    yard = Yard.of(deployment, clock=clock, labels=labels)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        import anyio.to_thread

        anyio.to_thread.current_default_thread_limiter().total_tokens = deployment.limits.threads
        patience = deployment.limits.shutdown_seconds
        # Starting is a moment; at the end, when these may be waited for, no request is open any more.
        with running(loops(yard), stopping=yard.stopping, patience=patience, failed=yard.metrics.loop_failed):
            yield
        yard.reading.close()

    app = FastAPI(
        title="Imageyard",
        version="1",
        summary="Image datasets on object storage, curated by Ray, frozen as versioned Ground Truth manifests.",
        docs_url=None,  # its page loads scripts from elsewhere, which our Content-Security-Policy forbids
        redoc_url=None,
        openapi_url=None,  # see _document
        redirect_slashes=False,
        telemetry=UNTOLD,
        lifespan=life,
        separate_input_output_schemas=False,
    )
    app.state.yard = yard
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    for route in app.routes:
        # FastAPI makes its routes when they are first asked for, which would hold up the first clients.
        route.matches({"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []})
    app.add_route(DOCUMENT, _document(app), include_in_schema=False)
    app.add_middleware(Gate, yard=yard)
    app.add_middleware(Edge, yard=yard)
    return app


def _document(app: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    """What answers with the description of `app`, written once: anybody may ask for it as often as they like."""
    written = lru_cache(maxsize=1)(lambda: orjson.dumps(app.openapi()))

    async def document(request: Request) -> Response:
        return Response(written(), media_type="application/json")

    return document
