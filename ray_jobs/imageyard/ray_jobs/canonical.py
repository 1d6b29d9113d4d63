"""Bytes become one canonical picture: upright, opaque, sRGB, eight bits, the first frame."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageCms, ImageFile

PROFILE = "c1"
"""The id of the rules below; facts of different profiles are never compared.

c1, in this order: the first frame (page, picture) of the file; 16-bit samples keep their high byte; a palette
and a transparent colour become what they stand for; an embedded ICC profile that fits the pixels leads to
sRGB by relative colorimetric intent with black point compensation, one that is broken or does not fit is ignored
(as are gamma chunks); alpha is composited on white; EXIF orientation is applied.
"""

SMALL = 256

SRGB_TOLERANCE = 2
"""A profile that moves no colour by more than this many of 255 levels is sRGB under another name."""

ORIENTATION, BITS_PER_SAMPLE, PHOTOMETRIC, GPS = 0x0112, 0x0102, 0x0106, 0x8825
"""TIFF and EXIF tags."""

UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""By EXIF orientation, the PIL.Image.Transpose that makes it upright."""

READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF"

SAMPLES = {"I": "32-bit or signed integers", "F": "32-bit floats", "LAB": "CIE L*a*b*", "HSV": "HSV"}

NAMES = {"jpg": "jpeg", "tif": "tiff"}

