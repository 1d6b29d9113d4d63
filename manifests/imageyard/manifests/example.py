"""What a training loop is given for a sample, made of its line and the bytes of its image."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import default_collate

from imageyard.manifests.sample import Sample

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for bytes that are not a sound image: OSError and SyntaxError as documented, the rest in fact."""


class Example(TypedDict):
    """What a stream yields for one position."""

    image: Any
    """The transform's result; without one, a uint8 tensor of shape (3, height, width)."""
    text: str
    """What a text encoder is to read: the composed text, else the caption, else the tags with commas."""
    caption: str | None
    captions: dict[str, str]
    """Every caption by its attribute: `caption`, and further ones such as `caption-short`."""
    tags: list[str]
    """Class names of the label `tags`, in its order."""
    labels: dict[str, str | list[str]]
    """Every classification label: its class name, or for several classes their names, in its order."""
    source_ref: str
    position: int
    """The place in the epoch's order; positions of a rank's batch are consecutive."""
    is_pad: bool
    """Whether this is another position's sample: to fill the last batch, or to stand in for a bad image."""


def example(image: object, sample: Sample, *, position: int, is_pad: bool) -> Example:
    """`sample` at `position`, with the `image` that the transform made of it."""
    caption = sample.value("caption")
    labels = dict(_labels(sample))
    tags = labels.get("tags", [])
    listed = tags if isinstance(tags, list) else [tags]
    composed = sample.value("text")
    texts = (one for one in (composed, caption) if isinstance(one, str) and one)
    return Example(
        image=image,
        text=next(texts, ", ".join(listed)),
        caption=caption if isinstance(caption, str) else None,
        captions={name: str(sample.value(name)) for name in sample.label_names if _is_caption(name)},
        tags=listed,
        labels=labels,
        source_ref=sample.source_ref,
        position=position,
        is_pad=is_pad,
    )


def collate(examples: Sequence[Example]) -> dict[str, Any]:
    """A batch: images stacked if they are tensors of one shape, else a list; `position` int64 and `is_pad` bool of
    shape (n,); everything else a list."""
    batch: dict[str, Any] = {name: [cast(dict[str, Any], one)[name] for one in examples] for name in examples[0]}
    images = batch["image"]
    if len({one.shape if isinstance(one, torch.Tensor) else id(one) for one in images}) == 1:
        batch["image"] = default_collate(images)
    return batch | {"position": torch.tensor(batch["position"]), "is_pad": torch.tensor(batch["is_pad"])}


def canonical(data: bytes) -> Image.Image:
    """The image in `data` as RGB: first frame, EXIF orientation applied, 16-bit scaled to 8, alpha on white.

    Raises one of UNREADABLE.
    """
    with Image.open(io.BytesIO(data)) as opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith(("I", "F")):
            deep = np.asarray(image).astype(np.float64) / (257 if image.mode.startswith("I") else 1)
            image = Image.fromarray(deep.round().clip(0, 255).astype(np.uint8))
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")


def decoded(data: bytes | None) -> tuple[Image.Image, str] | tuple[None, str]:
    """The canonical image in `data`, or None and the reason; no `data` is an object that is not there."""
    if data is None:
        return None, "there is no such object"
    try:
        return canonical(data), ""
    except UNREADABLE as error:
        return None, f"not a readable image ({type(error).__name__}: {error})"


def to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as a uint8 tensor of shape (3, height, width)."""
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


def _is_caption(name: str) -> bool:
    return name == "caption" or name.startswith("caption-")


def _labels(sample: Sample) -> Iterator[tuple[str, str | list[str]]]:
    for name in sample.label_names:
        metadata = sample.metadata(name) or {}
        value, classes = sample.value(name), metadata.get("class-map")
        if isinstance(value, list) and isinstance(classes, dict):
            yield name, [str(classes.get(str(index), index)) for index in value]
        elif isinstance(metadata.get("class-name"), str):
            yield name, metadata["class-name"]
