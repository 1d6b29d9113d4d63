"""Forms by which images and captions are sent straight to the bucket, into the dataset's drop folder."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from imageyard.service.api.access import Place, within
from imageyard.service.api.problems import ALWAYS, WITH_BODY, ProblemError, answers
from imageyard.service.api.yard import Yard, note, yard_of
from imageyard.service.uploads import CAPTION_BYTES, LONGEST, fault_of_name, kind_of

router = APIRouter(prefix="/v1/datasets/{dataset}/uploads", tags=["uploads"], responses=ALWAYS)


class File(BaseModel):
    """A file that will be sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="Below the drop folder; folders may be classes. Ends as an image or a caption does.",
        examples=["normal/0001.jpg"],
    )
    bytes: int = Field(ge=1, strict=True, description="Its size: the bucket takes no other.", examples=[184213])
    content_type: str | None = Field(
        default=None, max_length=100, description="Unset, what the name says.", examples=["image/jpeg"]
    )


class Files(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[File, ...] = Field(min_length=1, max_length=10_000)


class Form(BaseModel):
    """Send `fields`, then `file` as the last, as multipart/form-data to `url`."""

    model_config = ConfigDict(frozen=True)

    name: str
    key: str = Field(description="Of the object, below the dataset.", examples=["drop/normal/0001.jpg"])
    url: str
    fields: dict[str, str]


class Forms(BaseModel):
    model_config = ConfigDict(frozen=True)

    expires_seconds: int
    forms: tuple[Form, ...]


@router.post(
    "",
    operation_id="create_upload_forms",
    summary="Forms to send images and captions with",
    responses={**WITH_BODY, **answers(409)},
)
def create_upload_forms(
    asked: Files,
    request: Request,
    place: Annotated[Place, Depends(within("submit"))],
    yard: Annotated[Yard, Depends(yard_of)],
) -> Forms:
    """Each form is good for one key, one size and one kind of file, for some minutes; the bucket enforces it.

    Sent twice, or under the name of a file that waits in the drop folder, the later one counts.
    """
    limits = yard.deployment.limits
    if len(asked.files) > limits.upload_files:
        raise ProblemError(422, f"body.files: {len(asked.files)} files; one request may name {limits.upload_files}")
    names = [file.name for file in asked.files]
    if len(set(names)) < len(names):
        raise ProblemError(422, "body.files: a name stands twice; each file needs one of its own")
    kinds = [_kind(number, file, limits.upload_bytes) for number, file in enumerate(asked.files)]
    forms = []
    for file, kind in zip(asked.files, kinds, strict=True):
        key = f"drop/{file.name}"
        form = place.dataset.store.form(
            key, size=file.bytes, content_type=kind, expires=timedelta(seconds=limits.upload_seconds)
        )
        if form is None:
            raise ProblemError(
                409, "the store of this deployment has no upload forms; put files into the drop folder by other means"
            )
        forms.append(Form(name=file.name, key=key, url=form.url, fields=dict(form.fields)))
    note(request, files=len(forms), bytes=sum(file.bytes for file in asked.files))
    return Forms(expires_seconds=limits.upload_seconds, forms=tuple(forms))


def _kind(number: int, file: File, most: int) -> str:
    """The media type of a file. ProblemError (422) names the field that cannot be used."""
    where = f"body.files.{number}"
    fault = fault_of_name(file.name)
    if fault is not None:
        raise ProblemError(422, f"{where}.name {fault}")
    kind = kind_of(file.name) or ""
    most = CAPTION_BYTES if kind.startswith("text/") else most
    if file.bytes > most:
        raise ProblemError(422, f"{where}.bytes is {file.bytes}; such a file may have {most}")
    if file.content_type is not None and file.content_type != kind:
        raise ProblemError(422, f"{where}.content_type must be {kind}, as the name says")
    return kind
