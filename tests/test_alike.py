"""Agreement of two small pictures: high for a picture and what people make of it, low for different ones."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

import pictures
from imageyard.ray_jobs.alike import ENOUGH, agreement
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.phash import SIDE
from imageyard.ray_jobs.laying import ENDS

PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "ihc.png",
    "motorcycle_left.png",
)

seeds = st.integers(0, 2**32 - 1)


def gray(image: Image.Image) -> np.ndarray:
    found = Hashes().measure(decode(pictures.encoded(image, "PNG", compress_level=1)))["gray"]
    assert isinstance(found, bytes)
    return np.frombuffer(found, np.uint8).reshape(SIDE, SIDE)


@cache
def photograph(name: str) -> Image.Image:
    return decode(pictures.bundled(name)).rgb


def agree(a: np.ndarray, b: np.ndarray) -> float:
    return float(agreement(a[None], b[None])[0])


def random_grays(seed: int, count: int) -> np.ndarray:
    """From noise to soft shapes, bright to dark."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        size = int(rng.integers(2, SIDE + 1))
        small = Image.fromarray(rng.integers(0, 256, (size, size), dtype=np.uint8))
        made.append(np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) * rng.uniform(0.3, 1))
    return np.stack(made).astype(np.uint8)


def cropped(image: Image.Image, share: float, x: float = 0.5, y: float = 0.5) -> Image.Image:
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = round((image.width - width) * x), round((image.height - height) * y)
    return image.crop((left, top, left + width, top + height))


def framed(image: Image.Image, share: float, colour: str) -> Image.Image:
    return ImageOps.expand(image, round(min(image.size) * share), colour)


def barred(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).rectangle((0, round(image.height * 0.88), *image.size), "white")
    return image


