"""Canonical pictures: every readable file becomes upright, opaque sRGB; every other one has its reason."""

import random
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

import pictures
from imageyard.ray_jobs.canonical import Unreadable, decode, extension

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "AVIF": "avif"}
WHITE = (255, 255, 255)


def pixel(data: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    found = decode(data).rgb.getpixel(at)
    assert isinstance(found, tuple)
    return tuple(int(level) for level in found)


def refused(data: bytes, max_pixels: int = 100_000_000) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        decode(data, max_pixels=max_pixels)
    return caught.value


@pytest.mark.parametrize(("kind", "ending"), FORMATS.items())
def test_every_format_is_known_by_content_and_decoded(kind: str, ending: str) -> None:
    data = pictures.photo(1, (64, 48), kind)
    image = decode(data)
    assert extension(data) == ending
    assert image.header.format == {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending)
    assert (image.rgb.mode, image.rgb.size, image.byte_size) == ("RGB", (64, 48), len(data))
    assert (image.gray.mode, image.gray.size) == ("L", (64, 48))
    assert image.gray is image.gray


@pytest.mark.parametrize("data", [b"", pictures.text(), b"BM is how this sentence starts", b"RIFF....WAVE", b"\0" * 64])
def test_what_is_no_picture_has_the_extension_bin(data: bytes) -> None:
    assert extension(data) == "bin"


def test_a_plain_jpeg_is_decoded_to_just_what_pillow_decodes() -> None:
    data = pictures.photo(2, (96, 64))
    assert decode(data).rgb.tobytes() == Image.open(pictures.file(data)).convert("RGB").tobytes()


REFUSED = {
    "no bytes": (b"", "empty", "no bytes"),
    "a page of text": (pictures.text(), "not-an-image", "<!DOCTYP"),
    "zeros": (b"\0" * 4096, "not-an-image", "JPEG, PNG, WebP"),
    "a HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported-format", "HEIC"),
    "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported-format", "SVG"),
    "a PDF": (b"%PDF-1.7 ...", "unsupported-format", "PDF"),
    "floats": (pictures.encoded(Image.new("F", (8, 8)), "TIFF"), "unsupported-format", "32-bit floats"),
    "a bomb": (pictures.bomb(), "too-many-pixels", "25000 x 24000 is 600,000,000 pixels; at most 100,000,000"),
    "a huge bomb": (pictures.bomb(2**31 - 1, 2**31 - 1), "too-many-pixels", "at most 100,000,000"),
    "a PNG's header only": (pictures.photo(1, (64, 48), "PNG")[:60], "truncated", "after 60 bytes"),
    "a JPEG without a table": (pictures.corrupt(), "corrupt", "the JPEG cannot be decoded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_canonical_picture_is_refused_with_a_sentence(name: str) -> None:
    data, check, said = REFUSED[name]
    error = refused(data)
    assert error.check == check
    assert said in str(error)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_short_is_never_filled_with_grey(kind: str, share: float) -> None:
    assert refused(pictures.truncated(share, kind)).check in ("truncated", "corrupt")


def test_the_limit_of_pixels_is_the_callers() -> None:
    data = pictures.photo(1, (64, 48), "PNG")
    assert decode(data, max_pixels=64 * 48).rgb.size == (64, 48)
    assert refused(data, max_pixels=64 * 48 - 1).check == "too-many-pixels"


def test_a_picture_above_pillows_own_limit_is_decoded_where_the_caller_allows_it() -> None:
    data = pictures.encoded(Image.new("1", (20_000, 10_000)), "PNG")
    assert decode(data, max_pixels=200_000_000).header.width == 20_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    image = decode(pictures.rotated_exif(orientation, kind))
    assert image.header.orientation == orientation
    assert (image.header.width, image.header.height) == ((60, 40) if orientation < 5 else (40, 60))
    assert image.rgb.size == (60, 40)
    for at, colour in (((8, 8), (255, 0, 0)), ((52, 8), (0, 255, 0)), ((8, 32), (0, 0, 0)), ((30, 20), (0, 0, 0))):
        assert nearly(pixel(pictures.rotated_exif(orientation, kind), at), colour, 6)


def nearly(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("colour", "on_white"),
    [
        ((255, 0, 0, 128), (255, 127, 127)),
        ((255, 0, 0, 0), WHITE),
        ((10, 20, 30, 200), (63, 71, 79)),
        ((0, 0, 0, 1), (254, 254, 254)),
        ((1, 2, 3, 255), (1, 2, 3)),
    ],
)
def test_alpha_is_composited_on_white_and_hidden_colours_stay_hidden(
    kind: str,
    colour: tuple[int, int, int, int],
    on_white: tuple[int, int, int],
) -> None:
    data = pictures.transparent(colour, kind)
    assert pixel(data) == on_white
    assert decode(data).header.alpha == (kind != "WEBP" or colour[3] < 255)  # lossless WebP drops an opaque channel


def test_a_transparent_palette_entry_is_white_and_the_others_keep_their_colour() -> None:
    data = pictures.transparent_palette()
    assert (pixel(data, (0, 0)), pixel(data, (15, 15))) == (WHITE, (0, 0, 255))
    assert decode(data).header.mode == "P"


@pytest.mark.parametrize(
    ("mode", "colour", "seen"), [("1", 1, WHITE), ("L", 77, (77, 77, 77)), ("LA", (0, 128), (127, 127, 127))]
)
def test_grey_pictures_become_rgb(mode: str, colour: int | tuple[int, int], seen: tuple[int, int, int]) -> None:
    assert pixel(pictures.encoded(Image.new(mode, (8, 8), colour), "PNG")) == seen


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("level", "seen"), [(0, 0), (255, 0), (256, 1), (32768, 128), (65535, 255)])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str, level: int, seen: int) -> None:
    data = pictures.sixteen_bit(level, kind)
    assert pixel(data) == (seen, seen, seen)
    assert decode(data).header.bits == 16


