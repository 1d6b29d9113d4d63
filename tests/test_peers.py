"""What kohya's tagger script and imgutils wrote for a model and a picture, equal where they are right, told where not.

Recorded by `tests/bench/peers.py` with sd-scripts 48d368f and 0.9.1, and imgutils 0.19.0, on onnxruntime 1.31, Pillow
13 and OpenCV 4.10. The model is GOLDEN of `wide_tagger.py`, which gives every picture the same scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import pictures
from imageyard.manifests import Dataset
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.models.files import locate
from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger
from jobs import by_name, drop, go, recipe, roles
from wide_tagger import GOLDEN, SIDE, Row, build_constant

KOHYA: dict[str, Any] = {"threshold": 0.35, "character_threshold": 0.35, "underscores": "keep", "order": "model"}
IMGUTILS = KOHYA | {"order": "score"}
PERSON = "mychar, smile"

K = (
    '1girl, solo, long_hair, smile, ^_^, (o)_(o), \\m/, :), don\'t_say_"lazy", star_(symbol), hair, chair, hairband, '
    "hairbands, wet_hair, saber_(fate), rin_(fate)"
)
"""Of kohya's script without options."""
I = (  # noqa: E741
    '1girl, solo, saber_(fate), rin_(fate), (o)_(o), \\m/, :), ^_^, don\'t_say_"lazy", star_(symbol), hairband, '
    "hairbands, wet_hair, long_hair, hair, chair, smile"
)
"""Of imgutils without options."""
SPACED = (
    '1girl, solo, saber (fate), rin (fate), (o)_(o), \\m/, :), ^_^, don\'t say "lazy", star (symbol), hairband, '
    "hairbands, wet hair, long hair, hair, chair, smile"
)


class Tagged(NamedTuple):
    """A picture that the model knows, with a person's caption and without."""

    model: Path
    plain: Dataset
    captioned: Dataset

    def __call__(self, parameters: dict[str, Any], *, captioned: bool = False) -> str:
        dataset = self.captioned if captioned else self.plain
        step = {"tag": {"model": str(self.model), **parameters}}
        outcome = go(dataset, recipe(dataset, "ingest", step), self.model.parent)
        ((_, sample),) = by_name(dataset, outcome.version or dataset.newest()).values()
        classes: Any = (sample.metadata("tags") or {})["class-map"]
        return ", ".join(classes[str(index)] for index in sample.value("tags"))


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Tagged:
    model = build_constant(tmp_path_factory.mktemp("peers") / "golden", GOLDEN)
    plain, captioned = Dataset.open("memory://peers-plain"), Dataset.open("memory://peers-captioned")
    drop(plain, {"a.png": pictures.flat()})
    drop(captioned, {"a.png": pictures.flat(), "a.txt": PERSON.encode()})
    return Tagged(model, plain, captioned)


@pytest.mark.parametrize(
    ("option", "wrote"),
    [
        ({}, K),
        ({"threshold": 0.2, "character_threshold": 0.2}, f"{K.replace('smile', 'smile, blush')}, hatsune_miku"),
        (
            {"threshold": 0.5, "character_threshold": 0.2},
            "1girl, solo, ^_^, (o)_(o), \\m/, :), saber_(fate), rin_(fate), hatsune_miku",
        ),
        ({"character_threshold": 1.01}, K.removesuffix(", saber_(fate), rin_(fate)")),
        ({"threshold": 0.45}, '1girl, solo, ^_^, (o)_(o), \\m/, :), don\'t_say_"lazy", saber_(fate), rin_(fate)'),
        ({"rating": "first"}, f"general, {K}"),
        ({"rating": "last"}, f"{K}, general"),
        (
            {"blacklist": ["long_hair", "smile", ">_<", "saber_(fate)"]},
            K.replace("long_hair, smile, ", "").replace("saber_(fate), ", ""),
        ),
        ({"blacklist": ["hairband"]}, K.replace("hairband, ", "", 1)),
        ({"first": ["smile"]}, f"smile, {K.replace('smile, ', '')}"),
        ({"replace": {"smile": "a smile"}}, K.replace("smile", "a smile")),
    ],
)
def test_the_tags_are_those_of_kohyas_script(tagged: Tagged, option: dict[str, Any], wrote: str) -> None:
    assert tagged(KOHYA | option) == wrote


