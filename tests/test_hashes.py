"""Perceptual hashes: the bits are those of imagehash and of Meta's PDQ, and copies stay near each other."""

import hashlib
import io
from collections.abc import Callable

import imagehash
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

import pictures
from imageyard.ray_jobs.canonical import decode, fitted
from imageyard.ray_jobs.extractors.dhash import dhash
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.pdq import TURNS, pdq_turned
from imageyard.ray_jobs.extractors.phash import PARTS, phash, phash_parts

COPY = 31
ROWS, COLUMNS = np.mgrid[:32, :32]

# pdqhash 0.2.8 (Meta's C++) on the luma of the canonical picture, reduced to 512 pixels: hash and quality.
META = {
    "astronaut.png": ("2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724", 100),
    "brick.png": ("bed7058ba2005a4b071bb8a4cc6278789fbc02cfcd30d1d73fa71673c67945d2", 100),
    "camera.png": ("dc9c9d3b746978f888f40ce6e5c3f70f7266623e8d989cb99f21f2010841e1c7", 100),
    "chelsea.png": ("5feb5321f01da156898e2bf629a5d3438412cdbd23f48942464526315db33ffd", 100),
    "coffee.png": ("04629e769e66365cb983b8668827f27c21a779e61e36e1f8c79927e27c8299e0", 100),
    "coins.png": ("8ee552196df86aa552b514e6e505e0319aeb1aaea4a5d935dd4a675a1a56a555", 100),
    "color.png": ("d6938c7c52c7174c4a9271e5aad39e3cab4bf843555640e4548b9c9caaab7363", 100),
    "grass.png": ("4d9744ef90f2838aad0cc467c8d3a1f626c43658a77772688de65daa09c38bb7", 100),
    "gravel.png": ("175218961ce0d0e173a59bdf48d052f73a3c1632c4927712365efbbe569c8177", 100),
    "hubble_deep_field.jpg": ("1ce735e66266634f729429a232cad317e60e86be9c60dc59a42ec39c7379b919", 100),
    "ihc.png": ("d359e15bfc0e7e848183e670de26db0b8309e9b06cb6ac4becc9b073ba52f026", 100),
    "moon.png": ("131645cde366d981e1e371b264d8b25b9e4d13771d8c4f366d946ca57133d0c9", 83),
    "motorcycle_left.png": ("e0c9cfdb7cd318968a18ec54e94ba55933565b67508a0b87ad64fceb5631c470", 100),
    "page.png": ("9e5a07f62ec3636b192ccdddcc91d88d392581297984981de37a1cce473226fb", 100),
    "retina.jpg": ("87d22b5806d238195e87f1f8fe1ad507fc0f05f8005adc815fafa8f4eaf82a19", 100),
    "rocket.jpg": ("8792786c8f9b50e4af1bc0e43d1fc0e03f1cc2f33da482737dcc821b24e4f376", 100),
    "text.png": ("f46721c01b1bd9936bb5cde6660a8a12430c6c9d25d95e47cbe2a6b89d6e6786", 100),
}


def apart(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def code(data: bytes) -> bytes:
    return fact(data, "pdq")


def fact(data: bytes, column: str) -> bytes:
    found = Hashes().measure(decode(data))[column]
    assert isinstance(found, bytes)
    return found


def pdq(luma: np.ndarray) -> tuple[bytes, int]:
    upright, quality, _ = pdq_turned(luma)
    return upright, quality


def split(codes: bytes) -> list[bytes]:
    return [codes[start : start + 32] for start in range(0, len(codes), 32)]


def really_turned(image: Image.Image, way: str) -> Image.Image:
    return image.transpose(Image.Transpose[way.upper()])


def theirs(thumbnail: np.ndarray) -> int:
    return int(str(imagehash.phash(Image.fromarray(thumbnail))), 16)


def random_thumbnails() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (500, 32, 32), dtype=np.uint8)


