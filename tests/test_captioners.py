"""Captioners: found, asked and read as their authors mean it, and the same words for a picture in any company."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pictures
import tiny
from imageyard.manifests.errors import ModelError, RecipeError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.canonical import Decoded, decode
from imageyard.ray_jobs.extractors.base import Row
from imageyard.ray_jobs.extractors.caption import Captioner
from imageyard.ray_jobs.models import caption_settings, captioner_table, snapshots
from imageyard.ray_jobs.models.caption_families import Florence
from imageyard.ray_jobs.models.caption_prompts import LENGTHS, STYLES, instruction
from imageyard.ray_jobs.models.captioner import TorchCaptioner
from imageyard.ray_jobs.models.table import named
from imageyard.ray_jobs.work import Item, Shard
from imageyard.ray_jobs.worker import Place, Worker
from tiny import changed

BUILDS: dict[str, Callable[[Path], Path]] = {
    "blip": tiny.build_blip,
    "blip2": tiny.build_blip2,
    "git": tiny.build_git,
    "florence": tiny.build_florence,
    "blip2-t5": tiny.build_blip2_t5,
    "qwen": tiny.build_qwen,
    "qwen3": tiny.build_qwen3,
    "llava": tiny.build_llava,
}
FEW = 8
"""Tokens of an answer."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one model of each family, `tiny-blip` and so on."""
    folder = tmp_path_factory.mktemp("captioners")
    for name, build in BUILDS.items():
        build(folder / f"tiny-{name}")
    return folder


def located(shelf: Path, name: str, **said: Any) -> Captioner:
    return Captioner.locate(str(shelf / f"tiny-{name}"), folder=shelf, **{"max_new_tokens": FEW, **said})


@cache
def loaded(shelf: Path, name: str, *, batch: int | None = None, **said: Any) -> TorchCaptioner:
    """Loaded once for all tests that ask alike."""
    extractor = located(shelf, name, **said)
    found = snapshots.locate_snapshot(extractor.source, captioner_table.CAPTIONERS, folder=shelf)
    return TorchCaptioner(found, extractor.settings, batch=batch)


def some(count: int = 5, size: tuple[int, int] = (90, 70)) -> list[Decoded]:
    """Pictures of one size that have little in common."""
    flat = [decode(pictures.flat(colour, size)) for colour in ("red", "blue")]
    return [*(decode(pictures.photo(seed, size)) for seed in range(count - len(flat))), *flat]


def said(model: TorchCaptioner, *images: Decoded) -> list[Row]:
    return model.run([model.prepare(image) for image in images])


def texts(model: TorchCaptioner, *images: Decoded) -> list[str]:
    return [str(row["text"]) for row in said(model, *images)]


# The words


@pytest.mark.parametrize("name", BUILDS)
def test_different_pictures_get_different_words(shelf: Path, name: str) -> None:
    rows = said(loaded(shelf, name), *some())
    assert len({row["text"] for row in rows}) >= len(rows) - 1
    assert {frozenset(row) for row in rows} == {frozenset({"text", "finished", "labels", "boxes"})}
    assert {field.name for field in Captioner.columns()} == set(rows[0])


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", BUILDS)
def test_a_picture_gets_the_same_words_whatever_its_place_and_neighbours(shelf: Path, name: str, beams: int) -> None:
    model = loaded(shelf, name, batch=4, beams=beams, max_new_tokens=20, min_new_tokens=0)
    inputs = [model.prepare(image) for image in some(6)]
    alone = [model.run([one])[0] for one in inputs]
    shuffle = np.random.default_rng(7)
    for count in (2, 4, 6):
        order = shuffle.permutation(len(inputs))[:count]
        assert model.run([inputs[at] for at in order]) == [alone[at] for at in order]
    assert model.run(np.stack(inputs)) == alone  # an array is as good as a list


def test_captions_that_end_early_do_not_depend_on_those_that_do_not(shelf: Path) -> None:
    """The neighbours above would hide it if every caption were cut off at the same token."""
    model = loaded(shelf, "blip2", batch=8, beams=3, max_new_tokens=30)
    images = some(8)
    rows = said(model, *images)
    assert {row["finished"] for row in rows} == {True, False}
    assert [said(model, image)[0] for image in images] == rows


@pytest.mark.parametrize("name", BUILDS)
def test_one_run_of_a_batch_is_as_good_as_many(shelf: Path, name: str) -> None:
    images = some(5)
    assert texts(loaded(shelf, name, batch=5), *images) == texts(loaded(shelf, name, batch=1), *images)


