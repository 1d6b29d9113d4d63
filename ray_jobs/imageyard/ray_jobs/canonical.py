"""Bytes become one canonical picture: upright, opaque, sRGB, eight bits, the first frame."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from imageyard.ray_jobs.image_files import (
    BITS_PER_SAMPLE,
    PHOTOMETRIC,
    Header,
    Unreadable,
    exif,
    exif_block,
    extension,
    read,
)

if TYPE_CHECKING:
    from PIL import Image, ImageCms, ImageFile

__all__ = ["PROFILE", "Decoded", "Header", "Unreadable", "decode", "extension", "fitted"]

PROFILE = "c1"
"""The id of the rules below; facts of different profiles are never compared.

c1, in this order: the first frame (page, picture) of the file; 16-bit samples keep their high byte; a palette
and a transparent colour become what they stand for; an embedded ICC profile that fits the pixels leads to
sRGB by relative colorimetric intent with black point compensation, one that is broken or does not fit is ignored
(as are gamma chunks); alpha is composited on white; EXIF orientation is applied.
"""

SMALL = 256
"""Pixels of the longer side of `Decoded.small`."""

SRGB_TOLERANCE = 2
"""A profile that moves no colour by more than this many of 255 levels is sRGB under another name."""

UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""By EXIF orientation, the PIL.Image.Transpose that makes it upright."""

SAMPLES = {"I": "32-bit or signed integers", "F": "32-bit floats", "LAB": "CIE L*a*b*", "HSV": "HSV"}


@dataclass(frozen=True)
class Decoded:
    """One canonical picture, to be read only; what several extractors need of it is worked out once."""

    header: Header
    rgb: Image.Image
    """Mode RGB, full size, without metadata."""
    byte_size: int
    """Of the file."""

    @property
    def gray(self) -> Image.Image:
        """Mode L, full size: ITU-R 601-2 luma."""
        return self._once("gray", lambda: self.rgb.convert("L"))

    @property
    def small(self) -> Image.Image:
        """`gray`, reduced by averaging until its longer side is SMALL pixels; never enlarged."""
        return self._once("small", lambda: fitted(self.gray, SMALL))

    def _once(self, name: str, make: Callable[[], Image.Image]) -> Image.Image:
        # Not cached_property: in Python 3.11 that holds one lock for all pictures of all threads.
        made: dict[str, Image.Image] = self.__dict__.setdefault("_made", {})
        if name not in made:
            made[name] = make()
        return made[name]


def fitted(image: Image.Image, side: int, *, gap: float = 2.0) -> Image.Image:
    """`image` with its longer side reduced to `side` pixels, by averaging; itself if it is no longer than that.

    Blocks of whole pixels are averaged first, as long as `gap` times `side` remain, which is quick; what is left
    is done by a triangle filter. With a gap of 1 the blur differs a little between whole multiples and the rest.
    """
    from PIL import Image

    longer = max(image.size)
    if longer <= side:
        return image
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=gap)


def decode(data: bytes, *, max_pixels: int = 100_000_000) -> Decoded:
    """The canonical picture in `data`, the bytes of one file of any name.

    Raises Unreadable and nothing else. A picture of more than `max_pixels` is refused by its header, before a
    pixel is decoded. A file that is cut short is refused, never filled with grey. Safe in threads.
    """
    header, image = read(data, max_pixels=max_pixels)
    return _canonical(header, image, len(data))


def _canonical(header: Header, image: ImageFile.ImageFile, byte_size: int) -> Decoded:
    from PIL import Image

    profile = image.info.get("icc_profile")
    alpha = image.has_transparency_data
    rgb: Image.Image = image
    transform = None
    if image.mode != "RGB" or profile or alpha:
        colour, mask = _split(image, header)
        transform = _to_srgb(profile, colour.mode) if profile else None
        rgb = transform.apply(colour) if transform else colour
        if rgb.mode != "RGB":
            rgb = rgb.convert("RGB")
        if mask is not None:
            paper = Image.new("RGB", rgb.size, "white")
            paper.paste(rgb, mask=mask)
            rgb = paper
    if alpha or transform:
        header = replace(header, alpha=alpha, icc=transform is not None)
    if header.format != "tiff":  # of which Pillow has read the tags, and turned it
        orientation, gps = exif(exif_block(image.info))
        if orientation != 1 or gps:
            header = replace(header, orientation=orientation, gps=gps)
        if orientation != 1:
            rgb = rgb.transpose(Image.Transpose(UPRIGHT[orientation]))
    rgb.info = {}
    return Decoded(header, rgb, byte_size)


def _split(image: Image.Image, header: Header) -> tuple[Image.Image, Image.Image | None]:
    """Colour in a mode that Pillow converts to RGB, and alpha as L; None where every pixel is opaque."""
    if image.mode.startswith("I;16"):
        return _eight_bits(image)
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise Unreadable(
            "unsupported-format",
            f"the samples are {SAMPLES[image.mode]}, which have no one meaning on a screen; "
            "save the picture as 8-bit or 16-bit RGB or grey",
        )
    if image.has_transparency_data:
        key = image.info.get("transparency")
        if header.bits == 16 and key is not None:  # Pillow kept the high byte of the pixels, but not of the key
            image.info["transparency"] = tuple(part >> 8 for part in key)
        if image.mode not in ("RGBA", "LA"):
            image = image.convert("RGBA")
        mask = image.getchannel("A")
        colour = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
        return colour, None if mask.getextrema() == (255, 255) else mask
    if image.mode == "1":
        return image.convert("L"), None
    return (image.convert("RGB") if image.mode in ("P", "RGBX") else image), None


def _eight_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The high byte of 16-bit grey, as Pillow does for colour; a plain conversion would clip at 255."""
    import numpy as np
    from PIL import Image

    deep = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    high = (deep >> (tags.get(BITS_PER_SAMPLE, (16,))[0] - 8)).astype(np.uint8)  # a TIFF may have 12 bits
    if tags.get(PHOTOMETRIC) == 0:  # white is zero, which Pillow minds in 8-bit files only
        high = ~high
    key = image.info.get("transparency")
    mask = None if key is None else Image.fromarray(np.where(deep == key, 0, 255).astype(np.uint8))
    return Image.fromarray(high), mask


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from `profile` to sRGB; None if it is sRGB, broken, or not for pixels of `mode`."""
    import numpy as np
    from PIL import Image, ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode == "CMYK":
        return transform
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(len(steps), -1, 3)
    probe = Image.fromarray(lattice).convert(mode)
    moved = np.abs(np.asarray(transform.apply(probe), np.int16) - np.asarray(probe.convert("RGB"), np.int16))
    return transform if moved.max() > SRGB_TOLERANCE else None