UNSUPPORTED: Mapping[str, tuple[bytes, ...]] = {
    "HEIC": (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"),
    "JPEG 2000": (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"),
    "JPEG XL": (b"\x00\x00\x00\x0cJXL ", b"\xff\x0a"),
    "Photoshop": (b"8BPS",),
    "icon": (b"\x00\x00\x01\x00",),
    "SVG": (b"<svg",),
    "PDF": (b"%PDF",),
}
"""Pictures, but not ours to read: by the bytes they start with (an ISO media file by its brand)."""


class Unreadable(Exception):  # noqa: N818  # a finding about a picture, not a fault of the program
    """These bytes have no canonical picture; the message is a sentence with what was measured and the limit.

    `check` is one of `empty`, `not-an-image`, `unsupported-format`, `too-many-pixels`, `truncated`, `corrupt`.
    """

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


@dataclass(frozen=True)
class Header:
    """What the file says of itself, before anything is done to its pixels."""

    format: str
    """By content, never by name: jpeg, png, webp, gif, bmp, tiff or avif."""
    mode: str
    """Pillow's name for the stored pixels: L, P, RGB, RGBA, CMYK, I;16 …"""
    width: int
    """Pixels, as stored: before `orientation`."""
    height: int
    orientation: int = 1
    """EXIF, 1 to 8; 1 where there is none or it makes no sense."""
    frames: int = 1
    bits: int = 8
    """Per channel: 16 where PNG or TIFF say more than eight, else 8."""
    alpha: bool = False
    """There is an alpha channel or a transparent colour, used or not."""
    icc: bool = False
    """A profile is embedded that changed the colours."""
    gps: bool = False
    """EXIF has a GPS directory."""
    quantization: tuple[tuple[int, ...], ...] = ()
    """A JPEG's quantisation tables in their order, 64 numbers each, row by row; () for other formats."""


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


def fitted(image: Image.Image, side: int) -> Image.Image:
    """`image` with its longer side reduced to `side` pixels, by averaging; itself if it is no longer than that."""
    from PIL import Image

    longer = max(image.size)
    if longer <= side:
        return image
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def extension(data: bytes) -> str:
    """The file extension that the content calls for: jpg, png, webp, gif, bmp, tif or avif, else bin."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tif"
    if data[4:8] == b"ftyp":
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        return "avif" if b"avif" in brands or b"avis" in brands else "bin"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "bmp"
    return "bin"


def decode(data: bytes, *, max_pixels: int = 100_000_000) -> Decoded:
    """The canonical picture in `data`, the bytes of one file of any name.

    Raises Unreadable and nothing else. A picture of more than `max_pixels` is refused by its header, before a
    pixel is decoded. A file that is cut short is refused, never filled with grey. Safe in threads.
    """
    kind = extension(data)
    if kind == "bin":
        raise _not_ours(data)
    try:
        header, image = _read(kind, data, max_pixels)
    except _decoder_errors() as error:
        raise _unreadable(kind, data, error) from error
    return _canonical(header, image, len(data))


def _read(kind: str, data: bytes, max_pixels: int) -> tuple[Header, ImageFile.ImageFile]:
    with _quiet(_may_warn(kind, data)):
        image = _open(kind, data)
        if image.width * image.height > max_pixels:
            raise Unreadable(
                "too-many-pixels",
                f"{image.width} x {image.height} is {image.width * image.height:,} pixels; "
                f"at most {max_pixels:,} are decoded",
            )
        header = _header(kind, data, image)
        if kind != "jpg":
            image.load()
    image.load()  # a JPEG, as most pictures are: out here, where threads do not wait for each other
    if image.mode == "P" and image.palette is None:
        raise ValueError("a palette image without a palette")
    return header, image


def _open(kind: str, data: bytes) -> ImageFile.ImageFile:
    """The picture with its header read; only the decoder that the content calls for gets to see the bytes.

    Image.open would ask each format in turn, take a phone's JPEG with a second picture inside for an MPO, and
    check the size by a limit of its own, with a warning.
    """
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    file = io.BytesIO(data)
    if kind == "jpg":
        return JpegImagePlugin.JpegImageFile(file)
    if kind == "png":
        return PngImagePlugin.PngImageFile(file)
    if kind == "webp":
        return WebPImagePlugin.WebPImageFile(file)
    if kind == "gif":
        return GifImagePlugin.GifImageFile(file)
    if kind == "bmp":
        return BmpImagePlugin.BmpImageFile(file)
    if kind == "tif":
        return TiffImagePlugin.TiffImageFile(file)
    if not AvifImagePlugin.SUPPORTED:
        raise Unreadable("unsupported-format", "this is AVIF, which this build of Pillow cannot read")
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a worker has its CPUs counted; AVIF would take the machine's
    return AvifImagePlugin.AvifImageFile(file)


def _header(kind: str, data: bytes, image: ImageFile.ImageFile) -> Header:
    """What is known before the pixels are: Pillow changes some of it as it loads them."""
    width, height = image.size
    orientation, bits, gps = 1, 8, False
    if kind == "tif":
        tags = getattr(image, "tag_v2")  # noqa: B009  # only a TIFF has them
        orientation, gps = _valid(tags.get(ORIENTATION)), GPS in tags
        if orientation >= 5:  # Pillow has swapped them
            width, height = height, width
        bits = 16 if max(tags.get(BITS_PER_SAMPLE, (1,))) > 8 else 8
    elif kind == "png":
        bits = 16 if data[24] > 8 else 8  # IHDR comes first
    quantization: Mapping[int, list[int]] = getattr(image, "quantization", {})
    return Header(
        format=NAMES.get(kind, kind),
        mode=image.mode,
        width=width,
        height=height,
        orientation=orientation,
        frames=getattr(image, "n_frames", 1),
        bits=bits,
        gps=gps,
        quantization=tuple(tuple(quantization[key]) for key in sorted(quantization)),
    )


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
        orientation, gps = _exif(_exif_block(image.info))
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


def _exif_block(info: Mapping[str | tuple[int, int], object]) -> bytes:
    block = info.get("exif")
    if isinstance(block, bytes):
        return block
    text = info.get("Raw profile type exif")  # how ImageMagick wrote it to PNG
    if isinstance(text, str):
        with suppress(ValueError):
            return bytes.fromhex("".join(text.split("\n")[3:]))
    return b""


def _exif(block: bytes) -> tuple[int, bool]:
    """Orientation, and whether there is a GPS directory; of a broken block, as much as can be read.

    Pillow's reader does the same in thirty times the time, with warnings.
    """
    start = 6 if block.startswith(b"Exif\0\0") else 0
    order = {b"II": "<", b"MM": ">"}.get(block[start : start + 2])
    orientation, gps = 1, False
    if order is None:
        return orientation, gps
    with suppress(struct.error):
        at = start + struct.unpack_from(f"{order}I", block, start + 4)[0]
        for entry in range(struct.unpack_from(f"{order}H", block, at)[0]):
            tag, kind, _, value = struct.unpack_from(f"{order}HHI4s", block, at + 2 + 12 * entry)
            if tag == ORIENTATION:
                code = {1: "B", 3: "H", 4: "I"}.get(kind)
                orientation = _valid(struct.unpack_from(order + code, value)[0] if code else None)
            gps = gps or tag == GPS
    return orientation, gps


def _valid(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _may_warn(kind: str, data: bytes) -> bool:
    """Whether Pillow has something to say about such a file: a broken EXIF block, directory or animation."""
    if kind == "jpg":
        return b"Exif\0\0" in data
    if kind == "png":
        return b"acTL" in data
    return kind in ("tif", "gif", "avif")


_WARNINGS = threading.Lock()


@contextmanager
def _quiet(needed: bool) -> Iterator[None]:
    """No warnings: what they say is either in the header or in the reason why a picture is unreadable."""
    if not needed:
        yield
        return
    with _WARNINGS, warnings.catch_warnings(action="ignore"):  # which changes the whole process
        yield


@lru_cache(maxsize=1)
def _decoder_errors() -> tuple[type[Exception], ...]:
    """All that Pillow's readers raise for damaged files, as found by damaging half a million.

    MemoryError is among them: a header may ask for more than there is.
    """
    from PIL import Image

    return (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        AssertionError,
        RuntimeError,
        EOFError,
        MemoryError,
        struct.error,
        Image.DecompressionBombError,
    )


def _not_ours(data: bytes) -> Unreadable:
    if not data:
        return Unreadable("empty", "the file has no bytes")
    for name, starts in UNSUPPORTED.items():
        if data[:64].lstrip().startswith(starts) or data[4:12].startswith(starts):
            return Unreadable("unsupported-format", f"this is {name}; {READABLE} can be read")
    return Unreadable("not-an-image", f"the file starts with {data[:8]!r}, and is none of {READABLE}")


def _unreadable(kind: str, data: bytes, error: Exception) -> Unreadable:
    from PIL import Image

    name = NAMES.get(kind, kind).upper()
    if isinstance(error, Image.DecompressionBombError):
        return Unreadable("too-many-pixels", f"{error} ({name})")
    if "truncated" in str(error).lower() or _lacks_end(kind, data):
        return Unreadable("truncated", f"the {name} ends before its picture does, after {len(data):,} bytes ({error})")
    return Unreadable("corrupt", f"the {name} cannot be decoded ({error})")


def _lacks_end(kind: str, data: bytes) -> bool:
    if kind == "jpg":
        return b"\xff\xd9" not in data[-4096:]
    if kind == "png":
        return b"IEND" not in data[-4096:]
    if kind == "webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if kind == "bmp":
        return int.from_bytes(data[2:6], "little") > len(data)
    return kind == "gif" and b";" not in data[-16:]