def test_another_process_says_the_same(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(pictures.photo(0, (90, 70), "PNG"))
    code = (
        "import sys, json; from pathlib import Path\n"
        "from imageyard.ray_jobs.canonical import decode\n"
        "from imageyard.ray_jobs.extractors.caption import Captioner\n"
        "image = decode(Path(sys.argv[1]).read_bytes())\n"
        "for name in sys.argv[2:]:\n"
        "    model = Captioner.locate(name, folder=Path('.'), max_new_tokens=8).load(threads=1, gpu=False)\n"
        "    print(json.dumps(model.run([model.prepare(image)])[0]['text']))"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    names = [str(shelf / f"tiny-{name}") for name in BUILDS]
    command = [sys.executable, "-c", code, str(tmp_path / "picture.png"), *names]
    done = subprocess.run(command, env=offline, capture_output=True, text=True, check=True).stdout
    image = decode(pictures.photo(0, (90, 70), "PNG"))
    assert [json.loads(line) for line in done.splitlines()] == [texts(loaded(shelf, name), image)[0] for name in BUILDS]


@pytest.mark.parametrize("name", ["blip", "git", "blip2", "blip2-t5", "llava"])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_words_are_those_that_transformers_own_processor_and_generate_give(
    shelf: Path, name: str, beams: int
) -> None:
    image = some()[0]
    asked: dict[str, Any] = {"beams": beams, "min_new_tokens": 0, "repetition_penalty": 1.3}
    prompt = located(shelf, name, **asked).settings.prompt
    assert texts(loaded(shelf, name, **asked), image) == [by_transformers(shelf, name, image.rgb, prompt, beams)]


def test_a_llava_with_a_class_token_counts_as_its_processor_does(tmp_path: Path) -> None:
    tiny.build_llava(tmp_path / "tiny-llava", clip=True)
    image, prompt = some()[0], "the red car"
    expected = by_transformers(tmp_path, "llava", image.rgb, prompt, 1)
    assert texts(loaded(tmp_path, "llava", prompt=prompt, repetition_penalty=1.3), image) == [expected]


def test_weights_that_nothing_is_computed_with_may_be_missing(shelf: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(shelf / "tiny-llava", tmp_path / "tiny-llava"))
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if ".head." not in name}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    assert texts(loaded(tmp_path, "llava"), *some()) == texts(loaded(shelf, "llava"), *some())


def by_transformers(shelf: Path, name: str, image: Image.Image, prompt: str | None, beams: int) -> str:
    """As the model's card says to use it."""
    import transformers

    folder = shelf / f"tiny-{name}"
    processor_class, model_class = {
        "blip": (transformers.BlipProcessor, transformers.BlipForConditionalGeneration),
        "git": (transformers.GitProcessor, transformers.GitForCausalLM),
        "blip2": (transformers.Blip2Processor, transformers.Blip2ForConditionalGeneration),
        "blip2-t5": (transformers.Blip2Processor, transformers.Blip2ForConditionalGeneration),
        "llava": (transformers.LlavaProcessor, transformers.LlavaForConditionalGeneration),
    }[name]
    processor: Any = processor_class.from_pretrained(folder)
    model: Any = model_class.from_pretrained(folder).eval()
    if name == "llava":
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        chat = [{"role": "user", "content": content}]
        text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        inputs = processor(images=image, text=text, return_tensors="pt")
    elif name.startswith("blip2"):
        inputs = processor(images=image, text="", return_tensors="pt")
    else:
        inputs = processor(images=image, return_tensors="pt")
    with torch.no_grad():
        found = model.generate(**inputs, num_beams=beams, max_new_tokens=FEW, repetition_penalty=1.3, do_sample=False)
    before = inputs["input_ids"].shape[1] if "input_ids" in inputs and name != "blip2-t5" else 0
    return str(processor.tokenizer.decode(found[0][before:], skip_special_tokens=True)).strip().removeprefix("##")


@pytest.mark.parametrize("task", ["<CAPTION>", "<MORE_DETAILED_CAPTION>"])
def test_florence_is_asked_as_its_processor_asks(shelf: Path, task: str) -> None:
    from transformers import Florence2ForConditionalGeneration, Florence2Processor

    image = some()[1]
    processor: Any = Florence2Processor.from_pretrained(shelf / "tiny-florence")
    model: Any = Florence2ForConditionalGeneration.from_pretrained(shelf / "tiny-florence").eval()
    inputs = processor(images=image.rgb, text=task, return_tensors="pt")
    ours = loaded(shelf, "florence", task=task)
    height, width = ours.prepare(image).shape[1:]
    assert ours.family.ids(height, width) == inputs["input_ids"][0].tolist()
    with torch.no_grad():
        found = model.generate(**inputs, num_beams=3, max_new_tokens=FEW, do_sample=False, forced_eos_token_id=None)
    whole = processor.batch_decode(found, skip_special_tokens=False)[0]
    answer = processor.post_process_generation(text=whole, task=task, image_size=(10, 10))[task]
    assert texts(ours, image) == [answer.replace("<pad>", "").strip()]


def test_a_chat_of_qwen_has_a_token_for_every_four_patches(shelf: Path) -> None:
    ours = loaded(shelf, "qwen", prompt="the red car", system="a photo")
    array = ours.prepare(some()[0])
    height, width = array.shape[1:]
    asked = ours.family.tokenizer.convert_ids_to_tokens(ours.family.ids(height, width))
    picture = ["<|image_pad|>"] * (height // 28 * (width // 28))
    assert (height % 28, width % 28, len(picture) > 1) == (0, 0, True)
    assert [token for token in asked if token != "<unk>"] == [  # user, system, assistant are no words of its
        *("<|im_start|>", "a", "photo", "<|im_end|>", "<|im_start|>", "<|vision_start|>", *picture),
        *("<|vision_end|>", "the", "red", "car", "<|im_end|>", "<|im_start|>"),
    ]


def test_sampling_settings_of_a_repository_are_not_obeyed(shelf: Path) -> None:
    published = json.loads((shelf / "tiny-qwen" / "generation_config.json").read_text())
    assert (published["do_sample"], published["temperature"]) == (True, 0.7)
    model, image = loaded(shelf, "qwen", max_new_tokens=30), some()[0]
    assert len({tuple(texts(model, image)) for _ in range(5)}) == 1


# How they are asked


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("blip", {}, {"prompt": "a photo of"}),
        ("git", {}, {"prompt": "a photo of"}),
        ("blip2", {}, {"prompt": "the cat is"}),
        ("llava", {"prompt": "the cat is"}, {"prompt": "a red car"}),
        ("llava", {}, {"system": "the red car"}),
        ("qwen", {"prompt": "the cat is"}, {"prompt": "a red car"}),
        ("qwen", {}, {"max_pixels": 28 * 28 * 2}),
        ("florence", {"task": "<CAPTION>"}, {"task": "<DETAILED_CAPTION>"}),
        ("florence", {"task": "<CAPTION>"}, {"task": "<MIXED_CAPTION>"}),
        ("florence", {"task": "<REGION_TO_OCR>", "prompt": "a"}, {"task": "<REGION_TO_OCR>", "prompt": "b"}),
        ("blip", {"beams": 1}, {"beams": 3}),
        ("blip", {"repetition_penalty": 1.0}, {"repetition_penalty": 3.0}),
        ("blip2", {"length_penalty": -10.0, "max_new_tokens": 30}, {"length_penalty": 10.0, "max_new_tokens": 30}),
    ],
)
def test_what_is_said_about_asking_changes_the_words_and_the_identity(
    shelf: Path, name: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    images = some()
    assert texts(loaded(shelf, name, **one), *images) != texts(loaded(shelf, name, **other), *images)
    assert located(shelf, name, **one).identity() != located(shelf, name, **other).identity()


@pytest.mark.parametrize("name", ["blip", "git"])
def test_the_words_that_a_caption_begins_with_are_no_part_of_it(shelf: Path, name: str) -> None:
    for text in texts(loaded(shelf, name, prompt="a Photo of", beams=3), *some()):
        assert text
        assert not text.lower().startswith("a photo of")


@pytest.mark.parametrize("name", ["blip2", "qwen", "llava"])
def test_an_answer_has_no_more_tokens_than_it_may_and_says_whether_it_is_whole(shelf: Path, name: str) -> None:
    short, long = (loaded(shelf, name, max_new_tokens=most, min_new_tokens=0, beams=1) for most in (3, 60))
    ends: set[object] = set()
    for image in some(8):
        (cut,), (whole,) = said(short, image), said(long, image)
        tokens = short.family.tokenizer.encode(cut["text"], add_special_tokens=False)
        assert len(tokens) <= 3
        ends |= {cut["finished"], whole["finished"]}
        if cut["finished"]:
            assert cut == whole
        elif whole["finished"]:
            assert len(str(whole["text"])) > len(str(cut["text"]))
    assert False in ends
    if name in ("blip2", "qwen"):  # whose weights happen to end some
        assert True in ends


def test_a_caption_has_as_many_tokens_as_it_must(shelf: Path) -> None:
    freely, longer = (loaded(shelf, "blip2", min_new_tokens=few, max_new_tokens=30, beams=1) for few in (0, 30))
    images = some(8)
    assert any(row["finished"] for row in said(freely, *images))
    assert not any(row["finished"] for row in said(longer, *images))


def test_florences_forced_end_does_not_pass_for_an_end(shelf: Path) -> None:
    assert json.loads((shelf / "tiny-florence" / "generation_config.json").read_text())["forced_eos_token_id"] == 2
    assert [row["finished"] for row in said(loaded(shelf, "florence", max_new_tokens=3), *some())] == [False] * 5


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("blip", {"beams": 3, "min_new_tokens": 5, "max_new_tokens": 75, "repetition_penalty": 1.1}),
        ("git", {"beams": 1, "max_new_tokens": 50}),
        ("florence", {"beams": 3, "max_new_tokens": 256, "task": "<MORE_DETAILED_CAPTION>"}),
        ("llava", {"beams": 1, "max_new_tokens": 512, "prompt": instruction("descriptive")}),
        ("qwen", {"beams": 1, "max_new_tokens": 512, "max_pixels": 1280 * 28 * 28}),
    ],
)
def test_what_is_not_said_is_the_familys(shelf: Path, name: str, settings: dict[str, Any]) -> None:
    found = Captioner.locate(f"tiny-{name}", folder=shelf).settings.model_dump()
    assert {key: found[key] for key in settings} == settings


