"""Datasets: create, list, describe, change, delete; images and versions stay whatever is done here."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from pydantic.json_schema import SkipJsonSchema

from imageyard.manifests.errors import ExistsError, JobError
from imageyard.manifests.version import Version
from imageyard.ray_jobs import job
from imageyard.ray_jobs.recipe import Recipe as ParsedRecipe
from imageyard.service.api.access import Place, caller, within
from imageyard.service.api.keys import Caller
from imageyard.service.api.paging import Cursor, after, cursor_of
from imageyard.service.api.problems import ALWAYS, WITH_BODY, ProblemError, answers
from imageyard.service.api.yard import Yard, note, yard_of
from imageyard.service.asked import recipe_of
from imageyard.service.catalog import NAME, RESERVED, DatasetSettings, Profile
from imageyard.service.profiles import RECIPES

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], responses=ALWAYS)
Recipe = dict[str, Any]
_RECIPE = Field(
    default=None,
    description="As in a recipe file, without `dataset`; null for the profile's own.",
    examples=[{"steps": [{"ingest": {}}, {"validate": {"min_side": 256}}, {"dedup": {}}]}],
)


class NewDataset(BaseModel):
    """A dataset to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME, max_length=63, examples=["cats"])
    profile: Profile = Field(default="plain", description="What it is for: decides the recipe where none is given.")
    recipe: Recipe | None = _RECIPE
    watch: StrictBool = Field(
        default=False, description="Whether what arrives in the drop folder is taken in by itself."
    )