def test_tags_are_appended_to_a_persons_as_kohyas_script_does(tagged: Tagged) -> None:
    assert tagged(KOHYA | {"existing": "append"}, captioned=True) == f"{PERSON}, {K.replace('smile, ', '')}"


@pytest.mark.parametrize(
    ("option", "wrote"),
    [
        ({}, I),
        ({"threshold": 0.2, "character_threshold": 0.2}, f"{I}, blush, hatsune_miku"),
        ({"character_threshold": 1.01}, I.replace("saber_(fate), rin_(fate), ", "")),
        ({"underscores": "spaces"}, SPACED),
        (
            {"escape": True},
            '1girl, solo, saber_\\(fate\\), rin_\\(fate\\), \\(o\\)_\\(o\\), \\\\m/, :\\), ^_^, don\'t_say_"lazy", '
            "star_\\(symbol\\), hairband, hairbands, wet_hair, long_hair, hair, chair, smile",
        ),
        (
            {"escape": True, "underscores": "spaces"},
            '1girl, solo, saber \\(fate\\), rin \\(fate\\), \\(o\\)_\\(o\\), \\\\m/, :\\), ^_^, don\'t say "lazy", '
            "star \\(symbol\\), hairband, hairbands, wet hair, long hair, hair, chair, smile",
        ),
        ({"blacklist": ["Long Hair", "SMILE"]}, I.replace("long_hair, ", "").removesuffix(", smile")),
        ({"blacklist": ["long hair", ">_<"], "underscores": "spaces"}, SPACED.replace("long hair, ", "")),
        ({"mcut": ["general"]}, "1girl, solo, saber_(fate), rin_(fate)"),
        ({"mcut": ["character"]}, I),
        ({"mcut": True}, "1girl, solo, saber_(fate), rin_(fate)"),
        ({"people_first": True}, I.replace("1girl, solo", "solo, 1girl")),
    ],
)
def test_the_tags_are_those_of_imgutils(tagged: Tagged, option: dict[str, Any], wrote: str) -> None:
    assert tagged(IMGUTILS | option) == wrote


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "kohya's script tears faces of more than three signs": (
        KOHYA | {"underscores": "spaces"},
        K.replace("_", " ").replace("^ ^", "^_^").replace("(o) (o)", "(o)_(o)"),
        K.replace("_", " ").replace("^ ^", "^_^"),
    ),
    "kohya's script turns characters round when they go first": (
        KOHYA | {"characters_first": True},
        f"saber_(fate), rin_(fate), {K.removesuffix(', saber_(fate), rin_(fate)')}",
        f"rin_(fate), saber_(fate), {K.removesuffix(', saber_(fate), rin_(fate)')}",
    ),
    "kohya's script bans one spelling of a tag only": (
        KOHYA | {"blacklist": ["Long Hair", "SMILE"]},
        K.replace("long_hair, smile, ", ""),
        K,
    ),
    "kohya's script turns the first tags round": (
        KOHYA | {"first": ["blush", "smile", "1girl"]},
        f"smile, {K.replace('smile, ', '')}",
        f"1girl, smile, {K.removeprefix('1girl, ').replace('smile, ', '')}",
    ),
    "kohya's script passes over first tags with a space before them": (
        KOHYA | {"first": ["blush", " smile", " 1girl"]},
        f"smile, {K.replace('smile, ', '')}",
        K,
    ),
    "kohya's script of 2026 replaces nothing": (
        KOHYA | {"replace": {"smile": "a smile"}, "character_threshold": 1.01},
        K.replace("smile", "a smile").removesuffix(", saber_(fate), rin_(fate)"),
        K.removesuffix(", saber_(fate), rin_(fate)"),
    ),
    "kohya's script writes the series of two characters twice": (
        KOHYA | {"expand_characters": True},
        K.replace("saber_(fate), rin_(fate)", "saber, fate, rin"),
        K.replace("saber_(fate), rin_(fate)", "saber, fate, rin, fate"),
    ),
    "imgutils bans the plural with the singular": (
        IMGUTILS | {"blacklist": ["hairband"]},
        I.replace("hairband, ", "", 1),
        I.replace("hairband, hairbands, ", ""),
    ),
    "imgutils takes letters for words when it drops what another tag implies": (
        IMGUTILS | {"drop_overlap": True},
        I.replace(" hair,", ""),
        I.replace("hairband, hairbands", "hairbands").replace(" hair,", ""),
    ),
    "imgutils drops clothes and states with a character's traits": (
        IMGUTILS | {"drop_traits": True},
        I.replace("long_hair, hair, ", ""),
        I.replace("hairband, hairbands, wet_hair, long_hair, hair, ", ""),
    ),
}
"""Parameters, what we write, what the peer wrote."""