def test_a_task_about_places_may_answer_at_length(shelf: Path) -> None:
    assert Captioner.locate("tiny-florence", folder=shelf, task="<OD>").settings.max_new_tokens == 1024


def test_joycaption_has_the_instruction_that_its_authors_give_it() -> None:
    entry = named("joycaption", captioner_table.CAPTIONERS)
    assert entry
    assert entry.defaults
    assert entry.defaults.system == "You are a helpful image captioner."


@pytest.mark.parametrize(
    ("name", "asked", "complaint"),
    [
        ("blip", {"task": "<OD>"}, "`task` means nothing to the family blip"),
        ("blip", {"system": "be kind"}, "`system` means nothing"),
        ("florence", {"style": "descriptive"}, "`style` means nothing"),
        ("llava", {"max_pixels": 1000}, "`max_pixels` means nothing"),
        ("florence", {"task": "<CAPTON>"}, "'<CAPTON>' is unknown; there are <CAPTION>"),
        ("florence", {"prompt": "a cat"}, "takes no words"),
        ("florence", {"task": "<CAPTION_TO_PHRASE_GROUNDING>"}, "needs words"),
        ("florence", {"task": "<REGION_TO_SEGMENTATION>", "prompt": "x"}, "outlines"),
        ("blip", {"beams": 0}, "`beams`"),
        ("blip", {"beams": "3"}, "`beams`"),
        ("blip", {"max_new_tokens": 0}, "`max_new_tokens`"),
        ("blip", {"min_new_tokens": 9}, "`min_new_tokens` 9 is more than `max_new_tokens` 8"),
        ("git", {"length_penalty": 2.0}, "`length_penalty` needs beams"),
        ("blip", {"temperature": 0.6}, "`temperature`"),
        ("blip", {"prompt": " "}, "`prompt` is empty"),
        ("qwen", {"style": "haiku"}, "'haiku' is unknown; there are descriptive"),
        ("qwen", {"style": "descriptive", "length": "endless"}, "`length` 'endless'"),
        ("qwen", {"style": "descriptive", "length": 0}, "`length` 0"),
        ("qwen", {"style": "descriptive", "prompt": "say"}, "`prompt` stands for `style`"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(shelf: Path, name: str, asked: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint) as caught:
        located(shelf, name, **asked)
    assert f"captioner tiny-{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_a_sentence_of_any_length(style: str) -> None:
    for length in (None, 40, *LENGTHS):
        text = instruction(style, length)
        assert "{" not in text
        assert "  " not in text
        assert str(length or "") in text


def test_a_prompt_is_text_and_no_template(shelf: Path) -> None:
    prompt = "a {length} {0} {{ 7 * 7 }} {% raw %} %s cat"
    model = loaded(shelf, "llava", prompt=prompt)
    assert located(shelf, "llava", prompt=prompt).settings.prompt == prompt
    assert "49" not in "".join(model.family.tokenizer.convert_ids_to_tokens(model.family.ids(32, 32)))


def test_a_prompt_that_names_the_picture_itself_is_refused(shelf: Path) -> None:
    with pytest.raises(ModelError, match="<image>"):
        loaded(shelf, "llava", prompt="a cat <image>")


@pytest.mark.parametrize(
    "template",
    [
        # Contents are strings, and the template puts the picture itself.
        "{% for m in messages %}{{ m['role'] }} {% if m['role'] == 'user' %}<image> {% endif %}"
        "{{ m['content'] | trim }} {% endfor %}",
        # Contents are strings, and nobody puts the picture.
        "{% for m in messages %}{{ m['role'] + ' ' + m['content'] }} {% endfor %}",
        # Parts.
        tiny.LLAVA_TEMPLATE,
    ],
)
@pytest.mark.parametrize("place", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json"])
def test_templates_of_all_habits_get_one_picture_and_the_words(
    shelf: Path, tmp_path: Path, template: str, place: str
) -> None:
    folder = Path(shutil.copytree(shelf / "tiny-llava", tmp_path / "tiny-llava"))
    (folder / "chat_template.jinja").unlink()
    if place == "chat_template.jinja":
        (folder / place).write_text(template)
    else:
        said = json.loads((folder / place).read_text()) if (folder / place).is_file() else {}
        (folder / place).write_text(json.dumps(said | {"chat_template": template}))
    model = loaded(tmp_path, "llava", prompt="the red car", system="a photo")
    tokens = model.family.tokenizer.convert_ids_to_tokens(model.family.ids(32, 32))
    assert tokens[0] == "<s>"
    assert [token for token in tokens if token in ("<image>", "a", "photo", "the", "red", "car")] == [
        *("a", "photo", *["<image>"] * 4, "the", "red", "car")
    ]


def test_a_chat_without_a_template_is_refused(shelf: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shelf / "tiny-llava", tmp_path / "tiny-llava"))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"no chat_template\.jinja and no chat_template\.json"):
        loaded(tmp_path, "llava")
    (folder / "chat_template.jinja").write_text("{{ 'describe' }}")
    with pytest.raises(ModelError, match="puts no <image> beside the instruction"):
        loaded(tmp_path, "llava")


# Places


def florence(shelf: Path, task: str, **said: Any) -> Florence:
    family = loaded(shelf, "florence", task=task, **said).family
    assert isinstance(family, Florence)
    return family


def bins(*numbers: int) -> str:
    return "".join(f"<loc_{number}>" for number in numbers)


@pytest.mark.parametrize(
    ("task", "answer", "text", "labels", "boxes"),
    [
        (
            "<OD>",
            f"car{bins(52, 333, 932, 774)}wheel{bins(708, 575, 864, 768)}{bins(0, 0, 999, 999)}",
            "car, wheel",
            ["car", "wheel", "wheel"],
            [0.0525, 0.3335, 0.9325, 0.7745, 0.7085, 0.5755, 0.8645, 0.7685, 0.0005, 0.0005, 0.9995, 0.9995],
        ),
        (
            "<DENSE_REGION_CAPTION>",
            f"a red car{bins(0, 100, 500, 999)}",
            "a red car",
            ["a red car"],
            [0.0005, 0.1005, 0.5005, 0.9995],
        ),
        ("<REGION_PROPOSAL>", bins(10, 20, 30, 40), "", [""], [0.0105, 0.0205, 0.0305, 0.0405]),
        (
            "<OCR_WITH_REGION>",
            f"STOP{bins(10, 20, 30, 20, 30, 40, 10, 40)}",
            "STOP",
            ["STOP"],
            [0.0105, 0.0205, 0.0305, 0.0205, 0.0305, 0.0405, 0.0105, 0.0405],
        ),
        ("<OD>", f"{bins(9)}car{bins(52, 333, 932, 774)}", "car", ["car"], [0.0525, 0.3335, 0.9325, 0.7745]),
        ("<OD>", bins(9, 52, 333, 932, 774), "", [""], [0.0525, 0.3335, 0.9325, 0.7745]),
        ("<OD>", "nothing of note", "", [], []),
        ("<CAPTION>", " A green car. ", "A green car.", [], []),
    ],
)
def test_places_are_fractions_of_width_and_height(
    shelf: Path, task: str, answer: str, text: str, labels: list[str], boxes: list[float]
) -> None:
    row = florence(shelf, task).read(f"</s><s>{answer}</s><pad><pad>")
    assert (row["text"], row["labels"]) == (text, labels)
    assert row["boxes"] == pytest.approx(boxes, abs=1e-6)


def test_phrases_are_grounded(shelf: Path) -> None:
    family = florence(shelf, "<CAPTION_TO_PHRASE_GROUNDING>", prompt="a car on a street")
    row = family.read(f"a car{bins(100, 200, 300, 400)}a street{bins(0, 500, 999, 999)}")
    assert row["labels"] == ["a car", "a street"]
    assert row["boxes"] == pytest.approx([0.1005, 0.2005, 0.3005, 0.4005, 0.0005, 0.5005, 0.9995, 0.9995])


def test_boxes_come_out_of_a_whole_run(shelf: Path) -> None:
    rows = said(loaded(shelf, "florence", task="<REGION_PROPOSAL>", max_new_tokens=60, beams=1), *some())
    boxes = [box for row in rows for box in _fours(row["boxes"])]
    assert boxes
    assert all(0 < place < 1 for box in boxes for place in box)
    assert [len(_fours(row["boxes"])) for row in rows] == [len(list(_labels(row))) for row in rows]


def _fours(boxes: object) -> list[tuple[float, ...]]:
    assert isinstance(boxes, list)
    assert len(boxes) % 4 == 0
    return list(zip(*[iter(boxes)] * 4, strict=True))


def _labels(row: Row) -> list[str]:
    labels = row["labels"]
    assert isinstance(labels, list)
    return labels


def test_the_tasks_are_those_of_the_librarys_processor(shelf: Path) -> None:
    from transformers import Florence2Processor

    processor: Any = Florence2Processor.from_pretrained(shelf / "tiny-florence")
    assert set(caption_settings.TASKS) == set(processor.task_prompts_without_inputs)
    worded = {*caption_settings.WORDED_TASKS, *caption_settings.OUTLINE_TASKS}
    assert worded == set(processor.task_prompts_with_input)
    assert not set(caption_settings.PROMPTGEN_TASKS) & {*caption_settings.TASKS, *worded}


# Pixels


@pytest.mark.parametrize("size", [(90, 70), (50, 200), (32, 32), (64, 64), (31, 33)])
@pytest.mark.parametrize("name", BUILDS)
def test_pixels_are_those_of_the_models_own_processor(shelf: Path, name: str, size: tuple[int, int]) -> None:
    from transformers import AutoImageProcessor

    image = decode(pictures.photo(3, size))
    model = loaded(shelf, name)
    array = model.prepare(image)
    assert array.dtype == np.uint8
    pixels = model.family.pixels
    values = pixels.values(torch.from_numpy(array)[None])
    whole: Any = AutoImageProcessor.from_pretrained(shelf / f"tiny-{name}", backend="pil")
    expected = whole(image.rgb, return_tensors="np")
    if pixels.patches:
        values, grid = pixels.rows(values)
        assert grid.tolist() == expected["image_grid_thw"].tolist()
        values = values[None]
        expected["pixel_values"] = expected["pixel_values"][None]
    np.testing.assert_allclose(values[0].numpy(), expected["pixel_values"][0], atol=2e-6)


@pytest.mark.parametrize(
    ("most", "shape"), [(28 * 28 * 4, (3, 28, 112)), (28 * 28 * 16, (3, 56, 196)), (10**6, (3, 56, 196))]
)
def test_pictures_of_any_size_are_made_smaller_only_beyond_max_pixels(
    shelf: Path, most: int, shape: tuple[int, ...]
) -> None:
    assert loaded(shelf, "qwen", max_pixels=most).prepare(decode(pictures.photo(3, (200, 50)))).shape == shape


def test_pictures_of_different_sizes_keep_their_order_and_their_words(shelf: Path) -> None:
    model = loaded(shelf, "qwen", batch=3)
    images = [decode(pictures.photo(seed, size)) for seed, size in enumerate([(90, 70), (60, 120), (90, 70), (60, 60)])]
    assert len({model.prepare(image).shape for image in images}) == 3
    assert texts(model, *images) == [texts(model, image)[0] for image in images]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (4000, 2)])
