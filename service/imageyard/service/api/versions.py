"""Versions: list, describe, compare, and their manifests by URLs that expire."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from imageyard.manifests.diff import Change, diff_part
from imageyard.manifests.sample import Json
from imageyard.manifests.version import ManifestEntry, Role, Version
from imageyard.ray_jobs.job import stamp
from imageyard.service.api.access import Place, within
from imageyard.service.api.paging import Cursor, after, cursor_of
from imageyard.service.api.problems import ALWAYS, ProblemError, answers
from imageyard.service.api.yard import Yard, yard_of

router = APIRouter(prefix="/v1/datasets/{dataset}/versions", tags=["versions"], responses=ALWAYS)
Number = Annotated[int, Path(description="The version's number.", ge=1, le=10**18, examples=[7])]
EXPIRES = timedelta(minutes=15)
SIDE_BY_SIDE = 8
"""Records fetched together in a listing."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Manifest(_Frozen):
    """One manifest of a version."""

    samples: int
    bytes: int
    sha256: str


class VersionBrief(_Frozen):
    """A version in a list."""

    number: int
    parent: int | None
    created: str
    job: str
    recipe: str = Field(description="Its name.")
    samples: dict[str, int] = Field(description="By role.", examples=[{"train": 900, "rejected": 12}])
    counts: dict[str, int]


class Versions(_Frozen):
    versions: tuple[VersionBrief, ...]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


class VersionInFull(VersionBrief):
    """A version: what made it, and what was promised of it."""

    sha256: str = Field(description="Of its record; a child names it.")
    parent_sha256: str | None
    fingerprint: str
    steps: dict[str, Any] = Field(description="The recipe.")
    extractors: dict[str, str]
    models: dict[str, dict[str, Any]] = Field(
        description="By extractor, the model: repository, revision, parameters, sha256 of its files."
    )
    certificates: dict[str, dict[str, Any]] = Field(description="By step, what was checked before the commit.")
    manifests: dict[str, Manifest] = Field(description="By role.")


class Difference(_Frozen):
    """One sample that is not the same in both versions."""

    key: str
    kind: str = Field(description="added, removed, moved or changed.", examples=["moved"])
    before: Role | None = Field(description="Its role; null where it was not there.")
    after: Role | None
    members: dict[str, tuple[Json, Json]] = Field(description="What says something else: both values.")


class Differences(_Frozen):
    """A page of differences, in order of key; it may be short, even empty, and have a next one."""

    differences: tuple[Difference, ...]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


class ManifestLink(Manifest):
    """A manifest, and where it can be read without a key until the URL expires."""

    url: str
    expires: str = Field(description="When: UTC.")


@router.get("", operation_id="list_versions", summary="List versions, the newest first")
def list_versions(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Versions on a page at most.")] = 20,
) -> Versions:
    """Numbers rise from 1; none is ever taken away."""
    newest = yard.reading.newest(place.dataset)
    if newest is None:
        return Versions(versions=(), next=None)
    last = newest.number
    if cursor is not None:
        said = after(cursor)
        if not (said.isascii() and said.isdigit() and len(said) < 19 and 1 < int(said) <= last):
            raise ProblemError(422, "query.cursor is none of this list; take `next` of the page before")
        last = int(said) - 1
    numbers = range(last, max(0, last - limit), -1)
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(numbers))) as pool:
        found = tuple(pool.map(lambda number: _brief(yard.reading.version(place.dataset, number)), numbers))
    return Versions(versions=found, next=cursor_of(str(numbers[-1])) if numbers[-1] > 1 else None)


@router.get("/{number}", operation_id="describe_version", summary="Describe a version")
def describe_version(
    place: Annotated[Place, Depends(within("read"))], yard: Annotated[Yard, Depends(yard_of)], number: Number
) -> VersionInFull:
    """Its recipe, counts, certificates and manifests. It never changes."""
    version = yard.reading.version(place.dataset, number)
    return VersionInFull(
        **dict(_brief(version)),
        sha256=version.sha256,
        parent_sha256=version.parent_sha256,
        fingerprint=version.fingerprint,
        steps=version.recipe,
        extractors=version.extractors,
        models=version.models,
        certificates=version.certificates,
        manifests={role: _manifest(entry) for role, entry in version.manifests.items()},
    )


@router.get("/{number}/diff/{other}", operation_id="compare_versions", summary="Compare two versions")
def compare_versions(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    number: Number,
    other: Annotated[int, Path(description="The version it is compared with.", ge=1, le=10**18, examples=[8])],
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Differences on a page at most.")] = 100,
) -> Differences:
    """What differs from `number` to `other`, of either order. Provenance alone is no difference."""
    older, newer = (yard.reading.version(place.dataset, one) for one in (number, other))
    start = after(cursor)
    if cursor is not None and not (len(start) <= 64 and all(char in "0123456789abcdef" for char in start)):
        raise ProblemError(422, "query.cursor is none of this list; take `next` of the page before")
    part = diff_part(place.dataset, older, newer, start=start, most=limit, chunks=yard.reading.chunks)
    following = cursor_of(part.following) if part.following is not None else None
    return Differences(differences=tuple(map(_difference, part.changes)), next=following)


@router.get(
    "/{number}/manifests/{role}",
    operation_id="link_manifest",
    summary="A URL by which a manifest can be read",
    responses=answers(501),
)
def link_manifest(
    place: Annotated[Place, Depends(within("read"))],
    yard: Annotated[Yard, Depends(yard_of)],
    number: Number,
    role: Role,
) -> ManifestLink:
    """Good for fifteen minutes. Stores without signed URLs, such as folders, answer 501: read the manifest there."""
    version = yard.reading.version(place.dataset, number)
    entry = version.manifests.get(role)
    if entry is None:
        raise ProblemError(404, f"version {number} has no {role} samples")
    if not place.dataset.store.signs:
        raise ProblemError(501, "the dataset lies in a store that has no signed URLs; read the manifest where it lies")
    name = f"{place.name}-{number}-{role}.manifest"
    url = place.dataset.store.sign(entry.key, expires=EXPIRES, filename=name)
    return ManifestLink(**dict(_manifest(entry)), url=url, expires=stamp(yard.clock() + EXPIRES))


def _brief(version: Version) -> VersionBrief:
    return VersionBrief(
        number=version.number,
        parent=version.parent,
        created=version.created,
        job=version.job,
        recipe=str(version.recipe.get("name") or ""),
        samples={role: entry.lines for role, entry in version.manifests.items()},
        counts=version.counts,
    )


def _manifest(entry: ManifestEntry) -> Manifest:
    return Manifest(samples=entry.lines, bytes=entry.bytes, sha256=entry.sha256)


def _difference(change: Change) -> Difference:
    return Difference(
        key=change.key, kind=change.kind, before=change.before, after=change.after, members=change.members
    )
