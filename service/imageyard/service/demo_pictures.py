"""The demo's pictures: photographs out of installed wheels, with the copies and accidents that real folders have."""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imageyard.manifests.errors import StoreError

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

SHIPPED: Mapping[str, tuple[str, ...]] = {
    "skimage/data": (
        "astronaut.png",
        "brick.png",
        "camera.png",
        "chelsea.png",
        "clock_motion.png",
        "coffee.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "logo.png",
        "moon.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "page.png",
        "rocket.jpg",
        "text.png",
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}
"""Pictures inside the wheels of scikit-image 0.26 and scikit-learn, as they are. `page` and `text` have a short side
below 256 pixels; `motorcycle_left` and `_right` are one scene from two places."""

DETAILS = {
    "china-pagoda.jpg": ("china.jpg", (150, 90, 450, 400)),
    "coffee-cup.jpg": ("coffee.png", (120, 10, 480, 370)),
    "hubble-northeast.jpg": ("hubble_deep_field.jpg", (500, 0, 1000, 436)),
    "hubble-northwest.jpg": ("hubble_deep_field.jpg", (0, 0, 500, 436)),
    "hubble-south.jpg": ("hubble_deep_field.jpg", (200, 440, 800, 872)),
    "motorcycle-engine.jpg": ("motorcycle_left.png", (230, 150, 560, 440)),
}
"""Pictures of their own, cut from larger ones: name, source, box in pixels (left, top, right, bottom)."""

TEXTS = {
    "astronaut.txt": "An astronaut in an orange flight suit smiles in front of a flag and a model of the shuttle.\n",
    "chelsea.txt": "Our cat Chelsea, close up, looking slightly past the camera.\n",
    "rocket.txt": "A rocket on the launch pad at dusk, lights on, four lightning masts around it.\n",
    "shopping.jpg": "milk, bread, AA batteries, cat food\n",
}
"""Captions beside their pictures, and a note that somebody saved under the wrong name."""


def write_demo_pictures(folder: Path) -> None:
    """Fill `folder` with about forty small files; it appears complete or not at all.

    The same bytes each time, with the same versions of Pillow and of the two wheels; nothing is downloaded.
    Raises `StoreError` when a wheel is missing, or when `folder` already holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise StoreError(f"{folder}: not empty; the demo's pictures go into a folder of their own")
    files = _files()
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, content in files.items():
        (draft / name).write_bytes(content)
    draft.rename(folder)


def _files() -> dict[str, bytes]:
    shipped = {name: _shipped(place, name) for place, names in SHIPPED.items() for name in names}
    details = {name: _jpeg(_open(shipped[source]).convert("RGB").crop(box)) for name, (source, box) in DETAILS.items()}
    texts = {name: text.encode() for name, text in TEXTS.items()}
    return shipped | details | _copies(shipped) | _accidents(shipped) | texts


def _copies(shipped: Mapping[str, bytes]) -> dict[str, bytes]:
    """Pictures that are there already, by content or to the eye."""
    from PIL import Image

    astronaut, chelsea, coffee = (_open(shipped[f"{name}.png"]) for name in ("astronaut", "chelsea", "coffee"))
    rocket, flower = (_open(shipped[f"{name}.jpg"]) for name in ("rocket", "flower"))
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90° clockwise to see it upright
    webp = io.BytesIO()
    coffee.save(webp, "WEBP", quality=80, method=4)
    return {
        "IMG_4711.jpg": shipped["china.jpg"],
        "astronaut-60percent.png": _png(_scaled(astronaut, 0.6)),
        "chelsea-2x.jpg": _jpeg(_scaled(chelsea, 2)),
        "chelsea-q60.jpg": _jpeg(chelsea, quality=60),
        "coffee-q80.webp": webp.getvalue(),
        "flower-sideways.jpg": _jpeg(flower.transpose(Image.Transpose.ROTATE_90), exif=exif),
        "rocket-crop5.jpg": _jpeg(_cropped(rocket, 0.05)),
    }


def _accidents(shipped: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files that need care: transparency, several frames, broken, empty."""
    from PIL import Image, ImageDraw, ImageFilter

    astronaut = _open(shipped["astronaut.png"])
    ellipse = Image.new("L", astronaut.size, 0)
    ImageDraw.Draw(ellipse).ellipse((115, 10, 355, 300), fill=255)
    cutout = astronaut.copy()
    cutout.putalpha(ellipse.filter(ImageFilter.GaussianBlur(12)))

    coffee = _open(shipped["coffee.png"])
    frames = [coffee.crop((left, 40, left + 320, 360)).quantize(64) for left in range(0, 281, 40)]
    pan = io.BytesIO()
    frames[0].save(pan, "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0)

    hubble = shipped["hubble_deep_field.jpg"]
    return {
        "astronaut-cutout.png": _png(cutout),
        "coffee-pan.gif": pan.getvalue(),
        "empty.png": b"",
        "hubble-truncated.jpg": hubble[: len(hubble) * 6 // 10],
    }


def _shipped(place: str, name: str) -> bytes:
    """A file of an installed package, without importing the package, which takes seconds."""
    package, _, rest = place.partition("/")
    found = importlib.util.find_spec(package)
    for root in (found.submodule_search_locations or []) if found else []:
        path = Path(root, rest, name)
        if path.is_file():
            return path.read_bytes()
    raise StoreError(f"{place}/{name}: the demo's pictures are not installed; pip install 'imageyard[demo]'")


def _open(content: bytes) -> Image:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.copy()


def _scaled(image: Image, factor: float) -> Image:
    from PIL import Image

    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def _cropped(image: Image, share: float) -> Image:
    """`image` without `share` of its width and height, half of it at each edge."""
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def _png(image: Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _jpeg(image: Image, *, quality: int = 92, exif: Exif | None = None) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, exif=exif or b"")
    return file.getvalue()