@pytest.mark.parametrize("name", BUILDS)
def test_a_speck_and_a_strip_have_words_too(shelf: Path, name: str, size: tuple[int, int]) -> None:
    (row,) = said(loaded(shelf, name), decode(pictures.flat("red", size)))
    assert isinstance(row["text"], str)


def test_pictures_are_prepared_by_several_threads_at_once(shelf: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    model, images = loaded(shelf, "florence"), some(5) * 8
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(model.prepare, images))
    assert all(np.array_equal(one, model.prepare(image)) for one, image in zip(together, images, strict=True))


# Files


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("microsoft/Florence-2-base", "florence-2-base"),
        ("florence-community/Florence-2-large-ft", "florence-2-large-ft"),
        ("Salesforce/blip-image-captioning-large", "blip-large"),
        ("blip2-opt-2.7b", "blip2"),
        ("Qwen2.5-VL-7B-Instruct", "qwen2.5-vl-7b"),
        ("git-large-textcaps", "git-large-textcaps"),
        ("llama-joycaption-beta-one-hf-llava", "joycaption-beta"),
    ],
)
def test_a_model_goes_by_several_names(asked: str, name: str) -> None:
    found = named(asked, captioner_table.CAPTIONERS)
    assert found
    assert found.name == name


def test_no_two_models_share_a_name() -> None:
    names = [name for entry in captioner_table.CAPTIONERS for name in {said.lower() for said in entry.names}]
    assert len(names) == len(set(names))


