"""Recipes: what is written is what is done, and a slip of the pen is one line that says what to write."""

from pathlib import Path

import pytest

from imageyard.manifests.errors import RecipeError
from imageyard.ray_jobs.recipe import load_recipe, parse_recipe
from imageyard.ray_jobs.recipe_yaml import read_yaml

GOOD = """
dataset: s3://bucket/datasets/cats
steps:
  - ingest: {}
  - validate: {min_side: 256}
  - dedup: {within: 31}
  - tag: {model: wd-vit-tagger-v3, threshold: 0.35, blacklist: [watermark]}
  - split: {test: 0.1, validation: 0.1}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_the_recipe_of_the_readme_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert [step.kind for step in recipe.steps] == ["ingest", "validate", "dedup", "tag", "split"]
    assert recipe.dataset == "s3://bucket/datasets/cats"


def test_a_recipe_written_differently_but_saying_the_same_has_the_same_fingerprint(tmp_path: Path) -> None:
    terse = load_recipe(write(tmp_path, "dataset: file:///x\nsteps: [ingest, {split: {test: 0.1}}]"))
    long = "dataset: file:///x\nsteps:\n  - ingest:\n  - split: {test: 0.1, validation: 0.0}"
    other = load_recipe(write(tmp_path, long))
    assert terse.fingerprint({}) == other.fingerprint({})
    changed = load_recipe(write(tmp_path, "dataset: file:///x\nsteps: [ingest, {split: {test: 0.2}}]"))
    assert terse.fingerprint({}) != changed.fingerprint({})


def test_the_dataset_can_be_given_at_the_command_line(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "steps: [ingest]"), dataset="file:///y/").dataset == "file:///y"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dataset: file:///x\nstep: []", "`step` is not part of a recipe; did you mean `steps`?"),
        ("dataset: file:///x\nsteps: [ingst]", "step 1: there is no step `ingst`; did you mean `ingest`?"),
        ("dataset: file:///x\nsteps: [{paint: {}}]", "there is no step `paint`; there are `affix`, `caption`"),
        (
            "dataset: file:///x\nsteps: [ingest, {validate: {min_sid: 1}}]",
            "step 2 (validate): there is no parameter `min_sid`; did you mean `min_side`?",
        ),
        ("dataset: file:///x\nsteps: [{validate: {min_side: big}}]", "`min_side` is 'big'"),
        ("dataset: file:///x\nsteps: [{split: {test: 0.6, validation: 0.6}}]", "leave nothing to train on"),
        ("dataset: file:///x\nsteps: [{split: {test: 1.5}}]", "`test` is 1.5"),
        ("dataset: file:///x\nsteps: [{tag: {}}]", "`model` is missing"),
        ("dataset: file:///x\nsteps: [{dedup: {within: 500}}]", "`within` is 500"),
        ("dataset: file:///x\nsteps: [validate, ingest]", "ingest is not the first step"),
        ("dataset: file:///x\nsteps: [ingest, dedup, validate]", "validate stands after dedup"),
        ("dataset: file:///x\nsteps: [ingest, split, split]", "`split` stands twice"),
        ("dataset: file:///x\nsteps: [{ingest: {}, split: {}}]", "step 1: write one step name"),
        ("dataset: file:///x\nsteps: [{split: 0.1}]", "must be `name: value` pairs"),
        ("dataset: file:///x\nsteps: []", "no `steps:`"),
        ("steps: [ingest]", "no `dataset:`"),
        ("- a", "a recipe has `dataset:` and `steps:`"),
        ("a: [", "not YAML"),
        ("dataset: file:///x\nsteps: [ingest]\nsteps: [split]", "`steps` stands twice"),
        ("dataset: file:///x\nsteps: [{tag: {model: x, sfw: on}}]", "write true, false or {above: 0.5}"),
        ("dataset: file:///x\nname: 'a b'\nsteps: [ingest]", "`name` is 'a b'"),
    ],
)
def test_a_slip_of_the_pen_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_words_that_yaml_once_took_for_something_else_are_words(tmp_path: Path) -> None:
    steps = "[{dedup: {variant: off}}, {remove: {tags: [3_3, 0_0, 3, 1:30, 2026-01-15, off], on: tags}}]"
    dedup, remove = load_recipe(write(tmp_path, f"dataset: file:///x\nsteps: {steps}")).plain()["steps"]
    assert dedup["dedup"]["variant"] == "off"
    assert remove["remove"]["on"] == ["tags"]
    assert remove["remove"]["tags"] == ["3_3", "0_0", "3", "1:30", "2026-01-15", "off"]


def test_numbers_and_switches_of_yaml_are_what_they_were(tmp_path: Path) -> None:
    said = "model: x, threshold: .5, max_tags: 30, min_count: 1e-2, escape: yes, sfw: false, preset: ~"
    shared = f"shared: &shared {{{said}}}"
    assert read_yaml(write(tmp_path, f"{shared}\nsteps: [tag: {{<<: *shared, escape: no}}]"))["steps"] == [
        {
            "tag": {
                "model": "x",
                "threshold": 0.5,
                "max_tags": 30,
                "min_count": 0.01,
                "escape": False,
                "sfw": False,
                "preset": None,
            }
        }
    ]


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: cannot be read"):
        load_recipe(tmp_path / "none.yaml")


def test_a_recipe_may_come_as_json() -> None:
    recipe = parse_recipe({"dataset": "file:///x", "steps": [{"ingest": {"labels": "folder"}}]}, where="the request")
    assert recipe.plain()["steps"] == [{"ingest": {"labels": "folder", "thumbnail": 160}}]