def natural_thumbnails() -> np.ndarray:
    grays = [decode(pictures.bundled(name)).gray for name in pictures.BUNDLED]
    turned = [gray.transpose(Image.Transpose(turn)) for gray in grays for turn in range(7)]
    return np.stack([np.asarray(gray.resize((32, 32), Image.Resampling.LANCZOS)) for gray in turned])


def flat_thumbnails() -> np.ndarray:
    return np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 32, 32))


def gradients() -> np.ndarray:
    made = []
    for step in range(1, 9):
        made += [COLUMNS * step, ROWS * step, (COLUMNS + ROWS) * step, 255 - COLUMNS * step, COLUMNS * ROWS * step]
        made += [np.abs(COLUMNS - 15.5) * step, np.hypot(COLUMNS - 15.5, ROWS - 15.5) * step]
    return (np.stack(made) % 256).astype(np.uint8)


def periodic_thumbnails() -> np.ndarray:
    made = []
    for size in range(1, 17):
        for level in (1, 100, 255):
            across, down = COLUMNS // size, ROWS // size
            made += [(across + down) % 2, across % 2, down % 2, size > COLUMNS, (size > COLUMNS) & (size > ROWS)]
            made[-5:] = [pattern * level for pattern in made[-5:]]
    return np.stack(made).astype(np.uint8)


def symmetric_thumbnails() -> np.ndarray:
    rng = np.random.default_rng(1)
    made = []
    for _ in range(200):
        quarter = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        half = np.hstack([quarter, quarter[:, ::-1]])
        made += [np.vstack([half, half[::-1]]), np.tile(quarter, (2, 2)), np.tile(quarter[:4, :4], (8, 8))]
        made += [
            np.tile(half[:1], (32, 1)),
            np.tile(half[:1].T, (1, 32)),
            rng.integers(0, 3, (32, 32), dtype=np.uint8) * 100,
        ]
    return np.stack(made)


@pytest.mark.parametrize(
    "make",
    [random_thumbnails, natural_thumbnails, flat_thumbnails, gradients, periodic_thumbnails, symmetric_thumbnails],
)
def test_phash_has_the_bits_of_imagehash_also_where_they_hang_on_rounding(make: Callable[[], np.ndarray]) -> None:
    thumbnails = make()
    assert phash(thumbnails).tolist() == [theirs(thumbnail) for thumbnail in thumbnails]


def test_phash_of_many_is_phash_of_each() -> None:
    thumbnails = random_thumbnails()[:20]
    hashes = phash(thumbnails)
    assert hashes.dtype == np.uint64
    assert hashes.shape == (20,)
    assert [int(phash(thumbnail[None])[0]) for thumbnail in thumbnails] == hashes.tolist()


@pytest.mark.parametrize("name", pictures.BUNDLED)
def test_the_phash_of_a_picture_is_within_two_bits_of_imagehash(name: str) -> None:
    image = decode(pictures.bundled(name))
    found = Hashes().measure(image)["phash"]
    assert isinstance(found, int)
    assert (found ^ int(str(imagehash.phash(image.rgb)), 16)).bit_count() <= 2


def dhash_thumbnails() -> np.ndarray:
    rng = np.random.default_rng(4)
    natural = [np.asarray(decode(pictures.bundled(name)).gray.resize((9, 8))) for name in pictures.BUNDLED]
    few_levels = rng.integers(0, 3, (200, 8, 9), dtype=np.uint8)  # neighbours are often equal
    return np.concatenate([rng.integers(0, 256, (200, 8, 9), dtype=np.uint8), few_levels, np.stack(natural)])


def test_dhash_has_the_bits_of_imagehash() -> None:
    thumbnails = dhash_thumbnails()
    hashes = dhash(thumbnails)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [int(str(imagehash.dhash(Image.fromarray(thumbnail))), 16) for thumbnail in thumbnails]


@pytest.mark.parametrize("name", pictures.BUNDLED)
def test_the_dhash_of_a_picture_is_within_four_bits_of_imagehash(name: str) -> None:
    image = decode(pictures.bundled(name))
    found = Hashes().measure(image)["dhash"]
    assert isinstance(found, int)
    assert (found ^ int(str(imagehash.dhash(image.rgb)), 16)).bit_count() <= 4


