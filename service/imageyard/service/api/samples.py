"""Samples: pages of them by role and condition, one by its key, and what people say of them, each a commit."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import SampleError, StaleError, VersionError
from imageyard.manifests.finding import find
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs.actions import Actions
from imageyard.ray_jobs.selecting import LONGEST
from imageyard.ray_jobs.statistics import Statistics
from imageyard.ray_jobs.verdicts import Acting, Counting, act
from imageyard.service.api.access import Place, within
from imageyard.service.api.paging import Cursor, after, cursor_of
from imageyard.service.api.problems import ALWAYS, WITH_BODY, ProblemError, answers, not_found
from imageyard.service.api.versions import EXPIRES, Number
from imageyard.service.api.yard import Yard, note, yard_of
from imageyard.service.reading import BusyError
from imageyard.service.sample_pages import Asked, CursorError, Placed, page

router = APIRouter(prefix="/v1/datasets/{dataset}", tags=["samples"], responses=ALWAYS)
OneRole = Annotated[Role | None, Query(description="Samples of this role; unset, all but the rejected.")]
Where = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=LONGEST,
        description="A condition on samples.",
        examples=['class == cat and not tag "1girl"'],
    ),
]
Images = Annotated[bool, Query(description="Whether each sample comes with a URL by which its image can be read.")]
Key = Annotated[
    str, Path(description="The sha256 of the image's bytes.", pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64)
]
_VERSION = re.compile(r'"([1-9][0-9]{0,17})"')


class PlacedSample(BaseModel):
    """A sample of a version."""

    model_config = ConfigDict(frozen=True)

    key: str = Field(description="What actions name it by.")
    role: Role
    image: str | None = Field(
        description="Where its image can be read without a key, for fifteen minutes; null where that was not asked "
        "for, the store has no signed URLs, or the image lies outside the dataset."
    )
    sample: dict[str, Any] = Field(description="The line of the manifest.")


class Samples(BaseModel):
    """A page of samples, in order of role and key; with a condition it may be short, even empty, and have a next."""

    model_config = ConfigDict(frozen=True)

    samples: tuple[PlacedSample, ...]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


class Committed(BaseModel):
    """What became of people's actions."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(description="The version that says so: a new one, or the newest if it said so already.")
    changed: tuple[str, ...] = Field(description="Keys of the samples that changed.")
    job: str


@router.get("/versions/{number}/samples", operation_id="list_samples", summary="List samples", response_model=Samples)
def list_samples(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    number: Number,
    role: OneRole = None,
    where: Where = None,
    images: Images = False,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Samples on a page at most.")] = 100,
) -> Response:
    """By role and condition. The cursor is good for the same role and condition of the same version."""
    version = yard.reading.version(place.dataset, number)
    asked = Asked(roles_of(role), where)
    start = after(cursor) if cursor is not None else None
    try:
        found = page(place.dataset.store, version, asked, cursor=start, most=limit, chunks=yard.reading.chunks)
    except CursorError as error:
        raise ProblemError(422, f"query.cursor is {error}") from None
    store = place.dataset.store if images else None
    following = cursor_of(found.following) if found.following is not None else None
    body = b'{"samples":[' + b",".join(_told(found.samples, store)) + b'],"next":' + orjson.dumps(following) + b"}"
    return Response(body, media_type="application/json")


@router.get(
    "/versions/{number}/samples/{key}",
    operation_id="describe_sample",
    summary="Describe a sample",
    response_model=PlacedSample,
)
def describe_sample(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    number: Number,
    key: Key,
    images: Images = False,
) -> Response:
    """With its role and everything that its line says."""
    version = yard.reading.version(place.dataset, number)
    found = find(place.dataset.store, version, key, yard.reading.chunks)
    if found is None:
        raise not_found()
    store = place.dataset.store if images else None
    (told,) = _told([Placed(found.role, found.line.sample)], store)
    return Response(told, media_type="application/json")


@router.post(
    "/samples:act",
    operation_id="act_on_samples",
    summary="Restore, reject, label, caption or move samples",
    responses={**WITH_BODY, **answers(409, 412)},
)
def act_on_samples(
    asked: Actions,
    request: Request,
    response: Response,
    place: Annotated[Place, Depends(within("submit"))],
    yard: Annotated[Yard, Depends(yard_of)],
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=40,
            description="The number of the newest version that was seen, in quotes.",
            examples=['"7"'],
        ),
    ] = None,
) -> Committed:
    """All of it becomes one new version, or nothing does. It stands whatever recipe runs later, until somebody says
    otherwise. Without If-Match it is applied to whatever is the newest version by then."""
    expected = _expected(if_match)
    acting = Acting(by=place.caller.name, clock=yard.clock, chunks=yard.reading.chunks, counting=_counting(yard))
    try:
        with yard.reading.alone(place.dataset):
            acted = act(place.dataset, asked, acting, expected=expected)
    except StaleError as error:
        raise ProblemError(412, str(error)) from None
    except (SampleError, VersionError) as error:
        raise ProblemError(422, str(error)) from None
    except BusyError as error:
        raise ProblemError(429, str(error), headers={"Retry-After": "5"}) from None
    note(request, version=acted.version.number, job=acted.version.job)
    response.headers["ETag"] = f'"{acted.version.number}"'
    return Committed(version=acted.version.number, changed=acted.changed, job=acted.version.job)


def roles_of(role: Role | None) -> tuple[Role, ...]:
    """The role that was asked for; for none all but the rejected."""
    return (role,) if role is not None else tuple(one for one in ROLES if one != "rejected")


def _counting(yard: Yard) -> Counting:
    """The numbers of a version, by which actions know its classes. Raises BusyError while a large one is counted."""

    def counted(dataset: Dataset, version: Version) -> Statistics:
        found = yard.reading.statistics(dataset, version)
        if found is None:
            raise BusyError(f"the classes of version {version.number} are being counted; try again in a moment")
        return found

    return counted


def _expected(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    parts = _VERSION.fullmatch(if_match.strip())
    if parts is None:
        raise ProblemError(412, 'If-Match is the number of a version in quotes, such as "7"')
    return int(parts[1])


def _told(samples: Iterable[Placed], store: Store | None) -> Iterable[bytes]:
    """Each as JSON, its line as it stands in the manifest."""
    for role, sample in samples:
        image = _image(store, sample) if store is not None else None
        head = orjson.dumps({"key": sample.key, "role": role, "image": image})
        yield head[:-1] + b',"sample":' + sample.line + b"}"


def _image(store: Store, sample: Sample) -> str | None:
    """A URL of the image, if it lies in the dataset: what lies elsewhere is not this service's to sign."""
    key = store.key_of(sample.source_ref)
    if key is None or not store.signs or any(segment in ("", ".", "..") for segment in key.split("/")):
        return None
    return store.sign(key, expires=EXPIRES)
