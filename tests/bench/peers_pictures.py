"""Pictures for a comparison of taggers: photographs as they are, the same cut to the model's size, and odd ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

import pictures
from imageyard.ray_jobs.canonical import decode
from wide_tagger import SIDE

UNCOVERED = "up to 0.9.1 shows the colour below what is transparent"
ODD_REASONS = {
    ("grey.png", "imgutils"): "pastes grey through itself, so that black becomes white",
    ("grey.jpg", "imgutils"): "pastes grey through itself, so that black becomes white",
    ("one-bit.png", "imgutils"): "pastes black and white through itself: all of it is white",
    ("palette-transparent.png", "imgutils"): "shows the colour below what is transparent",
    ("key-colour.png", "imgutils"): "shows the colour below what is transparent",
    ("alpha.png", "kohya"): UNCOVERED,
    ("grey-alpha.png", "kohya"): UNCOVERED,
    ("invisible.png", "kohya"): UNCOVERED,
    ("palette-transparent.png", "kohya"): UNCOVERED,
    ("key-colour.png", "kohya"): UNCOVERED,
    ("sixteen-bit.png", "imgutils"): "cuts 16 bits off at 255",
    ("sixteen-bit.png", "kohya"): "cuts 16 bits off at 255",
    ("turned.jpg", "imgutils"): "does not look at the EXIF orientation",
    ("turned.jpg", "kohya"): "does not look at the EXIF orientation",
    ("profile.png", "imgutils"): "does not look at the colour profile",
    ("profile.png", "kohya"): "does not look at the colour profile",
    ("wide.jpg", "kohya"): "shrinks by OpenCV's INTER_AREA",
    ("tall.png", "kohya"): "shrinks by OpenCV's INTER_AREA",
    ("small.png", "kohya"): "enlarges by Lanczos",
}
"""Why a peer has other scores, by picture and peer."""


def squares(photos: dict[str, Path], folder: Path) -> dict[str, Path]:
    """The photographs as PNG of the model's size, which nobody resizes."""
    folder.mkdir()
    made = {}
    for name, path in photos.items():
        image = decode(path.read_bytes()).rgb
        side = max(image.size)
        paper = Image.new("RGB", (side, side), "white")
        paper.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        made[name] = folder / f"{len(made):03}.png"
        paper.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(made[name])
    return made


def odd(folder: Path) -> dict[str, Path]:
    """Modes, shapes and marks that preprocessing trips over, mostly of the model's size."""
    square = (SIDE, SIDE)
    scene = pictures.scene(3, square)
    alpha = Image.linear_gradient("L").resize(square)
    clear = scene.copy()
    clear.putalpha(alpha)
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = np.asarray(scene.convert("L"), np.uint16) * 257
    palette = scene.quantize(200)
    files = {
        "grey.png": pictures.encoded(scene.convert("L"), "PNG"),
        "grey.jpg": pictures.encoded(scene.convert("L"), quality=90),
        "grey-alpha.png": pictures.encoded(clear.convert("LA"), "PNG"),
        "one-bit.png": pictures.encoded(scene.convert("1"), "PNG"),
        "alpha.png": pictures.encoded(clear, "PNG"),
        "invisible.png": pictures.transparent((255, 0, 0, 0), size=square),
        "palette.png": pictures.encoded(palette, "PNG"),
        "palette-transparent.png": pictures.encoded(palette, "PNG", transparency=bytes(range(200))),
        "key-colour.png": pictures.encoded(pictures.scene(4, square).quantize(8).convert("RGB"), "PNG"),
        "sixteen-bit.png": pictures.encoded(Image.fromarray(deep), "PNG"),
        "turned.jpg": pictures.encoded(scene, quality=95, exif=turned),
        "profile.png": pictures.encoded(scene, "PNG", icc_profile=pictures.swapped_profile()),
        "wide.jpg": pictures.photo(5, (901, 300)),
        "tall.png": pictures.photo(6, (450, 899), "PNG"),
        "small.png": pictures.photo(7, (200, 150), "PNG"),
    }
    keyed = Image.open(io.BytesIO(files["key-colour.png"]))
    most = max(keyed.getcolors() or [], key=lambda found: found[0])[1]
    files["key-colour.png"] = pictures.encoded(keyed, "PNG", transparency=most)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}