def test_a_folder_of_the_tables_name_is_that_model(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "tiny-florence", tmp_path / "Florence-2-base")
    shutil.copytree(shelf / "tiny-florence", tmp_path / "florence-2-base@abc")
    assert Captioner.locate("florence-2-base", folder=tmp_path).model == "florence-2-base"
    assert Captioner.locate("microsoft/Florence-2-base@abc", folder=tmp_path).model == "florence-2-base"
    assert Captioner.locate(str(tmp_path / "Florence-2-base"), folder=Path("nowhere")).model == "florence-2-base"


def test_a_model_in_a_bucket_is_copied_and_found(shelf: Path, tmp_path: Path) -> None:
    url = f"file://{shelf / 'tiny-blip'}"
    captioner = Captioner.locate(url, folder=tmp_path, max_new_tokens=FEW)
    assert captioner.model == "tiny-blip"
    assert captioner.identity() == located(shelf, "blip").identity()
    model = captioner.load(threads=1, gpu=False)
    assert texts(model, some()[0]) == texts(loaded(shelf, "blip"), some()[0])


def test_a_model_in_hugging_faces_cache_needs_no_network(shelf: Path, tmp_path: Path) -> None:
    pinned, another = pinned_revision("florence-2-base"), "3f2a5b1c" * 5
    repository = tmp_path / "hub" / "models--florence-community--Florence-2-base"
    for commit in (pinned, another):
        shutil.copytree(shelf / "tiny-florence", repository / "snapshots" / commit)
    for asked, commit in (("florence-2-base", pinned), (f"microsoft/Florence-2-base@{another}", another)):
        assert locate_offline(asked, tmp_path, tmp_path).strip() == str(repository / "snapshots" / commit)


