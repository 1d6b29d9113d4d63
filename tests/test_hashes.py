"""Perceptual hashes: the bits are those of imagehash and of Meta's PDQ, and copies stay near each other."""

import io
from collections.abc import Callable

import imagehash
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageEnhance

import pictures
from imageyard.ray_jobs.canonical import decode, fitted
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.pdq import pdq
from imageyard.ray_jobs.extractors.phash import phash

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
    found = Hashes().measure(decode(data))["pdq"]
    assert isinstance(found, bytes)
    return found


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
    assert pdq(np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)) == (bytes(32), 0)


@pytest.mark.parametrize("colour", ["black", "gray", "white", "#123456"])
@pytest.mark.parametrize("size", [(64, 64), (513, 700), (5, 5)])
def test_one_colour_has_no_bits_and_no_quality(colour: str, size: tuple[int, int]) -> None:
    row = Hashes().measure(decode(pictures.flat(colour, size)))
    assert (row["pdq"], row["pdq_quality"]) == (bytes(32), 0)


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
