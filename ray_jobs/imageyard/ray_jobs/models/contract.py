"""What a graph takes and gives, as the embedding.json or tagger.json beside it says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.pixels import Filter, Resize
from imageyard.ray_jobs.tag_categories import CATEGORIES

EXAMPLE = (
    '{"side": 224, "layout": "NCHW", "channels": "rgb", "mean": [0.485, 0.456, 0.406], '
    '"std": [0.229, 0.224, 0.225], "resize": "squash", "dimensions": 384}'
)
TAGGER_EXAMPLE = (
    '{"layout": "NCHW", "channels": "rgb", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize": "squash", '
    '"logits": true, "labels": "tag_mapping", "thresholds": {"general": 0.35, "character": 0.85}}'
)
WD14_PIXELS = "wd14-white-bicubic-bgr"
"""Padded to a square with white, Pillow's bicubic, BGR 0…255: the pixels of the reference Space and of imgutils."""
Triple = tuple[float, float, float]
Table = Literal["selected_tags", "tag_mapping", "names"]
TABLES: Mapping[Table, tuple[str, ...]] = MappingProxyType(
    {
        "selected_tags": ("selected_tags.csv",),
        "tag_mapping": ("tag_mapping.json",),
        "names": ("tags.txt", "classes.json"),
    }
)
"""What the label table of each kind is called, the usual name first."""


class Pictures(BaseModel):
    """One input of square pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    side: int | None = Field(ge=8, le=2048)
    """Pixels."""
    layout: Literal["NCHW", "NHWC"]
    """The axes of the input: images, channels, height, width; or images, height, width, channels."""
    channels: Literal["rgb", "bgr"]
    """Their order."""
    mean: Triple | None = None
    """With `std`, in the order of `channels`, of levels from 0 to 1: the model gets (level - mean) / std. Without
    both it gets levels from 0 to 255 as they are. A half for all six is levels from -1 to 1; 0 and 1, from 0 to 1."""
    std: Triple | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Pictures:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std stand together; write both, or none for a model that takes 0 to 255")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std {list(self.std)} is not above 0; write the one of levels from 0 to 1")
        return self


class Contract(Pictures):
    """One input of square pictures, one vector a picture."""

    side: int = Field(ge=8, le=2048)
    resize: Resize
    """How a picture becomes a square; see `models.pixels`."""
    output: str | None = None
    """The name of the output; unset, the first."""
    take: Literal["whole", "first"] = "whole"
    """Of a picture's output: all of it, or the first of a sequence of vectors, a transformer's class token."""
    dimensions: int = Field(ge=2, le=16384)
    """Numbers in a vector."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image of the input."""
        return (3, self.side, self.side) if self.layout == "NCHW" else (self.side, self.side, 3)


class TaggerContract(Pictures):
    """One input of square pictures, one score a label; as it stands, the contract of the WD14 taggers."""

    side: int | None = Field(default=None, ge=8, le=2048)
    """Unset, what the graph says; some leave the choice."""
    layout: Literal["NCHW", "NHWC"] = "NHWC"
    channels: Literal["rgb", "bgr"] = "bgr"
    resize: Resize = "pad"
    """How a picture becomes a square; see `models.pixels`."""
    resample: Filter = "bicubic"
    """How it is resampled."""
    logits: bool = False
    """Whether the graph ends without the sigmoid that makes probabilities, so that it is done after it."""
    output: str | int | None = None
    """The output with the scores, by name or place; unset, the first."""
    labels: Table = "selected_tags"
    """What says the labels: a selected_tags.csv; cl_tagger's tag_mapping.json; a tags.txt with one name a line, or a
    classes.json with a list of them, all general tags. In the order of the scores."""

    @property
    def pixels(self) -> str:
        """What the pixels are, before any scale: a name that facts say."""
        if (self.resize, self.resample, self.channels) == ("pad", "bicubic", "bgr"):
            return WD14_PIXELS
        ground = "-white" if self.resize == "pad" else ""
        return f"{self.resize}{ground}-{self.resample}-{self.channels}"


class TaggerCard(TaggerContract):
    """A tagger.json: a contract, and what is no part of it because it shapes no score."""

    thresholds: Mapping[str, float] = Field(default_factory=dict)
    """The tagger's own, by name of category."""

    @field_validator("thresholds")
    @classmethod
    def _known(cls, thresholds: Mapping[str, float]) -> Mapping[str, float]:
        for name, threshold in thresholds.items():
            if name not in CATEGORIES:
                raise ValueError(f"{name!r} is no category; there are {', '.join(CATEGORIES)}")
            if threshold < 0:
                raise ValueError(f"{name}: {threshold} is below 0")
        return thresholds

    @property
    def contract(self) -> TaggerContract:
        return TaggerContract.model_validate(self.model_dump(exclude={"thresholds"}))


C = TypeVar("C", bound=Pictures)


def read_contract(path: Path) -> Contract:
    """The contract in an embedding.json. Raises ModelError, naming the parameter, or what to write."""
    return _read(path, Contract, EXAMPLE)


def read_tagger(path: Path) -> TaggerCard:
    """What a tagger.json says. Raises ModelError, naming the parameter, or what to write."""
    return _read(path, TaggerCard, TAGGER_EXAMPLE)


def _read(path: Path, kind: type[C], example: str) -> C:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error}); write what the model takes, such as {example}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        said = fault["msg"].removeprefix("Value error, ")
        raise ModelError(f"{path}: {f'`{place}`: ' if place else ''}{said}; it looks like {example}") from error
