"""Jobs: submit a recipe, list, describe, cancel, and see what came of it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import StreamingResponse

from imageyard.manifests.errors import JobMissingError, NotFoundError
from imageyard.manifests.store import PART, Store
from imageyard.ray_jobs import job
from imageyard.ray_jobs.job_records import JOB_ID, SUBMITTED, State
from imageyard.ray_jobs.report_script import POLICY
from imageyard.service.api import samples
from imageyard.service.api.access import Place, within
from imageyard.service.api.paging import Cursor, after, cursor_of
from imageyard.service.api.problems import ALWAYS, WITH_BODY, ProblemError, answers
from imageyard.service.api.yard import Yard, note, yard_of
from imageyard.service.asked import recipe_of
from imageyard.service.profiles import RECIPES


class _JobIdConvertor(StringConvertor):
    """A segment of a path up to the colon before what is to be done with the job."""

    regex = "[^/:]+"


register_url_convertor("job", _JobIdConvertor())
router = APIRouter(prefix="/v1/datasets/{dataset}/jobs", tags=["jobs"], responses=ALWAYS)
JobName = Annotated[
    str, Path(alias="job", description="The job's id.", pattern=f"^{JOB_ID.pattern}$", min_length=1, max_length=63)
]
REPORT_BYTES = 64 * 1024 * 1024
REPORT_POLICY = f"{POLICY}; frame-ancestors 'none'; sandbox allow-scripts"
"""The report's own policy, and in a browser an origin of its own: nothing of the service can be reached from it."""


class NewJob(BaseModel):
    """What is to be done."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    recipe: dict[str, Any] | None = Field(
        default=None,
        description="As in a recipe file, without `dataset`; null for the dataset's own.",
        examples=[{"steps": [{"ingest": {}}, {"validate": {"min_side": 256}}, {"dedup": {}}]}],
    )
    name: str = Field(
        default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", description="For people: one line."
    )
    drop: bool = Field(default=True, description="Whether what lies in the drop folder is taken in.")
    options: job.Options = Field(default=job.Options(), description="How it is spread over the cluster.")


class Accepted(BaseModel):
    """A job that will run."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    created: str
    by: str


class Jobs(BaseModel):
    """A page of jobs, the newest first; with a state it may be short, even empty, and have a next one."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[job.JobStatus, ...]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


_LOCATION = {"headers": {"Location": {"schema": {"type": "string"}, "description": "Of the job."}}}
_REPORT = {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "One page, complete in itself."}


@router.post(
    "",
    status_code=202,
    operation_id="submit_job",
    summary="Submit a recipe",
    responses={**WITH_BODY, 202: _LOCATION},
)
def submit_job(
    asked: NewJob,
    request: Request,
    response: Response,
    place: Annotated[Place, Depends(within("submit"))],
    yard: Annotated[Yard, Depends(yard_of)],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Of the client's choice: sent again with the same body, it is the same job; with another, 422.",
        ),
    ] = None,
) -> Accepted:
    """It is kept before this answers, and runs when the cluster has room; follow the events, or ask how it stands."""
    url, now = place.dataset.url, yard.clock()
    if SUBMITTED.fullmatch(f"{url}/jobs/a/submitted.json") is None and not yard.deployment.dev:
        raise ProblemError(501, "the dataset lies where no cluster can read it")
    recipe = asked.recipe
    if recipe is not None:
        recipe_of(recipe, dataset=url, tenant=place.caller.tenant, deployment=yard.deployment)
        recipe = {name: value for name, value in recipe.items() if name != "dataset"}
    own = place.settings.recipe if place.settings.recipe is not None else dict(RECIPES[place.settings.profile])
    submission = job.Submission(
        id=_id(place, idempotency_key) if idempotency_key is not None else job.new_id(now),
        dataset=url,
        recipe=recipe if recipe is not None else own,
        name=asked.name,
        created=job.stamp(now),
        by=place.caller.name,
        drop=asked.drop,
        options=asked.options,
        request=_digest(asked.model_dump(mode="json")) if idempotency_key is not None else None,
    )
    store, most = place.dataset.store, yard.deployment.limits.open_jobs
    if not yard.jobs.room(store, most) and not job.known(store, submission.id):
        said = f"{most} jobs of this dataset have not ended; wait for some, or cancel them"
        raise ProblemError(429, said, headers={"Retry-After": "60"})
    stands = job.submit(store, submission)
    note(request, job=stands.id)
    response.headers["Location"] = f"/v1/datasets/{place.name}/jobs/{stands.id}"
    return Accepted(id=stands.id, name=stands.name, created=stands.created, by=stands.by)


@router.get("", operation_id="list_jobs", summary="List jobs, the newest first")
def list_jobs(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    state: Annotated[State | None, Query(description="Jobs in this state; unset, in any.")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs on a page at most.")] = 20,
) -> Jobs:
    """Those of the service, of the command line, and of people's actions on samples."""
    try:
        found = yard.jobs.page(place.dataset.store, yard.clock, start=after(cursor), most=limit, state=state)
    except ValueError:
        raise ProblemError(422, "query.cursor is none of this list; take `next` of the page before") from None
    return Jobs(jobs=found.jobs, next=cursor_of(found.following) if found.following is not None else None)


