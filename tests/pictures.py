"""Pictures for tests, as the bytes of files: good ones, odd ones and broken ones, the same every time."""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFilter

BUNDLED = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)
"""Photographs and scans inside the scikit-image wheel, 172 to 1411 pixels wide."""


def bundled(name: str) -> bytes:
    """One of BUNDLED, the file as it ships."""
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "data" / name).read_bytes()


@cache
def scene(seed: int = 0, size: tuple[int, int] = (512, 512)) -> Image.Image:
    """A picture with what photographs have: shading, edges, and texture down to the pixel."""
    rng = np.random.default_rng(seed)
    width, height = size
    total = np.zeros((height, width, 3), np.float32)
    weight, step = 1.0, 2
    while step < 2 * max(size):
        coarse = rng.normal(size=(step, step, 3)).clip(-2.5, 2.5) * 50 + 128
        layer = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        total += (np.asarray(layer, np.float32) - 128) * weight
        weight, step = weight * 0.75, step * 2
    base = Image.fromarray((total * 0.8 + 128).clip(0, 255).astype(np.uint8))
    layer, mask = Image.new("RGB", size), Image.new("L", size)
    paint, cut = ImageDraw.Draw(layer), ImageDraw.Draw(mask)
    for _ in range(6):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.05, 0.3, 2) * min(size)
        box = (x - w, y - h, x + w, y + h)
        paint.ellipse(box, fill=tuple(int(level) for level in rng.integers(0, 256, 3)))
        cut.ellipse(box, fill=170)
    base.paste(layer, mask=mask)
    return base


def noise(seed: int = 0, size: tuple[int, int] = (448, 448)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """`image` as a file of a `kind` that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def file(data: bytes) -> io.BytesIO:
    """`data` as an open file."""
    return io.BytesIO(data)


def photo(seed: int = 0, size: tuple[int, int] = (512, 512), kind: str = "JPEG", **options: Any) -> bytes:
    """A scene as a file: JPEG of quality 90 unless told otherwise."""
    if kind == "JPEG":
        options = {"quality": 90} | options
    return encoded(scene(seed, size), kind, **options)


def flat(colour: str = "gray", size: tuple[int, int] = (64, 64), kind: str = "PNG") -> bytes:
    """One colour and nothing else."""
    return encoded(Image.new("RGB", size, colour), kind)


def blurred(seed: int = 0, size: tuple[int, int] = (512, 512), radius: float = 6) -> bytes:
    """A scene out of focus."""
    return encoded(scene(seed, size).filter(ImageFilter.GaussianBlur(radius)), quality=90)


def upscaled(seed: int = 0, size: tuple[int, int] = (512, 512), factor: int = 2) -> bytes:
    """A scene of `size` that was enlarged: `factor` times as wide, and no more to see."""
    large = scene(seed, size).resize((size[0] * factor, size[1] * factor), Image.Resampling.BICUBIC)
    return encoded(large, quality=92)


def recompressed(data: bytes, quality: int = 60) -> bytes:
    """The same picture, saved again as a JPEG."""
    return encoded(Image.open(io.BytesIO(data)).convert("RGB"), quality=quality)


def truncated(share: float = 0.5, kind: str = "JPEG") -> bytes:
    """A photo of which only the first `share` of the bytes arrived."""
    data = photo(7, (256, 192), kind)
    return data[: int(len(data) * share)]


def corrupt() -> bytes:
    """A JPEG, whole but for the table that its colours are quantised with."""
    data = photo(7, (64, 48))
    start, end = data.index(b"\xff\xdb"), data.index(b"\xff\xc0")
    return data[:start] + data[end:]


def bomb(width: int = 25_000, height: int = 24_000) -> bytes:
    """A PNG of some hundred bytes whose header claims `width` x `height` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 4096)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def text() -> bytes:
    """A web server's answer, saved under the name of a picture."""
    return b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"