def test_gray_is_the_thumbnail_that_phash_saw() -> None:
    row = Hashes().measure(decode(pictures.bundled("chelsea.png")))
    assert isinstance(row["gray"], bytes)
    assert phash(np.frombuffer(row["gray"], np.uint8).reshape(1, 32, 32)).tolist() == [row["phash"]]


def grays(images: list[Image.Image]) -> np.ndarray:
    files = [pictures.encoded(image, "PNG", compress_level=1) for image in images]
    return np.stack([np.frombuffer(fact(file, "gray"), np.uint8).reshape(32, 32) for file in files])


def part(image: Image.Image, x: float, y: float, width: float, height: float) -> Image.Image:
    left, top = image.width * (1 - width) * x, image.height * (1 - height) * y
    return image.crop((round(left), round(top), round(left + image.width * width), round(top + image.height * height)))


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_a_crop_has_nearly_the_phash_that_was_foreseen_for_that_part(number: int) -> None:
    images = [
        decode(pictures.bundled(name)).rgb for name in ("astronaut.png", "camera.png", "chelsea.png", "rocket.jpg")
    ]
    foreseen = phash_parts(grays(images))
    assert foreseen.shape == (4, len(PARTS))
    assert foreseen.dtype == np.uint64
    crops = phash(grays([part(image, *PARTS[number]) for image in images]))
    assert np.bitwise_count(crops ^ foreseen[:, number]).max() <= 8


def test_parts_of_many_are_parts_of_each() -> None:
    thumbnails = random_thumbnails()[:20]
    assert [phash_parts(thumbnail[None]).tolist()[0] for thumbnail in thumbnails] == phash_parts(thumbnails).tolist()


@pytest.mark.parametrize("size", [(7, 3), (300, 1), (2, 513)])
def test_pixels_is_the_digest_of_the_picture_as_a_ppm_file(size: tuple[int, int]) -> None:
    image = pictures.scene(3, size)
    assert fact(pictures.encoded(image, "PNG"), "pixels") == hashlib.sha256(pictures.encoded(image, "PPM")).digest()


def test_pixels_are_equal_whatever_the_format_and_differ_by_one_level_of_one_pixel() -> None:
    image = pictures.scene(4, (60, 40)).copy()
    same = {fact(pictures.encoded(image, "PNG"), "pixels"), fact(pictures.encoded(image, "TIFF"), "pixels")}
    same.add(fact(pictures.encoded(image, "WEBP", lossless=True), "pixels"))
    red, green, blue = np.asarray(image)[39, 59].tolist()
    image.putpixel((59, 39), (red, green, blue ^ 1))
    assert len(same) == 1
    assert fact(pictures.encoded(image, "PNG"), "pixels") not in same


def test_pixels_tell_shapes_of_one_colour_apart() -> None:
    assert len({fact(pictures.flat("black", size), "pixels") for size in ((2, 8), (8, 2), (4, 4), (1, 16))}) == 4


@pytest.mark.parametrize("name", META)
def test_pdq_has_the_bits_and_the_quality_of_metas(name: str) -> None:
    wanted, quality = META[name]
    row = Hashes().measure(decode(pictures.bundled(name)))
    assert isinstance(row["pdq"], bytes)
    assert apart(row["pdq"], bytes.fromhex(wanted)) <= 2, "two bits: a Pillow that rounds a resize otherwise"
    assert row["pdq_quality"] == pytest.approx(quality, abs=1)


def test_pdq_of_64_by_64_is_that_of_its_pixels_alone() -> None:
    luma = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    assert pdq(luma) == pdq(np.asarray(fitted(Image.fromarray(luma), 512)))