def pinned_revision(name: str) -> str:
    (revision,) = (entry.revision for entry in captioner_table.CAPTIONERS if name in entry.names)
    return revision


def test_a_model_that_cannot_be_downloaded_says_where_to_put_it(tmp_path: Path) -> None:
    told = locate_offline("blip-base", tmp_path, tmp_path / "cache")
    assert told.count("\n") == 1
    assert f"blip-base: not in {tmp_path / 'blip-base'}" in told
    assert "put config.json, model.safetensors and the tokenizer's files into that folder" in told


def locate_offline(model: str, models: Path, cache: Path) -> str:
    """What another process, kept from the network, says of `model`."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_HUB_CACHE": str(cache / "hub")}
    return locate_elsewhere(model, models, offline)


def locate_elsewhere(model: str, models: Path, environment: dict[str, str]) -> str:
    """What another process says of `model`: its folder, or the error."""
    code = (
        "import sys; from pathlib import Path\n"
        "from imageyard.manifests.errors import ModelError\n"
        "from imageyard.ray_jobs.models import captioner_table, snapshots\n"
        "known = captioner_table.CAPTIONERS\n"
        "try: print(snapshots.locate_snapshot(sys.argv[1], known, folder=Path(sys.argv[2])).folder)\n"
        "except ModelError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, model, str(models)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def hub(folder: Path, repo: str, commit: str) -> Iterator[tuple[str, list[str]]]:
    """A hub with the files of `folder` as `repo`: its address, and the files that were fetched."""
    fetched: list[str] = []
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # the library's name
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"/api/models/{repo}/tree/"):
                tree = [{"type": "file", "path": at, "oid": "0", "size": (folder / at).stat().st_size} for at in names]
                return self.answer(json.dumps(tree).encode(), {})
            if path.startswith(f"/api/models/{repo}"):
                said = {"id": repo, "sha": commit, "siblings": [{"rfilename": name} for name in names]}
                return self.answer(json.dumps(said).encode(), {})
            name = path.removeprefix(f"/{repo}/resolve/{commit}/")
            if name not in names:
                return self.send_error(404)
            data = (folder / name).read_bytes()
            if self.command == "GET":
                fetched.append(name)
            return self.answer(data, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'})  # noqa: S324

        def answer(self, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("safe", [True, False])
def test_of_a_repository_only_what_is_needed_is_fetched_and_never_code(shelf: Path, tmp_path: Path, safe: bool) -> None:
    folder = Path(shutil.copytree(shelf / "tiny-blip", tmp_path / "repository"))
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"another form of the same")
    for name in ("modeling_blip.py", "README.md", "tf_model.h5", "pytorch_model.bin", "consolidated.safetensors"):
        (folder / name).write_bytes(b"x")
    if not safe:
        without_weights(folder)
    repo, commit = "Salesforce/blip-image-captioning-base", pinned_revision("blip-base")
    with hub(folder, repo, commit) as (address, fetched):
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache")}
        told = locate_elsewhere("blip-base", tmp_path, online)
    assert told.strip().endswith(f"snapshots/{commit}"), told
    weights = "model.safetensors" if safe else "pytorch_model.bin"
    assert set(fetched) == {
        *("config.json", "generation_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"),
        weights,
    }


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("florence-3", "did you mean florence-2"),
        ("", "there are blip-base"),
        ("./nowhere", "no folder in|is no model"),
        ("blip-base@../../etc", "not a revision"),
        ("empty", "there is no config.json in"),
    ],
)
def test_a_model_that_is_not_there_is_said_to_be_missing(tmp_path: Path, asked: str, complaint: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=complaint) as caught:
        Captioner.locate(asked, folder=tmp_path)
    assert "\n" not in str(caught.value)


def cut(path: Path, share: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_index(folder: Path) -> None:
    without_weights(folder)
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))


def with_broken_numbers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    for tensor in tensors.values():
        tensor[:] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def with_missing_tensors(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "vision" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def with_escaping_index(folder: Path) -> None:
    without_weights(folder)
    index = {"weight_map": {"a": "../elsewhere/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        (
            "blip",
            without_weights,
            r"no model\.safetensors and no model\.safetensors\.index\.json in .*; put the weights",
        ),
        ("blip", with_index, r"model-00001-of-00002\.safetensors, .*fetch what is missing"),
        ("blip", with_escaping_index, "not a file beside it"),
        (
            "blip",
            lambda folder: cut(folder / "model.safetensors"),
            r"tiny-blip: .* cannot be loaded .*fetch its",
        ),
        ("blip", lambda folder: cut(folder / "model.safetensors", 0), "cannot be loaded"),
        ("blip", lambda folder: cut(folder / "config.json"), r"config\.json: cannot be read"),
        ("blip", lambda folder: cut(folder / "tokenizer.json"), "cannot be loaded"),
        ("blip", lambda folder: (folder / "processor_config.json").unlink(), "cannot be loaded"),
        ("blip", lambda folder: changed(folder, "config.json", model_type="bert"), "'bert', which is no captioner"),
        ("blip", lambda folder: changed(folder, "config.json", model_type="git"), "architecture|cannot be loaded"),
        ("llava", lambda folder: changed(folder, "config.json", model_type="qwen2_5_vl"), "archit|cannot be loaded"),
        ("blip", with_missing_tensors, r"model\.safetensors: lacks \d+ of the weights of BlipForConditional"),
        ("blip", with_broken_numbers, "gives what is no number for a plain grey picture"),
        ("florence", with_broken_numbers, "gives what is no number for a plain grey picture"),
        ("florence", lambda folder: changed(folder, "processor_config.json", post_processor_config={}), "pure_text"),
        (
            "florence",
            lambda folder: changed(folder, "config.json", vision_config={"model_type": "davit", "dim_embed": [8]}),
            "take the conversion, such as florence-community",
        ),
    ],
)
def test_a_model_that_cannot_run_is_refused_by_its_file_before_any_work(
    shelf: Path, tmp_path: Path, name: str, damage: Callable[[Path], None], complaint: str
) -> None:
    folder = Path(shutil.copytree(shelf / f"tiny-{name}", tmp_path / f"tiny-{name}"))
    damage(folder)
    with pytest.raises(ModelError, match=complaint) as caught:
        Captioner.locate(f"tiny-{name}", folder=tmp_path).load(threads=1, gpu=False)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it has a GPU")
def test_a_gpu_that_cannot_be_had_is_an_error_and_never_a_quiet_cpu(shelf: Path) -> None:
    with pytest.raises(ModelError, match="a GPU was asked for, and torch"):
        located(shelf, "blip").load(threads=1, gpu=True)


def test_code_in_a_folder_is_never_run(shelf: Path, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    expected = texts(loaded(shelf, "blip"), some()[0])
    folder = Path(shutil.copytree(shelf / "tiny-blip", tmp_path / "tiny-blip"))
    for module in ("modeling_blip", "configuration_blip", "processing_blip", "tokenization_blip"):
        (folder / f"{module}.py").write_text(f"from pathlib import Path\nPath({str(witness)!r}).touch()\n")
    wanted = {
        "AutoConfig": "configuration_blip.BlipConfig",
        "AutoModelForImageTextToText": "modeling_blip.BlipForConditionalGeneration",
        "AutoProcessor": "processing_blip.BlipProcessor",
        "AutoImageProcessor": "processing_blip.BlipImageProcessor",
        "AutoTokenizer": ["tokenization_blip.BlipTokenizer", None],
    }
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        changed(folder, name, auto_map=wanted)
    assert texts(loaded(tmp_path, "blip"), some()[0]) == expected
    assert not witness.exists()


def test_weights_of_an_old_kind_are_read_as_tensors_alone(shelf: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = Path(shutil.copytree(shelf / "tiny-git", tmp_path / "tiny-git"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    beside = Captioner.locate("tiny-git", folder=tmp_path)
    assert "pytorch_model.bin" not in beside.files()
    without_weights(folder)
    assert "pytorch_model.bin" in Captioner.locate("tiny-git", folder=tmp_path).files()
    assert texts(loaded(tmp_path, "git"), some()[0]) == texts(loaded(shelf, "git"), some()[0])
    witness = tmp_path / "ran"
    torch.save({"weight": _Touch(witness)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"tiny-git: .* cannot be loaded"):
        Captioner.locate("tiny-git", folder=tmp_path).load(threads=1, gpu=False)
    assert not witness.exists()


class _Touch:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


# Memory


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.extractors.caption import Captioner
from imageyard.ray_jobs.models import captioner_table, snapshots
from imageyard.ray_jobs.models.captioner import TorchCaptioner

torch.set_num_threads(1)
found = snapshots.locate_snapshot(sys.argv[1], captioner_table.CAPTIONERS, folder=Path("."))
settings = Captioner.locate(sys.argv[1], folder=Path("."), max_new_tokens=2, beams=1).settings
one = decode(Path(sys.argv[2]).read_bytes())
model = TorchCaptioner(found, settings, batch=1)
array = model.prepare(one)
alone = model.run([array])
count = int(sys.argv[3])
model = TorchCaptioner(found, settings, batch=count)
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
for more in (8, 1):
    resource.setrlimit(resource.RLIMIT_AS, (used + more * 2**20, resource.RLIM_INFINITY))
    try:
        rows = model.run([array] * count)
        print(rows == alone * len(rows), len(rows), model._halving.size)
    except MemoryError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_batch_that_does_not_fit_is_halved_and_the_words_are_the_same(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(pictures.photo(0, (90, 70), "PNG"))
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(shelf / "tiny-git"), str(tmp_path / "picture.png"), "1024"]
    # So that what is freed is given back, and a limit means what it says.
    strict = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, env={**os.environ, **strict}, capture_output=True, text=True, check=True).stdout
    halved, refused = done.splitlines()
    same, count, size = halved.split()
    assert (same, count) == ("True", "1024")
    assert 1 <= int(size) < 1024
    assert refused.startswith("tiny-git: one image alone does not fit into memory")


# The extractor


def test_where_a_model_lies_is_no_part_of_its_identity_and_its_files_are(shelf: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shelf / "tiny-blip", tmp_path / "tiny-blip"))
    here, there = located(shelf, "blip"), located(tmp_path, "blip")
    assert here.identity() == there.identity()
    assert here.identity().startswith("caption-")
    digests = here.files()
    assert set(digests) >= {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"}
    assert digests["config.json"] == hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    changed(folder, "generation_config.json", repetition_penalty=1.5)
    assert located(tmp_path, "blip").identity() != here.identity()


def test_a_captioner_travels_to_a_worker(shelf: Path) -> None:
    captioner = located(shelf, "blip")
    arrived = pickle.loads(pickle.dumps(captioner))  # noqa: S301
    assert arrived == captioner
    assert arrived.identity() == captioner.identity()


def test_a_worker_whose_files_are_not_those_of_the_plan_refuses_to_load(shelf: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shelf / "tiny-blip", tmp_path / "tiny-blip"))
    captioner = located(tmp_path, "blip")
    tiny.build_blip(folder, seed=1)
    with pytest.raises(ModelError, match=r"model\.safetensors has sha256 .*put the same files on every machine"):
        captioner.load(threads=1, gpu=False)


def test_naming_a_captioner_loads_no_runtime(shelf: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from imageyard.ray_jobs.extractors.caption import Captioner\n"
        "import imageyard.ray_jobs.caption_cleaning\n"
        "Captioner.locate(sys.argv[1], folder=Path('.'))\n"
        "print(sorted({'numpy', 'PIL', 'torch', 'transformers', 'tokenizers', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(shelf / "tiny-qwen")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["blip", "qwen"])
def test_a_worker_writes_the_facts_of_every_picture(shelf: Path, name: str) -> None:
    store = Store.open(f"memory://captions-{name}")
    files = [pictures.photo(0, (90, 70)), pictures.photo(1, (60, 110)), b"no picture", pictures.flat("red")]
    for number, data in enumerate(files):
        store.create(f"images/{number}", data)
    captioner = located(shelf, name)
    keys = [hashlib.sha256(data).hexdigest() for data in files]
    sizes = [len(data) for data in files]
    items = [Item(f"images/{at}", size, sha256=key) for at, (key, size) in enumerate(zip(keys, sizes, strict=True))]
    worker = Worker(store, Place())
    worker.prepare([captioner])
    tally = worker.process(Shard(tuple(items), (captioner,)))
    worker.close()
    assert (tally.model_images, tally.unreadable) == (3, 1)
    found = facts.read(store, captioner.identity(), keys, [field.name for field in captioner.columns()]).to_pylist()
    model = loaded(shelf, name)
    for row, data in zip(found, files, strict=True):
        if data == b"no picture":
            assert row["error"]
            assert row["text"] is None
        else:
            (expected,) = said(model, decode(data))
            assert row == expected | {"error": None}