class Changes(BaseModel):
    """What is to be different; what is not named stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Profile | SkipJsonSchema[None] = None
    recipe: Recipe | None = _RECIPE
    watch: StrictBool | SkipJsonSchema[None] = None


class Newest(BaseModel):
    """The newest version."""

    model_config = ConfigDict(frozen=True)

    number: int
    created: str
    job: str
    samples: dict[str, int] = Field(description="By role.", examples=[{"train": 900, "rejected": 12}])
    counts: dict[str, int]


class Described(BaseModel):
    """A dataset."""

    model_config = ConfigDict(frozen=True)

    name: str
    url: str = Field(examples=["s3://bucket/acme/cats"])
    profile: Profile
    recipe: Recipe = Field(description="What jobs of this dataset do if they name no other.")
    own_recipe: bool = Field(description="Whether it was sent; else it is the profile's.")
    watch: bool
    settings: int = Field(description="The number of these settings: the ETag, for If-Match.")
    by: str
    at: str


class DescribedInFull(Described):
    """A dataset with what its newest version holds."""

    version: Newest | None
    labels: dict[str, Any] | None = Field(description="Label statistics of the newest version, where they are known.")


class Datasets(BaseModel):
    model_config = ConfigDict(frozen=True)

    datasets: tuple[Described, ...]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


_ETAG = {"headers": {"ETag": {"schema": {"type": "string"}, "description": "The number of the settings."}}}
_CREATED = {**_ETAG["headers"], "Location": {"schema": {"type": "string"}, "description": "Of the dataset."}}
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=40, description="The ETag of the settings that were read.", examples=['"3"']),
]


@router.post(
    "",
    status_code=201,
    operation_id="create_dataset",
    summary="Create a dataset",
    responses={**WITH_BODY, **answers(409), 201: {"headers": _CREATED}},
)
def create_dataset(
    asked: NewDataset,
    request: Request,
    response: Response,
    who: Annotated[Caller, Depends(caller("admin"))],
    yard: Annotated[Yard, Depends(yard_of)],
) -> Described:
    """A name that was deleted can be created again: its images and versions are then there as before."""
    catalog = yard.catalog(who.tenant)
    note(request, dataset=asked.name)
    if asked.name in RESERVED:
        raise ProblemError(422, f"{asked.name} is the name of a folder within datasets; choose another")
    if asked.recipe is not None:
        recipe = recipe_of(asked.recipe, dataset=catalog.url(asked.name), tenant=who.tenant, deployment=yard.deployment)
        _check_watched(recipe, asked.watch)
    try:
        settings = catalog.create(
            asked.name, profile=asked.profile, recipe=_kept(asked.recipe), watch=asked.watch, by=who.name
        )
    except ExistsError:
        raise ProblemError(409, f"there is a dataset {asked.name} already") from None
    response.headers["Location"] = f"/v1/datasets/{asked.name}"
    response.headers["ETag"] = _etag(settings)
    return _described(settings, catalog.url(asked.name))


@router.get("", operation_id="list_datasets", summary="List datasets")
def list_datasets(
    who: Annotated[Caller, Depends(caller("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Datasets on a page at most.")] = 50,
) -> Datasets:
    """In order of name."""
    catalog = yard.catalog(who.tenant)
    found = catalog.listed(after=after(cursor), most=limit + 1)
    page = found[:limit]
    following = cursor_of(page[-1].name) if len(found) > limit else None
    return Datasets(datasets=tuple(_described(one, catalog.url(one.name)) for one in page), next=following)


@router.get(
    "/{dataset}",
    operation_id="describe_dataset",
    summary="Describe a dataset",
    responses={200: _ETAG},
)
def describe_dataset(
    response: Response,
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
) -> DescribedInFull:
    """Its settings, its newest version with counts, and label statistics."""
    version = yard.reading.newest(place.dataset)
    labels = yard.labels(place.dataset, version) if yard.labels is not None and version is not None else None
    response.headers["ETag"] = _etag(place.settings)
    return DescribedInFull(
        **dict(_described(place.settings, place.dataset.url)),
        version=_newest(version) if version is not None else None,
        labels=dict(labels) if labels is not None else None,
    )


@router.patch(
    "/{dataset}",
    operation_id="change_dataset",
    summary="Change a dataset's settings",
    responses={**WITH_BODY, **answers(409, 412), 200: _ETAG},
)
def change_dataset(
    asked: Changes,
    response: Response,
    place: Annotated[Place, Depends(within("admin"))],
    yard: Annotated[Yard, Depends(yard_of)],
    if_match: IfMatch = None,
) -> Described:
    """Members that are not sent stay; `recipe: null` goes back to the profile's. With If-Match, only if nobody changed
    them since; two changes at once never mix in any case: one of them gets 409."""
    _check_match(if_match, place.settings)
    changes = {name: getattr(asked, name) for name in asked.model_fields_set}
    for name in ("profile", "watch"):
        if name in changes and changes[name] is None:
            raise ProblemError(422, f"body.{name} cannot be null; leave it out to keep what it is")
    if asked.recipe is not None:
        changes["recipe"] = _kept(asked.recipe)
    settings = place.settings
    written = changes.get("recipe", settings.recipe)
    if written is not None and (asked.recipe is not None or asked.watch):
        tenant = place.caller.tenant
        recipe = recipe_of(written, dataset=place.dataset.url, tenant=tenant, deployment=yard.deployment)
        _check_watched(recipe, changes.get("watch", settings.watch))
    if changes:
        settings = yard.catalog(place.caller.tenant).change(settings, by=place.caller.name, **changes)
    response.headers["ETag"] = _etag(settings)
    return _described(settings, place.dataset.url)


@router.delete(
    "/{dataset}",
    status_code=204,
    operation_id="delete_dataset",
    summary="Delete a dataset, but no image and no version",
    responses=answers(409, 412),
)
def delete_dataset(
    place: Annotated[Place, Depends(within("admin"))],
    yard: Annotated[Yard, Depends(yard_of)],
    if_match: IfMatch = None,
) -> None:
    """It is not listed and answers 404 from now on. Nothing is removed from the bucket: training that names a version
    goes on, and the same name can be created again. Jobs that have not ended are cancelled."""
    _check_match(if_match, place.settings)
    yard.catalog(place.caller.tenant).change(place.settings, by=place.caller.name, deleted=True, watch=False)
    store = place.dataset.store
    for entry in list(store.list("open")):
        with suppress(JobError):  # a marker of something that nobody submitted
            job.cancel(store, entry.key.rsplit("/", 1)[-1], by=place.caller.name, clock=yard.clock)


def _check_watched(recipe: ParsedRecipe, watch: bool) -> None:
    if watch and recipe.steps[0].kind != "ingest":
        raise ProblemError(
            422, "the recipe has no `ingest` step, so nothing would ever be taken in; put it first, or `watch: false`"
        )


def _kept(recipe: Recipe | None) -> Recipe | None:
    return None if recipe is None else {name: value for name, value in recipe.items() if name != "dataset"}


def _etag(settings: DatasetSettings) -> str:
    return f'"{settings.number}"'


def _check_match(if_match: str | None, settings: DatasetSettings) -> None:
    said = if_match.strip() if if_match is not None else "*"
    if said in ("*", _etag(settings)):
        return
    if said == str(settings.number):
        raise ProblemError(412, f"If-Match is the ETag with its quotes: {_etag(settings)}")
    raise ProblemError(412, f"the settings are number {settings.number} by now; read them again")


def _described(settings: DatasetSettings, url: str) -> Described:
    return Described(
        name=settings.name,
        url=url,
        profile=settings.profile,
        recipe=settings.recipe if settings.recipe is not None else dict(RECIPES[settings.profile]),
        own_recipe=settings.recipe is not None,
        watch=settings.watch,
        settings=settings.number,
        by=settings.by,
        at=settings.at,
    )


def _newest(version: Version) -> Newest:
    return Newest(
        number=version.number,
        created=version.created,
        job=version.job,
        samples={role: entry.lines for role, entry in version.manifests.items()},
        counts=version.counts,
    )
