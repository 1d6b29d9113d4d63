"""The probe and the thumbnail: what is said of a picture is true, repeats, and ranks copies rightly."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import pictures
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.extractors.thumbnail import Thumbnail

Resampling = Image.Resampling
PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "motorcycle_left.png",
    "rocket.jpg",
)


def probe(data: bytes) -> dict[str, Any]:
    return Probe().measure(decode(data))


def canonical(name: str) -> Image.Image:
    return decode(pictures.bundled(name)).rgb


def real_pixels(data: bytes) -> float:
    fact = probe(data)
    return float(fact["width"] * fact["height"] * fact["detail"] ** 2)


def test_a_row_holds_every_column_in_its_type() -> None:
    row = probe(pictures.photo(1, (64, 48)))
    columns = Probe.columns()
    assert list(row) == [column.name for column in columns]
    assert pa.Table.from_pylist([row], schema=pa.schema(columns)).to_pylist()[0]["format"] == "jpeg"


def test_the_same_picture_has_the_same_facts_again() -> None:
    data = pictures.photo(3)
    assert probe(data) == probe(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pictures.rotated_exif(6), {"width": 60, "height": 40, "orientation": 6, "format": "jpeg"}),
        (pictures.animated("GIF", frames=3), {"frames": 3, "format": "gif", "mode": "P", "jpeg_quality": None}),
        (pictures.sixteen_bit(), {"bits": 16, "mode": "I;16", "format": "png"}),
        (pictures.transparent(), {"alpha": True, "mode": "RGBA", "bits": 8}),
        (pictures.cmyk(), {"mode": "CMYK", "jpeg_quality": 95}),
        (pictures.with_gps(), {"gps": True}),
        (pictures.profiled(pictures.swapped_profile()), {"icc": True}),
        (
            pictures.flat("white"),
            {"brightness": 1.0, "brightness_p5": 1.0, "entropy": 0.0, "sharpness": 0.0, "detail": 0.01},
        ),
        (pictures.flat("black"), {"brightness": 0.0, "brightness_p99": 0.0, "entropy": 0.0}),
    ],
)
def test_the_probe_says_what_the_file_is(data: bytes, said: dict[str, object]) -> None:
    row = probe(data)
    assert {name: row[name] for name in said} == said
    assert row["bytes"] == len(data)


@pytest.mark.parametrize("quality", [1, 25, 49, 50, 51, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    assert probe(pictures.photo(1, (32, 32), quality=quality))["jpeg_quality"] == quality


@pytest.mark.parametrize("colour", ["red", "lime", "blue", "#204060"])
def test_perceived_brightness_follows_cleanvisions_formula(colour: str) -> None:
    data = pictures.flat(colour)
    red, green, blue = np.asarray(decode(data).rgb)[0, 0] / 255
    wanted = (0.241 * red**2 + 0.691 * green**2 + 0.068 * blue**2) ** 0.5
    assert probe(data)["brightness_p5"] == pytest.approx(wanted, abs=1e-4)
    assert probe(data)["brightness_p99"] == pytest.approx(wanted, abs=1e-4)


def test_two_grey_levels_have_one_bit_of_entropy_and_stripes_half_brightness() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    row = probe(pictures.encoded(Image.fromarray(stripes), "PNG"))
    assert (row["entropy"], row["brightness"]) == (1.0, 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_more_a_picture_is_blurred_the_less_sharp_it_is(seed: int) -> None:
    sharp = [probe(pictures.blurred(seed, radius=radius))["sharpness"] for radius in (0, 1, 2, 4, 8)]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[0] > 10 * sharp[3]


def test_sharpness_is_of_the_picture_and_not_of_its_size() -> None:
    image = canonical("retina.jpg")
    half = image.resize((image.width // 2, image.height // 2), Resampling.LANCZOS)
    large, small = (probe(pictures.encoded(one, "PNG"))["sharpness"] for one in (image, half))
    assert small == pytest.approx(large, rel=0.25)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_sharp_photograph_has_detail_in_most_of_its_resolution(name: str) -> None:
    assert probe(pictures.bundled(name))["detail"] > 0.5


@pytest.mark.parametrize("options", [{"kind": "PNG", "compress_level": 1}, {"kind": "JPEG"}], ids=["PNG", "JPEG"])
@pytest.mark.parametrize("factor", [1.5, 2, 3])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_an_enlarged_copy_is_worth_less_than_its_original(name: str, factor: float, options: dict[str, Any]) -> None:
    image = canonical(name)
    size = (round(image.width * factor), round(image.height * factor))
    for how in (Resampling.BILINEAR, Resampling.BICUBIC):
        copy = pictures.encoded(image.resize(size, how), **options)
        assert real_pixels(copy) < real_pixels(pictures.bundled(name))
        assert 0.6 < probe(copy)["detail"] * factor / probe(pictures.bundled(name))["detail"] < 1


@pytest.mark.parametrize("factor", [1.25, 2, 3])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_repeated_pixels_are_not_detail(name: str, factor: float) -> None:
    image = canonical(name)
    size = (round(image.width * factor), round(image.height * factor))
    copy = pictures.encoded(image.resize(size, Resampling.NEAREST), "PNG", compress_level=1)
    assert real_pixels(copy) < real_pixels(pictures.bundled(name))


@pytest.mark.parametrize("share", [0.5, 0.75])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_reduced_copy_is_worth_less_than_its_original(name: str, share: float) -> None:
    image = canonical(name)
    size = (round(image.width * share), round(image.height * share))
    copy = pictures.encoded(image.resize(size, Resampling.LANCZOS), quality=92)
    assert real_pixels(copy) < real_pixels(pictures.bundled(name))


SIZES = ((1, 1), (1, 500), (500, 1), (2, 900), (3, 3), (15, 15), (16, 16), (17, 3), (5, 5), (333, 7))


@pytest.mark.parametrize("size", SIZES)
def test_any_size_of_picture_is_measured(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    for image in (Image.fromarray(noise), Image.new("RGB", size, "teal")):
        data = pictures.encoded(image, "PNG")
        row = probe(data)
        assert (row["width"], row["height"]) == size
        assert 0.01 <= row["detail"] <= 1
        assert 0 <= row["brightness_p5"] <= row["brightness_p99"] <= 1
        assert Image.open(pictures.file(thumbnail(data))).width <= 160


def thumbnail(data: bytes, side: int = 160) -> bytes:
    made = Thumbnail(side=side).measure(decode(data))["jpeg"]
    assert isinstance(made, bytes)
    return made


@pytest.mark.parametrize(
    ("size", "side", "fits"),
    [
        ((512, 256), 160, (160, 80)),
        ((300, 600), 160, (80, 160)),
        ((100, 50), 160, (100, 50)),
        ((512, 512), 64, (64, 64)),
    ],
)
def test_a_thumbnail_fits_its_square_and_is_never_enlarged(
    size: tuple[int, int], side: int, fits: tuple[int, int]
) -> None:
    made = Image.open(pictures.file(thumbnail(pictures.photo(1, size), side)))
    assert (made.format, made.size) == ("JPEG", fits)


def test_a_thumbnail_repeats_and_carries_no_metadata() -> None:
    data = pictures.with_gps(1, (400, 300))
    made = Image.open(pictures.file(thumbnail(data)))
    assert thumbnail(data) == thumbnail(data)
    assert not made.getexif()
    assert not {"exif", "icc_profile", "comment", "xmp"} & set(made.info)


def test_another_side_is_another_extractor_and_the_default_is_said() -> None:
    assert Thumbnail(side=64).identity() != Thumbnail().identity()
    assert Thumbnail(side=160).identity() == Thumbnail().identity()
    assert Probe().identity().startswith("probe-")
