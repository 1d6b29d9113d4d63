"""Edits of whole datasets, drawn at random: done twice they change nothing, and each line stays a sound one."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from imageyard.manifests import Sample, Store
from imageyard.ray_jobs.caption_text import unique
from imageyard.ray_jobs.recipe import STEPS
from imageyard.ray_jobs.state import MANY_LABELS, Stamp, State, World
from imageyard.ray_jobs.steps.base import Step

TAGS = (
    *("1girl", "solo", "Solo", "long hair", "long_hair", "very long hair", "hair", "^_^", "(o)_(o)", "!?", "...", ";)"),
    *("saber_(fate)", r"saber \(fate\)", r"\m/", "love live!", "photo of", "outdoors", "(solo:1.2)", "((x:1.1):1.2)"),
    *("sks", "(sks:1.1)", "SKS_", "photo of sks", "a\u00a0b", "é", "e\u0301", "[x]", "(", "\\"),
)
PIECES = (*TAGS, "(x, y:1.1)", "it’s", "a red car is standing there in the sun", "It is very old.", ",", "")
WORLD = World(Store.open("memory://edits-twice"), Stamp("imageyard/test", "2026-01-15T09:30:00.000000"), {})


def step(**said: Any) -> Step:
    ((kind, parameters),) = said.items()
    return STEPS[kind].model_validate(parameters)


steps = st.one_of(
    st.builds(
        lambda words, at, seed: step(trigger={"words": words, "at": at, "seed": seed}),
        st.lists(st.sampled_from(["sks", "hair", "X_y", "(o)_(o)"]), min_size=1, max_size=2, unique=True),
        st.sampled_from(["begin", "end", "random"]),
        st.integers(0, 2),
    ),
    st.builds(
        lambda by, hold, most, back: step(sort={"by": by, "hold": hold, "most": most, "reverse": back}),
        st.sampled_from(["alphabetical", "score", "frequency"]),
        st.integers(0, 2),
        st.none() | st.integers(1, 4),
        st.booleans(),
    ),
    st.builds(
        lambda case, underscores, brackets: step(
            standardise={"case": case, "underscores": underscores, "brackets": brackets, "synonyms": {"x": "(o)_(o)"}}
        ),
        st.sampled_from(["keep", "lower"]),
        st.sampled_from(["keep", "spaces", "underscores"]),
        st.sampled_from(["keep", "escape", "plain"]),
    ),
    st.builds(
        lambda most, unit, drop: step(shorten={"most": most, "unit": unit, "drop": drop}),
        st.integers(1, 6),
        st.sampled_from(["tags", "words"]),
        st.sampled_from(["last", "score", "frequency"]),
    ),
    st.builds(
        lambda before, after, between: step(affix={"before": before, "after": after, "separator": between}),
        st.sampled_from(["photo of", "photo of,", "a , b", "(q:1.2)"]),
        st.sampled_from(["", "outdoors", ", end", "end."]),
        st.sampled_from([" ", ", ", ""]),
    ),
    st.sampled_from(
        [
            step(remove={"tags": ["*hair", "re:.*o"], "but": ["long*"]}),
            step(remove={"tags": "*"}),
            step(replace={"tags": {"solo": "(alone:1.3)", "x": "a, b", "hair": ""}}),
            step(replace={"phrases": {"hair": "dark long hair", "red car": ""}}),
            step(replace={"regex": {"_": " ", r"\s+hair$": ""}}),
            step(unique={}),
            step(compose={"template": "{caption}, {tags}"}),
        ]
    ),
)
captions = st.lists(st.lists(st.sampled_from(PIECES), max_size=7).map(", ".join), min_size=1, max_size=2).map("\n".join)
images = st.lists(st.tuples(st.none() | captions, st.lists(st.sampled_from(TAGS), max_size=5)), min_size=1, max_size=4)


def state_of(said: list[tuple[str | None, list[str]]]) -> State:
    samples = []
    for number, (caption, tags) in enumerate(said):
        sample = Sample.of(f"s3://b/{number}", **{"content-sha256": f"{number:064x}"})
        if caption is not None:
            sample = sample.with_label("caption", caption, {"type": "groundtruth/custom", "human-annotated": "yes"})
        names = dict(enumerate(unique(tags)))
        if names:
            scores = {str(index): 1 - index / 10 for index in names}
            said_of: dict[str, Any] = {"class-map": {str(index): name for index, name in names.items()}}
            sample = sample.with_label("tags", list(names), {"type": MANY_LABELS, "confidence-map": scores, **said_of})
        samples.append(sample)
    rows = len(samples)
    return State([sample.key for sample in samples], samples, [None] * rows, range(rows))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(images, steps)
def test_an_edit_of_a_dataset_done_twice_changes_nothing(said: list[tuple[str | None, list[str]]], edit: Step) -> None:
    once = edit.decide(state_of(said), WORLD)
    edit.certify(once, WORLD)
    twice = edit.decide(once, WORLD)
    assert [sample.line for sample in twice.samples] == [sample.line for sample in once.samples]
    for sample in once.samples:
        metadata: Any = sample.metadata("tags")
        if metadata is not None:
            classes = {str(index) for index in sample.value("tags")}
            assert len(classes) == len(sample.value("tags"))
            assert set(metadata["class-map"]) == set(metadata["confidence-map"]) == classes