@router.get("/{job:job}", operation_id="describe_job", summary="Describe a job")
def describe_job(
    place: Annotated[Place, Depends(within("read"))], yard: Annotated[Yard, Depends(yard_of)], name: JobName
) -> job.JobStatus:
    """How it stands, what it has done, and what it waits for."""
    return yard.jobs.describe(place.dataset.store, name, yard.clock)


@router.post("/{job:job}:cancel", operation_id="cancel_job", summary="Cancel a job", responses=answers(409))
def cancel_job(
    place: Annotated[Place, Depends(within("submit"))], yard: Annotated[Yard, Depends(yard_of)], name: JobName
) -> job.JobStatus:
    """It ends without a version: at once if it has not begun, else in a moment. One that has ended stays as it is."""
    store = place.dataset.store
    try:
        return job.cancel(store, name, by=place.caller.name, clock=yard.clock)
    except JobMissingError:
        if job.known(store, name):
            raise ProblemError(409, "this job was not submitted; it is ended where it runs") from None
        raise


@router.get(
    "/{job:job}/rejected",
    operation_id="list_rejected",
    summary="List the rejected samples of the version that a job made",
    response_model=samples.Samples,
    responses=answers(409),
)
def list_rejected(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    name: JobName,
    images: samples.Images = False,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Samples on a page at most.")] = 100,
) -> Response:
    """Each with its check, the measured value and the threshold, in order of key."""
    status = yard.jobs.describe(place.dataset.store, name, yard.clock)
    if status.state != "committed" or status.version is None:
        raise ProblemError(409, f"job {name} has made no version: it is {status.state}")
    return samples.list_samples(place, yard, status.version, role="rejected", images=images, cursor=cursor, limit=limit)


@router.get(
    "/{job:job}/report",
    operation_id="read_report",
    summary="The report of a job",
    response_class=Response,
    responses={200: _REPORT, **answers(409, 501)},
)
def read_report(place: Annotated[Place, Depends(within("read"))], name: JobName) -> Response:
    """A page for people, with pictures; it loads nothing and sends nothing."""
    store, key = place.dataset.store, f"jobs/{name}/report.html"
    try:
        size = store.head(key).size
    except NotFoundError:
        if job.known(store, name):
            raise ProblemError(409, f"job {name} has no report; one that commits a version writes it") from None
        raise
    if size > REPORT_BYTES:
        raise ProblemError(501, "the report is too large to be shown here; read it where the dataset lies")
    headers = {"Content-Security-Policy": REPORT_POLICY, "Content-Length": str(size)}
    return StreamingResponse(_parts(store, key, size), media_type="text/html; charset=utf-8", headers=headers)


def _parts(store: Store, key: str, size: int) -> Iterator[bytes]:
    """An object that never changes, in parts: who reads slowly holds one of them."""
    for start in range(0, size, PART):
        yield store.get_range(key, start, min(PART, size - start))


def _id(place: Place, key: str) -> str:
    """The id of the job that a key of the client's stands for, in this tenant and dataset."""
    said = json.dumps([place.caller.tenant.name, place.name, key])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _digest(asked: object) -> str:
    """Of a request, however it was spaced and ordered."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