def written_on(image: Image.Image) -> Image.Image:
    image = image.copy()
    at = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).text(at, "SAMPLE", "white", font_size=image.width / 12, anchor="mm")
    return image


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "crop of a tenth": lambda image: cropped(image, 0.1),
    "crop of a tenth at a corner": lambda image: cropped(image, 0.1, 1, 0),
    "crop of a fifth at a corner": lambda image: cropped(image, 0.2, 0, 1),
    "one side cut off": lambda image: image.crop((image.width // 8, 0, *image.size)),
    "black frame": lambda image: framed(image, 0.05, "black"),
    "white frame": lambda image: framed(image, 0.1, "white"),
    "bar below": lambda image: ImageOps.expand(image, (0, 0, 0, image.height // 8), "white"),
    "bar over": barred,
    "text across": written_on,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "turned by two degrees": lambda image: cropped(image.rotate(2, Image.Resampling.BICUBIC), 0.08),
    "turned by three degrees": lambda image: cropped(image.rotate(-3, Image.Resampling.BICUBIC), 0.1),
    "stretched": lambda image: image.resize((image.width, round(image.height * 1.2))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_agrees_with_what_was_made_of_it(change: str) -> None:
    photographs = [photograph(name) for name in PHOTOGRAPHS]
    before = np.stack([gray(image) for image in photographs])
    after = np.stack([gray(CHANGES[change](image)) for image in photographs])
    found = agreement(before, after)
    assert {name: float(value) for name, value in zip(PHOTOGRAPHS, found, strict=True) if value < ENOUGH} == {}


def test_different_scenes_do_not_agree() -> None:
    images = [photograph(name) for name in pictures.BUNDLED] + [pictures.scene(seed) for seed in range(20)]
    grays = np.stack([gray(image) for image in images])
    i, j = np.triu_indices(len(grays), 1)
    assert agreement(grays[i], grays[j]).max() < 0.75


@pytest.mark.parametrize(
    "change",
    [
        ImageOps.mirror,
        ImageOps.flip,
        ImageOps.invert,
        lambda image: cropped(image, 0.5),
        lambda image: image.rotate(15, Image.Resampling.BICUBIC),
    ],
    ids=["mirrored", "upside down", "inverted", "half cut off", "turned by fifteen degrees"],
)
def test_what_is_not_promised_does_not_agree(change: Callable[[Image.Image], Image.Image]) -> None:
    photographs = [photograph(name) for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")]
    grays = [(gray(image), gray(change(image))) for image in photographs]
    assert max(agree(before, after) for before, after in grays) < ENOUGH


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_equal_pictures_agree_wholly(seed: int) -> None:
    grays = random_grays(seed, 20)
    shown = grays[grays.reshape(20, -1).std(axis=1) > 10]
    assert agreement(shown, shown).tolist() == [1.0] * len(shown)


@pytest.mark.parametrize("other", [0, 7, 255])
def test_pictures_that_show_nothing_agree_with_nothing(other: int) -> None:
    flat, plain = np.full((SIDE, SIDE), 7, np.uint8), np.full((SIDE, SIDE), other, np.uint8)
    assert agree(flat, plain) == 0
    assert agree(flat, gray(photograph("camera.png"))) < 0.2


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_agreement_does_not_depend_on_the_order_of_a_pair_nor_on_its_neighbours(seed: int) -> None:
    a, b = random_grays(seed, 12), random_grays(seed + 1, 12)
    found = agreement(a, b)
    assert found.dtype == np.float32
    assert found.shape == (12,)
    assert agreement(b, a).tolist() == found.tolist()
    order = np.random.default_rng(seed).permutation(12)
    assert agreement(a[order], b[order]).tolist() == found[order].tolist()
    assert [agree(one, other) for one, other in zip(a, b, strict=True)] == found.tolist()


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_agreement_is_a_share_in_steps_of_a_ten_thousandth(seed: int) -> None:
    grays = random_grays(seed, 12)
    found = agreement(grays, np.roll(grays, 1, axis=0)).astype(np.float64)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found, np.round(found, 4), atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(seeds, st.floats(0.5, 2), st.floats(0.5, 1), st.integers(0, 60))
def test_a_change_of_tone_costs_little(seed: int, power: float, contrast: float, lift: int) -> None:
    image = gray(pictures.scene(seed % 16))
    toned = ((image / 255) ** power * 255 * contrast + lift).clip(0, 255).astype(np.uint8)
    assert agree(image, toned) > 0.93


@pytest.mark.parametrize("rows", [slice(0, ENDS), slice(SIDE - ENDS, SIDE)], ids=["top", "bottom"])
def test_what_covers_the_top_or_the_bottom_costs_nothing(rows: slice) -> None:
    image = gray(photograph("astronaut.png"))
    covered = image.copy()
    covered[rows] = np.random.default_rng(0).integers(0, 256, covered[rows].shape)
    assert agree(image, covered) > 0.98


@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_frame_that_different_pictures_share_is_no_agreement(colour: str) -> None:
    grays = np.stack([gray(framed(photograph(name), 0.35, colour)) for name in pictures.BUNDLED])
    i, j = np.triu_indices(len(grays), 1)
    pearson = np.corrcoef(grays.reshape(len(grays), -1))[i, j]
    assert pearson.max() > ENOUGH
    assert agreement(grays[i], grays[j]).max() < 0.85


def test_no_pairs_have_no_agreement() -> None:
    assert agreement(np.zeros((0, SIDE, SIDE), np.uint8), np.zeros((0, SIDE, SIDE), np.uint8)).shape == (0,)


@pytest.mark.parametrize("a", [(3, SIDE, SIDE), (2, 16, 16), (SIDE, SIDE)], ids=str)
def test_other_shapes_are_refused(a: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="32 x 32"):
        agreement(np.zeros(a, np.uint8), np.zeros((2, SIDE, SIDE), np.uint8))


def test_other_numbers_are_refused() -> None:
    shares = np.zeros((2, SIDE, SIDE))
    with pytest.raises(ValueError, match="not float64 of"):
        agreement(shares, shares)


def test_how_the_pictures_lie_in_memory_makes_no_difference() -> None:
    a, b = random_grays(1, 10), random_grays(2, 10)
    apart = np.stack([a, b], axis=-1)
    fixed = np.frombuffer(a.tobytes(), np.uint8).reshape(a.shape)
    assert agreement(apart[..., 0], apart[..., 1]).tolist() == agreement(fixed, b).tolist() == agreement(a, b).tolist()


def test_importing_it_loads_neither_numpy_nor_numba() -> None:
    said = "import sys, imageyard.ray_jobs.alike; print(sorted({'numpy', 'numba'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