@pytest.mark.parametrize("shape", [(4, 100), (100, 4), (1, 1)])
def test_a_picture_of_under_five_pixels_has_no_pdq(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    assert pdq_turned(luma) == (bytes(32), 0, bytes(7 * 32))


@pytest.mark.parametrize("colour", ["black", "gray", "white", "#123456"])
@pytest.mark.parametrize("size", [(64, 64), (513, 700), (5, 5)])
def test_one_colour_has_no_bits_and_no_quality(colour: str, size: tuple[int, int]) -> None:
    row = Hashes().measure(decode(pictures.flat(colour, size)))
    assert (row["pdq"], row["pdq_quality"], row["turned"]) == (bytes(32), 0, bytes(7 * 32))


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg"])
def test_a_copy_that_was_saved_again_resized_or_toned_is_a_copy(name: str) -> None:
    image = decode(pictures.bundled(name)).rgb
    original = code(pictures.bundled(name))
    copies = {
        "saved at 30": pictures.encoded(image, quality=30),
        "as WebP": pictures.encoded(image, "WEBP", quality=60),
        "half": pictures.encoded(image.resize((image.width // 2, image.height // 2)), quality=85),
        "triple": pictures.encoded(image.resize((image.width * 3, image.height * 3)), quality=85),
        "brighter": pictures.encoded(ImageEnhance.Brightness(image).enhance(1.2), quality=85),
        "greyed": pictures.encoded(image.convert("L"), quality=85),
    }
    assert {
        how: apart(original, code(copy)) for how, copy in copies.items() if apart(original, code(copy)) > COPY
    } == {}


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 90), st.integers(5, 90))
def test_turned_hashes_are_those_of_the_really_turned_luma(seed: int, height: int, width: int) -> None:
    luma = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    _, quality, turned = pdq_turned(luma)
    image = Image.fromarray(luma)
    hashes = {way: pdq(np.asarray(really_turned(image, way))) for way in TURNS}
    differ = {way: apart(hashes[way][0], ours) for way, ours in zip(TURNS, split(turned), strict=True)}
    assert max(differ.values()) <= 2, differ
    assert {quality for _, quality in hashes.values()} == {quality}


@pytest.mark.parametrize("name", pictures.BUNDLED)
def test_a_turned_file_has_the_hash_that_was_foreseen(name: str) -> None:
    image = decode(pictures.bundled(name)).rgb
    foreseen = split(fact(pictures.bundled(name), "turned"))
    found = {way: code(pictures.encoded(really_turned(image, way), "PNG", compress_level=1)) for way in TURNS}
    assert max(apart(found[way], ours) for way, ours in zip(TURNS, foreseen, strict=True)) <= 4


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg"])
def test_a_mirrored_copy_that_was_made_smaller_is_near_one_turned_hash_and_far_from_the_others(name: str) -> None:
    image = decode(pictures.bundled(name)).rgb
    half = really_turned(image, "flip_left_right").resize((image.width // 2, image.height // 2))
    mirrored = code(pictures.encoded(half, quality=60))
    near = [apart(mirrored, ours) <= COPY for ours in split(fact(pictures.bundled(name), "turned"))]
    assert [way for way, is_near in zip(TURNS, near, strict=True) if is_near] == ["flip_left_right"]
    assert apart(mirrored, code(pictures.bundled(name))) > COPY


def test_different_pictures_are_far_apart() -> None:
    codes = [code(pictures.bundled(name)) for name in pictures.BUNDLED]
    codes += [code(pictures.photo(seed, (160, 120))) for seed in range(8)]
    assert min(apart(a, b) for n, a in enumerate(codes) for b in codes[:n]) > 2 * COPY


def test_the_hash_is_of_the_upright_picture() -> None:
    assert code(pictures.rotated_exif(6, "PNG")) == code(pictures.rotated_exif(1, "PNG"))


def test_a_row_holds_every_column_in_its_type() -> None:
    row = Hashes().measure(decode(pictures.photo(1)))
    schema = pa.schema(Hashes.columns())
    assert list(row) == schema.names
    sink = io.BytesIO()
    pa.ipc.new_stream(sink, schema).write_table(pa.Table.from_pylist([row], schema=schema))
    assert pa.ipc.open_stream(sink.getvalue()).read_all().to_pylist() == [row]
