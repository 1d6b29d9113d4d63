"""The events of a job as a stream: those there were, then each as it comes, until the job has ended."""

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from imageyard.manifests.errors import ImageyardError, JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.ray_jobs.job_log import EVENT_ID, LAST
from imageyard.service.api.access import Place, streaming
from imageyard.service.api.jobs import JobName
from imageyard.service.api.problems import ALWAYS, ProblemError, not_found
from imageyard.service.api.yard import Yard, yard_of

router = APIRouter(prefix="/v1/datasets/{dataset}/jobs", tags=["jobs"], responses=ALWAYS)
LOOK_EVERY = 1.0
"""Seconds between two looks for events."""
UNTOLD = 5
"""Looks after which a job that has ended is not waited for to say so."""
STREAM_SECONDS = 3600.0
"""After this an event stream ends; clients ask again with the last id that they have seen."""
_log = logging.getLogger("imageyard.service")
_STREAM = {"content": {"text/event-stream": {}}, "description": "Events as they come, until the job has ended."}


@dataclass(frozen=True)
class Followed:
    """A job whose events are asked for."""

    store: Store
    job: str
    after: str | None


def followed(
    place: Annotated[Place, Depends(streaming("read"))],
    name: JobName,
    last: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="The id of the last event that was seen; 400 if it is the id of none.",
            json_schema_extra={"pattern": f"^{EVENT_ID.pattern}$"},
        ),
    ] = None,
) -> Followed:
    """A dependency: looked at before the stream begins, so that what is wrong is answered as a problem."""
    if last and not EVENT_ID.fullmatch(last):
        raise ProblemError(400, "header.Last-Event-ID is not the id of an event; send the last one that was received")
    if not job.known(place.dataset.store, name):
        raise not_found()
    return Followed(place.dataset.store, name, last or None)


@router.get(
    "/{job:job}/events",
    operation_id="follow_job",
    summary="Follow a job's events",
    response_class=EventSourceResponse,
    responses={200: _STREAM},
)
async def follow_job(
    asked: Annotated[Followed, Depends(followed)], yard: Annotated[Yard, Depends(yard_of)]
) -> AsyncIterator[ServerSentEvent]:
    """All there were, or with Last-Event-ID those after it, then each as it comes. Ends after the one that ends the
    job: committed, nothing, failed or cancelled; and after an hour, when a client asks again."""
    store, name, end = asked.store, asked.job, time.monotonic() + STREAM_SECONDS
    seen: set[str] = set()
    waited = 0
    try:
        names = await run_sync(job.event_ids, store, name)
        # Several write events, each by its own clock: what comes later may sort before what was seen.
        # The end is told again rather than never.
        seen.update(
            one
            for one in names
            if asked.after is not None and (one == asked.after or (one < asked.after and job.kind_of(one) not in LAST))
        )
        while not yard.stopping.is_set() and time.monotonic() < end:
            over = await run_sync(job.ended, store, name)
            for one in await run_sync(job.event_ids, store, name):
                if one not in seen:
                    seen.add(one)
                    try:
                        said = await run_sync(job.event, store, name, one)
                    except JobError as error:
                        _log.warning("an event is left out: %s", error)
                        continue
                    yield ServerSentEvent(data=said, event=job.kind_of(one), id=one)
            if over is not None and any(job.kind_of(one) == over.state for one in seen):
                return
            if over is not None and (waited := waited + 1) > UNTOLD:  # its event was never written
                yield ServerSentEvent(data={"kind": over.state, **over.model_dump()}, event=over.state)
                return
            await anyio.sleep(LOOK_EVERY)
    except ImageyardError as error:
        _log.warning("an event stream ends: %s", error)