def test_16_bit_colour_is_scaled_as_16_bit_grey_is() -> None:
    data = pictures.sixteen_bit_rgb((65535, 32768, 256))
    assert pixel(data) == (255, 128, 1)
    assert decode(data).header.bits == 16


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken_and_all_are_counted(kind: str) -> None:
    data = pictures.animated(kind, frames=3)
    assert pixel(data, (5, 5)) == (255, 0, 0)
    assert decode(data).header.frames == 3


@pytest.mark.parametrize(
    ("ink", "seen"),
    [
        ((0, 0, 0, 0), WHITE),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 255, 0, 0), (0, 0, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
    ],
)
def test_inks_become_light(ink: tuple[int, int, int, int], seen: tuple[int, int, int]) -> None:
    data = pictures.cmyk(ink)
    assert nearly(pixel(data), seen, 3)
    assert decode(data).header.mode == "CMYK"


def test_a_profile_leads_to_srgb() -> None:
    data = pictures.profiled(pictures.swapped_profile(), (200, 50, 50))
    assert nearly(pixel(data), (50, 200, 50), 2)
    assert decode(data).header.icc


@pytest.mark.parametrize(
    ("profile", "mode"),
    [(pictures.srgb_profile(), "RGB"), (b"no profile at all", "RGB"), (pictures.swapped_profile(), "L")],
    ids=["srgb", "broken", "of another colour space"],
)
def test_a_profile_that_is_srgb_or_broken_or_does_not_fit_changes_nothing(profile: bytes, mode: str) -> None:
    data = pictures.profiled(profile, (200, 50, 50), mode=mode)
    assert (
        decode(data).rgb.tobytes() == Image.new("RGB", (16, 16), (200, 50, 50)).convert(mode).convert("RGB").tobytes()
    )
    assert not decode(data).header.icc


def test_a_real_profile_of_a_display_or_a_camera_is_applied() -> None:
    image = decode(pictures.bundled("rocket.jpg"))  # Adobe RGB (1998)
    assert image.header.icc
    assert image.rgb.tobytes() != Image.open(pictures.file(pictures.bundled("rocket.jpg"))).tobytes()