@pytest.mark.parametrize("fault", FAULTS)
def test_where_a_peer_is_wrong_we_are_not(tagged: Tagged, fault: str) -> None:
    parameters, ours, theirs = FAULTS[fault]
    assert ours != theirs
    assert tagged(parameters) == ours


def test_one_tag_in_two_spellings_is_not_appended_to_itself(tagged: Tagged) -> None:
    """kohya's script: `mychar, Long Hair, 1girl, solo, long_hair, …`."""
    dataset = Dataset.open("memory://peers-respelled")
    drop(dataset, {"a.png": pictures.flat(), "a.txt": b"mychar, Long Hair"})
    respelled = Tagged(tagged.model, tagged.plain, dataset)
    written = respelled(KOHYA | {"existing": "append"}, captioned=True)
    assert written == f"mychar, Long Hair, {K.replace('long_hair, ', '')}"


# Models that end kohya's script, or that it reads wrongly

RATINGS: list[Row] = [("general", 9, 0.9), ("sensitive", 9, 0.1), ("questionable", 9, 0.1), ("explicit", 9, 0.1)]
MORE: list[Row] = [("1girl", 0, 0.9), ("solo", 0, 0.3)]


@pytest.mark.parametrize(
    ("rows", "written"),
    [
        ([*RATINGS, *MORE, ("somebody", 1, 0.9)], "1girl, somebody"),  # kohya's: IndexError
        ([*RATINGS, *MORE, ("saber_(fate)", 4, 0.9)], "1girl, saber_(fate)"),  # kohya's of 2026: UnboundLocalError
        # kohya's: `1girl, smile`
        ([*RATINGS, *MORE, ("saber_(fate)", 4, 0.9), ("smile", 0, 0.1)], "1girl, saber_(fate)"),
        ([*MORE, ("saber_(fate)", 4, 0.9), *RATINGS], "1girl, saber_(fate)"),
    ],
)
def test_a_label_is_of_its_own_category_wherever_it_stands_in_the_table(
    tmp_path: Path, rows: list[Row], written: str
) -> None:
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    drop(dataset, {"a.png": pictures.flat()})
    assert Tagged(build_constant(tmp_path / "model", rows), dataset, dataset)(KOHYA) == written


def test_five_pictures_are_tagged_by_a_model_that_takes_four_at_once(tmp_path: Path) -> None:
    """kohya's script dies of the fifth."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    model = build_constant(tmp_path / "fours", [*RATINGS, *MORE], batch=4)
    drop(dataset, {f"{name}.png": pictures.flat(name) for name in ("red", "green", "blue", "white", "black")})
    outcome = go(dataset, recipe(dataset, "ingest", {"tag": {"model": str(model)}}), tmp_path)
    found = by_name(dataset, outcome.version)
    assert [len(sample.value("tags")) for _, sample in found.values()] == [1] * 5


def test_a_file_that_is_no_picture_costs_itself_alone(tagged: Tagged) -> None:
    """kohya's script ends at the first, unless it loads in workers."""
    dataset = Dataset.open("memory://peers-broken")
    drop(dataset, {"a.png": pictures.text(), "b.png": pictures.flat(), "c.jpg": pictures.truncated()})
    outcome = go(dataset, recipe(dataset, "ingest", {"tag": {"model": str(tagged.model)}}), tagged.model.parent)
    found = by_name(dataset, outcome.version)
    assert [name for name, (_, sample) in found.items() if sample.value("tags")] == ["b.png"]