def animated(kind: str = "GIF", frames: int = 3, size: tuple[int, int] = (48, 32)) -> bytes:
    """Red, then green, then blue, and so on: GIF, WEBP or PNG."""
    colours = ("red", "lime", "blue")
    pictures = [Image.new("RGB", size, colours[number % 3]) for number in range(frames)]
    for number, picture in enumerate(pictures):
        picture.putpixel((number % size[0], 0), (0, 0, 0))
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    return encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=100, **options)


def cmyk(ink: tuple[int, int, int, int] = (0, 255, 255, 0), size: tuple[int, int] = (32, 32)) -> bytes:
    """A JPEG in four inks, 0 for none; without a profile."""
    return encoded(Image.new("CMYK", size, ink), quality=95)


def sixteen_bit(level: int = 32768, kind: str = "PNG", size: tuple[int, int] = (16, 16)) -> bytes:
    """16-bit grey, all of one level."""
    return encoded(Image.fromarray(np.full(size[::-1], level, np.uint16)), kind)


def sixteen_bit_rgb(level: tuple[int, int, int] = (65535, 32768, 256), size: tuple[int, int] = (16, 16)) -> bytes:
    """A PNG of three 16-bit channels, which Pillow reads but does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">HHH", *level) * size[0]
    header = struct.pack(">IIBBBBB", *size, 16, 2, 0, 0, 0)
    pixels = zlib.compress(row * size[1])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def transparent(
    colour: tuple[int, int, int, int] = (255, 0, 0, 128),
    kind: str = "PNG",
    size: tuple[int, int] = (16, 16),
) -> bytes:
    """One colour with alpha."""
    options: dict[str, Any] = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    return encoded(Image.new("RGBA", size, colour), kind, **options)


def transparent_palette(size: tuple[int, int] = (16, 16)) -> bytes:
    """A palette PNG: the left half is a transparent red, the right half an opaque blue."""
    image = Image.new("P", size, 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (size[0] // 2, 0, *size))
    return encoded(image, "PNG", transparency=b"\x00\xff")


def corner() -> Image.Image:
    """60 x 40, black, with a red top left corner and a green top right corner: any turn of it shows."""
    image = Image.new("RGB", (60, 40))
    image.paste((255, 0, 0), (0, 0, 20, 20))
    image.paste((0, 255, 0), (40, 0, 60, 20))
    return image


def rotated_exif(orientation: int = 6, kind: str = "JPEG") -> bytes:
    """`corner()`, stored turned, with the EXIF orientation that makes it upright again."""
    stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    image = corner()
    if orientation in stored:
        image = image.transpose(Image.Transpose(stored[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "JPEG":
        return encoded(image, kind, exif=exif, quality=95, subsampling=0)
    return encoded(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


def with_gps(seed: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """A photo that says where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return encoded(scene(seed, size), quality=90, exif=exif)


def broken_exif(size: tuple[int, int] = (32, 32)) -> bytes:
    """A sound JPEG whose EXIF block points to nowhere."""
    block = b"Exif\0\0II*\0\x08\0\0\0\xff\x7f" + b"\x12\x01\x03\x00\xff\xff\xff\xff\xff\xff\xff\xff" * 3
    return encoded(Image.new("RGB", size, "teal"), quality=95, exif=block)


def swapped_profile() -> bytes:
    """An ICC profile, made from sRGB, in which red and green have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    at = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    profile[at[b"rXYZ"] : at[b"rXYZ"] + 4], profile[at[b"gXYZ"] : at[b"gXYZ"] + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def srgb_profile() -> bytes:
    """The plain sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profiled(
    profile: bytes,
    colour: tuple[int, int, int] = (200, 50, 50),
    kind: str = "PNG",
    mode: str = "RGB",
) -> bytes:
    """One colour under an ICC profile."""
    return encoded(Image.new("RGB", (16, 16), colour).convert(mode), kind, icc_profile=profile)