def test_gps_is_noticed_and_no_metadata_gets_through() -> None:
    assert decode(pictures.with_gps()).header.gps
    assert not decode(pictures.photo(1, (64, 48))).header.gps
    assert decode(pictures.with_gps()).rgb.info == {}


def test_a_broken_exif_block_is_no_reason_to_lose_a_picture() -> None:
    assert decode(pictures.broken_exif()).header.orientation == 1


def test_the_quantisation_tables_of_a_jpeg_are_kept() -> None:
    tables = decode(pictures.photo(1, (64, 48), quality=50)).header.quantization
    assert [len(table) for table in tables] == [64, 64]
    assert tables[0][:4] == (16, 11, 10, 16)
    assert decode(pictures.photo(1, (64, 48), "PNG")).header.quantization == ()


def sound() -> list[bytes]:
    """One small file of every kind that is decoded by other code."""
    size = (40, 30)
    scene = pictures.scene(3, size)
    return [
        *(pictures.photo(3, size, kind) for kind in FORMATS),
        *(pictures.animated(kind) for kind in ("GIF", "WEBP", "PNG", "AVIF")),
        *(pictures.rotated_exif(6, kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")),
        *(
            pictures.encoded(scene, "TIFF", compression=c)
            for c in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
        pictures.encoded(scene.convert("1"), "TIFF", compression="group4"),
        pictures.encoded(scene, "TIFF", save_all=True, append_images=[scene]),
        pictures.encoded(scene.convert("P"), "BMP"),
        pictures.photo(3, size, progressive=True),
        pictures.with_gps(0, size),
        pictures.cmyk(),
        pictures.sixteen_bit(),
        pictures.sixteen_bit(300, "TIFF"),
        pictures.sixteen_bit_rgb(),
        pictures.transparent(),
        pictures.transparent_palette(),
        pictures.profiled(pictures.swapped_profile()),
        pictures.profiled(pictures.swapped_profile(), kind="JPEG"),
    ]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """`data` cut, flipped, overwritten, shifted or all of it; checksums of a PNG repaired, so that it gets further."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 6])):
        at = rng.randrange(min(len(changed), rng.choice([64, 200, 10**9])))
        how = rng.randrange(5)
        if how == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            changed[at] = rng.choice([0, 1, 127, 128, 255])
        elif how == 2:
            changed[at : at + 8] = bytes(len(changed[at : at + 8]))
        elif how == 3:
            del changed[at : at + rng.choice([1, 4, 32])]
        else:
            changed[at:at] = rng.randbytes(rng.choice([1, 4, 32]))
        if not changed:
            break
    if rng.random() < 0.2:
        del changed[rng.randrange(len(changed) + 1) :]
    return repaired(bytes(changed)) if rng.random() < 0.8 else bytes(changed)


def repaired(data: bytes) -> bytes:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        body = data[at + 4 : at + 8 + length]
        if at + 12 + length > len(data):
            break
        out.append(struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(out) + data[at:]


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_file_is_decoded_or_unreadable_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    reasons: list[Unreadable] = []
    for data in sound():
        for _ in range(12):
            try:
                image = decode(damaged(data, rng), max_pixels=4_000_000)
            except Unreadable as error:
                reasons.append(error)
            else:
                assert image.rgb.mode == "RGB"
    assert {"truncated", "corrupt"} <= {reason.check for reason in reasons}
    assert not [reason for reason in reasons if " at 0x" in str(reason)], "a reason is a fact: the same everywhere"


def test_threads_decode_the_same_pictures_and_leave_the_warnings_filters_as_they_were() -> None:
    files = sound() * 4
    alone = [decode(data).rgb.tobytes() for data in files]
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda data: decode(data).rgb.tobytes(), files)) == alone
    assert warnings.filters == filters


def test_importing_the_extractors_loads_neither_pillow_nor_numpy_nor_arrow() -> None:
    code = (
        "import sys, imageyard.ray_jobs.extractors.probe, imageyard.ray_jobs.extractors.hashes, "
        "imageyard.ray_jobs.extractors.thumbnail as t; t.Thumbnail().identity(); "
        "print([name for name in ('PIL', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
