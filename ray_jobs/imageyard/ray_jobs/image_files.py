"""Image files as Pillow reads them, without its surprises: a header and pixels, or the reason why not."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFile

ORIENTATION, BITS_PER_SAMPLE, PHOTOMETRIC, GPS = 0x0112, 0x0102, 0x0106, 0x8825
"""TIFF and EXIF tags."""

READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF"

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


def read(data: bytes, *, max_pixels: int) -> tuple[Header, ImageFile.ImageFile]:
    """The header of `data` and the picture it holds, loaded, in the mode it is stored in; see `Header`.

    `alpha` and `icc` of the header are left for who looks at the pixels. Raises Unreadable and nothing else.
    """
    kind = extension(data)
    if kind == "bin":
        raise _not_ours(data)
    try:
        return _loaded(kind, data, max_pixels)
    except _decoder_errors() as error:
        raise _unreadable(kind, data, error) from error


def _loaded(kind: str, data: bytes, max_pixels: int) -> tuple[Header, ImageFile.ImageFile]:
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


def exif_block(info: Mapping[str | tuple[int, int], object]) -> bytes:
    block = info.get("exif")
    if isinstance(block, bytes):
        return block
    text = info.get("Raw profile type exif")  # how ImageMagick wrote it to PNG
    if isinstance(text, str):
        with suppress(ValueError):
            return bytes.fromhex("".join(text.split("\n")[3:]))
    return b""


def exif(block: bytes) -> tuple[int, bool]:
    """Orientation, and whether there is a GPS directory; of a broken block, as much as can be read.

    Pillow's reader warns of broken blocks, and one that fails would take the picture with it.
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
