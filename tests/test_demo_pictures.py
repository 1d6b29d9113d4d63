"""The demo's pictures are the same everywhere, and each special case is what its name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from imageyard.manifests.errors import StoreError
from imageyard.service.demo_pictures import write_demo_pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    write_demo_pictures(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def gray(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The picture as a person sees it, as a small gray one."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("L").resize(size), dtype=float)


def test_two_folders_hold_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    write_demo_pictures(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(pictures)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_there_are_about_forty_small_files(pictures: Path) -> None:
    sizes = [len(content) for content in contents(pictures).values()]
    assert 35 <= len(sizes) <= 45
    assert sum(sizes) < 10_000_000


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "chelsea.png").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        write_demo_pictures(tmp_path)
    assert contents(tmp_path) == {"chelsea.png": b"mine"}


def test_an_empty_folder_is_filled(pictures: Path, tmp_path: Path) -> None:
    write_demo_pictures(tmp_path)
    assert contents(tmp_path) == contents(pictures)


@pytest.mark.parametrize(
    ("copy", "original", "format_", "size"),
    [
        ("chelsea-q60.jpg", "chelsea.png", "JPEG", (451, 300)),
        ("coffee-q80.webp", "coffee.png", "WEBP", (600, 400)),
        ("astronaut-60percent.png", "astronaut.png", "PNG", (307, 307)),
        ("chelsea-2x.jpg", "chelsea.png", "JPEG", (902, 600)),
        ("flower-sideways.jpg", "flower.jpg", "JPEG", (427, 640)),
    ],
)
def test_a_copy_looks_like_its_original_but_is_another_file(
    pictures: Path, copy: str, original: str, format_: str, size: tuple[int, int]
) -> None:
    with Image.open(pictures / copy) as image:
        assert (image.format, image.size) == (format_, size)
    assert (pictures / copy).read_bytes() != (pictures / original).read_bytes()
    assert np.abs(gray(pictures / copy, (64, 64)) - gray(pictures / original, (64, 64))).mean() < 3


def test_the_crop_lacks_five_percent_of_each_side(pictures: Path) -> None:
    with Image.open(pictures / "rocket.jpg") as whole, Image.open(pictures / "rocket-crop5.jpg") as crop:
        assert [round(part / all_, 2) for part, all_ in zip(crop.size, whole.size, strict=True)] == [0.95, 0.95]


def test_the_exact_copy_has_only_another_name(pictures: Path) -> None:
    assert (pictures / "IMG_4711.jpg").read_bytes() == (pictures / "china.jpg").read_bytes()


def test_the_sideways_picture_says_how_to_turn_it(pictures: Path) -> None:
    with Image.open(pictures / "flower-sideways.jpg") as image:
        assert image.getexif()[0x0112] == 6


def test_the_truncated_picture_opens_and_does_not_decode(pictures: Path) -> None:
    with Image.open(pictures / "hubble-truncated.jpg") as image, pytest.raises(OSError, match="truncated"):
        image.load()


@pytest.mark.parametrize("name", ["shopping.jpg", "empty.png"])
def test_what_only_has_the_name_of_a_picture_does_not_open(pictures: Path, name: str) -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.open(pictures / name)


def test_the_cutout_fades_from_opaque_to_transparent(pictures: Path) -> None:
    with Image.open(pictures / "astronaut-cutout.png") as image:
        assert image.mode == "RGBA"
        alpha = np.asarray(image.getchannel("A"))
    assert (alpha.min(), alpha.max()) == (0, 255)
    assert len(np.unique(alpha)) > 100


def test_the_animation_moves(pictures: Path) -> None:
    with Image.open(pictures / "coffee-pan.gif") as image:
        assert (image.format, image.size) == ("GIF", (320, 320))
        assert getattr(image, "n_frames", 1) == 8
        first = np.asarray(image.convert("RGB"), dtype=float)
        image.seek(7)
        assert np.abs(np.asarray(image.convert("RGB"), dtype=float) - first).mean() > 10


def test_every_caption_lies_beside_its_picture(pictures: Path) -> None:
    captions = sorted(pictures.glob("*.txt"))
    assert [path.stem for path in captions] == ["astronaut", "chelsea", "rocket"]
    for caption in captions:
        assert [path for path in pictures.glob(f"{caption.stem}.*") if path.suffix in (".png", ".jpg")]
    assert "cat" in (pictures / "chelsea.txt").read_text()


def test_every_other_file_is_a_whole_picture_and_two_are_too_small(pictures: Path) -> None:
    small = []
    for path in sorted(pictures.iterdir()):
        if path.suffix == ".txt" or path.name in ("shopping.jpg", "empty.png", "hubble-truncated.jpg"):
            continue
        with Image.open(path) as image:
            image.load()
            if min(image.size) < 256:
                small.append(path.name)
    assert small == ["page.png", "text.png"]
