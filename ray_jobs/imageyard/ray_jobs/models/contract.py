"""What an embedding model takes and gives, as the embedding.json beside its graph says it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.pixels import Resize

EXAMPLE = (
    '{"side": 224, "layout": "NCHW", "channels": "rgb", "mean": [0.485, 0.456, 0.406], '
    '"std": [0.229, 0.224, 0.225], "resize": "squash", "dimensions": 384}'
)
Triple = tuple[float, float, float]


class Contract(BaseModel):
    """One input of square pictures, one vector a picture."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    side: int = Field(ge=8, le=2048)
    """Pixels."""
    layout: Literal["NCHW", "NHWC"]
    """The axes of the input: images, channels, height, width; or images, height, width, channels."""
    channels: Literal["rgb", "bgr"]
    """Their order."""
    mean: Triple | None = None
    """With `std`, in the order of `channels`, of levels from 0 to 1: the model gets (level - mean) / std. Without
    both it gets levels from 0 to 255 as they are."""
    std: Triple | None = None
    resize: Resize
    """How a picture becomes a square; see `models.pixels`."""
    output: str | None = None
    """The name of the output; unset, the first."""
    take: Literal["whole", "first"] = "whole"
    """Of a picture's output: all of it, or the first of a sequence of vectors, a transformer's class token."""
    dimensions: int = Field(ge=2, le=16384)
    """Numbers in a vector."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Contract:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std stand together; write both, or none for a model that takes 0 to 255")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std {list(self.std)} is not above 0; write the one of levels from 0 to 1")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image of the input."""
        return (3, self.side, self.side) if self.layout == "NCHW" else (self.side, self.side, 3)


def read_contract(path: Path) -> Contract:
    """The contract in an embedding.json. Raises ModelError, naming the parameter, or what to write."""
    try:
        return Contract.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error}); write what the model takes, such as {EXAMPLE}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        said = fault["msg"].removeprefix("Value error, ")
        raise ModelError(f"{path}: {f'`{place}`: ' if place else ''}{said}; it looks like {EXAMPLE}") from error