# Pixels


def clear() -> bytes:
    """A scene that is the more transparent the higher up."""
    image = pictures.scene(3, (SIDE, SIDE)).copy()
    image.putalpha(Image.linear_gradient("L").resize((SIDE, SIDE)))
    return pictures.encoded(image, "PNG")


@pytest.mark.parametrize(
    ("picture", "fed"),
    [
        (clear(), ((203, 210, 206), (211, 170, 165), (148, 139, 191))),
        (pictures.photo(5, (901, 300), "PNG"), ((84, 125, 83), (129, 103, 79), (114, 131, 116))),
        (pictures.photo(6, (450, 899), "PNG"), ((163, 159, 65), (255, 255, 255), (145, 190, 150))),
        (pictures.photo(7, (200, 150), "PNG"), ((172, 38, 143), (64, 122, 71), (100, 72, 52))),
    ],
    ids=["transparent", "wide", "tall", "small"],
)
def test_the_pixels_are_those_that_imgutils_feeds(
    tagged: Tagged, picture: bytes, fed: tuple[tuple[int, int, int], ...]
) -> None:
    """Area and cubic of OpenCV, Lanczos, stretching and repeated edges give others, but for the first."""
    tagger = OnnxTagger(locate(str(tagged.model), folder=tagged.model.parent))
    array = tagger.prepare(decode(picture))
    assert np.array_equal(array[[168, 224, 280], [300, 60, 224]], fed)


# Datasets that other tools harm


def test_pictures_of_one_name_and_one_size_are_not_taken_for_duplicates(tmp_path: Path) -> None:
    """Lora_Easy_Training_Jupyter judges by both, and writes over a file of the name."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    one, other = (pictures.encoded(Image.new("RGB", (64, 64), colour), "BMP") for colour in ("red", "blue"))
    assert len(one) == len(other)
    drop(dataset, {"a/1.bmp": one, "b/1.bmp": other, "a/1.txt": b"red", "b/1.txt": b"blue"})
    outcome = go(dataset, recipe(dataset, "ingest", "dedup"), tmp_path)
    assert roles(dataset, outcome.version) == {"a/1.bmp": "unsplit", "b/1.bmp": "unsplit"}
    found = by_name(dataset, outcome.version)
    assert {name: sample.value("caption") for name, (_, sample) in found.items()} == {
        "a/1.bmp": "red",
        "b/1.bmp": "blue",
    }


@pytest.mark.parametrize("written", ["long_hair 1girl blue_eyes", "a young lady, blonde woman; smile"])
def test_a_caption_is_taken_in_as_it_stands(tmp_path: Path, written: str) -> None:
    """Others tear tags with spaces between them apart, or turn each woman into a girl."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    drop(dataset, {"a.png": pictures.flat(), "a.txt": written.encode()})
    outcome = go(dataset, recipe(dataset, "ingest", "unique"), tmp_path)
    ((_, sample),) = by_name(dataset, outcome.version).values()
    assert sample.value("caption") == written


def test_kohyas_cleaning_rewrites_no_word(tagged: Tagged) -> None:
    """The script's makes `girl` of woman, lady, person and female, and drops `young`."""
    rows = [*RATINGS, *((name, 0, 0.9) for name in ("woman", "young_lady", "female_person"))]
    dataset = Dataset.open("memory://peers-cleaned")
    drop(dataset, {"a.png": pictures.flat()})
    model = build_constant(tagged.model.parent / "women", rows)
    written = Tagged(model, dataset, dataset)(KOHYA | {"kohya_clean": True})
    assert written == "woman, young_lady, female_person"
