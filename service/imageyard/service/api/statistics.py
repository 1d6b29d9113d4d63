"""Statistics: what a version holds in numbers, and its tags; counted once, as a version never changes."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from imageyard.ray_jobs.analysis.tag_numbers import Source
from imageyard.ray_jobs.statistics import Statistics
from imageyard.service.api.access import Place, within
from imageyard.service.api.problems import ALWAYS
from imageyard.service.api.samples import OneRole, Where, roles_of
from imageyard.service.api.versions import Number
from imageyard.service.api.yard import Yard, yard_of
from imageyard.service.reading import owner_of
from imageyard.service.sample_pages import Asked
from imageyard.service.tag_counts import COUNTED, TagsAsked, tags_told

router = APIRouter(prefix="/v1/datasets/{dataset}/versions/{number}", tags=["statistics"], responses=ALWAYS)
SECONDS = 2
"""After which to ask again."""
Trigger = Annotated[str, Field(min_length=1, max_length=200)]


class Counting(BaseModel):
    """It is being counted."""

    model_config = ConfigDict(frozen=True)

    counting: bool = True
    version: int


class TagsTold(BaseModel):
    """Numbers of tags, of the images that were counted."""

    model_config = ConfigDict(frozen=True, extra="allow")

    of: int = Field(description="Samples of the roles that were asked for.")
    partly: bool = Field(description="Whether only some of them were looked at.")
    images: int = Field(description="Images counted.")
    tagged: int
    vocabulary: int
    tags: tuple[dict[str, Any], ...] = Field(description="The most frequent first.")


_LATER: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Counting,
        "description": "It is being counted; ask again in a moment.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    }
}


@router.get(
    "/statistics",
    operation_id="count_samples",
    summary="Counts by role, class, tag, caption and reason",
    response_model=Statistics,
    responses=_LATER,
)
def count_samples(
    place: Annotated[Place, Depends(within("read"))], yard: Annotated[Yard, Depends(yard_of)], number: Number
) -> Response:
    """Counted once and kept. A large version answers 202 while it is counted for the first time."""
    version = yard.reading.version(place.dataset, number)
    found = yard.reading.statistics(place.dataset, version)
    if found is None:
        return _later(number)
    return Response(found.model_dump_json(), media_type="application/json")


@router.get(
    "/tags",
    operation_id="count_tags",
    summary="Tags: how often, which together, which twice, what is missing",
    response_model=TagsTold,
    responses=_LATER,
)
def count_tags(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    number: Number,
    role: OneRole = None,
    where: Where = None,
    source: Annotated[Source | None, Query(description="Where tags are; unset, in the pair `tags` if any is.")] = None,
    trigger: Annotated[
        list[Trigger] | None, Query(max_length=6, description="Trigger words; unset, those of the recipe.")
    ] = None,
    top: Annotated[int, Query(ge=1, le=500, description="Tags to list at most.")] = 100,
) -> dict[str, Any] | Response:
    """Of a large version some thousand images are counted, as good as drawn by lot; the answer says how many."""
    version = yard.reading.version(place.dataset, number)
    asked = TagsAsked(Asked(roles_of(role), where), source, tuple(trigger or ()), top)
    asked.samples.matches()
    found = yard.reading.counted(
        ("tags", place.dataset.url, number, asked),
        lambda: tags_told(place.dataset, version, asked, yard.reading.chunks),
        large=sum(entry.lines for entry in version.manifests.values()) > COUNTED,
        owner=owner_of(place.dataset),
    )
    return found if found is not None else _later(number)


def _later(number: int) -> Response:
    return JSONResponse(Counting(version=number).model_dump(), status_code=202, headers={"Retry-After": str(SECONDS)})
