"""Splits: groups hold together, what is placed stays, what is asked for is drawn, and nothing leaks."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pictures
from imageyard.manifests import Dataset, Sample, Store
from imageyard.manifests.errors import JobError, RecipeError
from imageyard.ray_jobs.edges import TIERS, Edges
from imageyard.ray_jobs.origin import names_of
from imageyard.ray_jobs.recipe import Recipe, parse_recipe
from imageyard.ray_jobs.splitting.labels import labels_of
from imageyard.ray_jobs.state import Rejection, Stamp, State, World
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.steps.ingest import Ingest
from imageyard.ray_jobs.steps.split import Split
from jobs import DATE, drop, go, recipe, roles

NOWHERE = World(Store.open("memory://nowhere"), Stamp("imageyard/test", "2026-01-15T09:30:00.000000"), {})
GROUPING = TIERS[:-1]
STRENGTH = ("train", "validation", "test")
GONE = Rejection("validate", "min_side", "too small")
Pair = tuple[int, int, str, float]


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def image(
    number: int,
    *,
    label: str = "",
    tags: Sequence[str] = (),
    types: Sequence[str] = (),
    names: Sequence[str] = (),
    scene: str = "",
    split: str = "",
    by_person: bool = False,
    seen: str = "2026-01-15T09:30:00.000000",
) -> Sample:
    """A line as ingest writes it, with what people say of it."""
    made = Sample.of(f"s3://b/{number}.jpg", **{"content-sha256": key(number)})
    origin = [{"name": name, "etag": '"e"'} for name in (names or [f"{number}.jpg"])]
    made = made.with_label("origin", origin, {"type": "groundtruth/custom", "creation-date": seen})
    yes = {"human-annotated": "yes"}
    if label:
        single = {"type": "groundtruth/image-classification", "class-name": label}
        made = made.with_label("label", 0, single | yes)
    if tags:
        class_map = {str(n): tag for n, tag in enumerate(tags)}
        many = {"type": "groundtruth/image-classification-multilabel", "class-map": class_map}
        made = made.with_label("scene-tags", list(range(len(tags))), many | yes)
    if types:
        colours = {"0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 1}}
        colours |= {str(n): {"class-name": name, "hex-color": f"#00000{n}"} for n, name in enumerate(types, start=1)}
        mask = {"type": "groundtruth/semantic-segmentation", "internal-color-map": colours}
        made = made.with_label("anomaly-mask-ref", f"s3://b/masks/{number}.png", mask | yes)
    if scene:
        made = made.with_label("scene", 0, {"type": "groundtruth/image-classification", "class-name": scene})
    if split:
        said = {"type": "groundtruth/custom", "human-annotated": "yes" if by_person else "no"}
        made = made.with_label("split", split, said)
    return made


def state_of(
    samples: Iterable[Sample], pairs: Iterable[Pair] = (), *, known: State | None = None, gone: Iterable[str] = ()
) -> State:
    """A state of `samples`; those that `known` has are taken from it. Pairs are of the numbers of images."""
    old = dict(zip(known.keys, known.samples, strict=True)) if known else {}
    by_key = {sample.key: old.get(sample.key, sample) for sample in samples}
    keys = sorted(by_key)
    row = {k: at for at, k in enumerate(keys)}
    edges = Edges.of_pairs(len(keys), [(row[key(a)], row[key(b)], tier, d) for a, b, tier, d in pairs])
    out = set(gone)
    rejections = [GONE if k in out else None for k in keys]
    return State(keys, [by_key[k] for k in keys], rejections, range(len(keys)), edges)


def decided(split: Split, state: State, before: Split | None = None) -> State:
    """What the split makes of `state`, which it must promise, after the recipe with `before`."""
    steps = ({"split": before.model_dump(mode="json")},) if before else ()
    world = replace(NOWHERE, before=steps)
    after = split.decide(state, world)
    split.certify(after, world)
    return after


def placed(state: State) -> dict[str, str | None]:
    """The split of every sample that stands."""
    return {state.keys[row]: state.samples[row].value("split") for row in state.standing}


def conflicts(state: State) -> dict[str, Any]:
    rows = zip(state.keys, state.samples, strict=True)
    return {k: sample.value("split-conflict") for k, sample in rows if sample.value("split-conflict") is not None}


def counts(state: State, label: str = "label") -> Counter[tuple[str, str]]:
    """By class and split."""
    found: Counter[tuple[str, str]] = Counter()
    for row in state.standing:
        sample = state.samples[row]
        found[str((sample.metadata(label) or {}).get("class-name", "")), str(sample.value("split"))] += 1
    return found


def grouped(sizes: Sequence[tuple[int, str]], *, known: State | None = None) -> State:
    """Groups of (size, class): chains of copies."""
    samples, pairs, number = [], [], 0
    for size, label in sizes:
        samples += [image(n, label=label) for n in range(number, number + size)]
        pairs += [(n, n + 1, "copy", 3.0) for n in range(number, number + size - 1)]
        number += size
    return state_of(samples, pairs, known=known)


# --- The whole story: random graphs, random histories, checked against plain walks over the pairs.


@st.composite
def stories(draw: st.DrawFn) -> dict[str, Any]:
    size = draw(st.integers(1, 14))
    days = draw(st.integers(1, 3))
    number = st.integers(0, size - 1)
    pair = st.tuples(number, number, st.sampled_from(TIERS), st.sampled_from([0.0, 2.0, 5.0]), st.integers(0, days - 1))
    amount = st.sampled_from([0.0, 0.2, 0.4, 1, 3])
    return {
        "days": days,
        "comes": draw(st.lists(st.integers(0, days - 1), min_size=size, max_size=size)),
        "labels": draw(st.lists(st.sampled_from(["", "a", "b"]), min_size=size, max_size=size)),
        "scenes": draw(st.lists(st.sampled_from(["", "", "x", "y"]), min_size=size, max_size=size)),
        "gone": draw(st.lists(st.sets(number, max_size=3), min_size=days, max_size=days)),
        "pairs": draw(st.lists(pair, max_size=14)),
        "given": draw(st.sets(number, max_size=2)),
        "steps": [
            {
                "test": draw(amount),
                "validation": draw(amount),
                "conflicts": draw(st.sampled_from(["quarantine", "demote"])),
                "group_by": draw(st.sampled_from([(), ("label:scene",)])),
                "folds": draw(st.sampled_from([None, 2])),
                "given": draw(st.sampled_from([{}, {"test": ["given/*"]}])),
            }
            for _ in range(days)
        ],
    }


class Day:
    """One day of a story, with what a plain walk over its pairs says."""

    def __init__(self, story: Mapping[str, Any], day: int, before: State | None) -> None:
        here = [n for n, comes in enumerate(story["comes"]) if comes <= day]
        self.pairs = [p[:4] for p in story["pairs"] if p[4] <= day and p[0] != p[1] and {p[0], p[1]} <= set(here)]
        self.numbers = {key(n): n for n in here}
        samples = [
            image(
                n,
                label=story["labels"][n],
                scene=story["scenes"][n],
                names=[f"given/{n}.jpg" if n in story["given"] else f"{n}.jpg"],
            )
            for n in here
        ]
        gone = [key(n) for n in story["gone"][day]]
        self.state = state_of(samples, self.pairs, known=before, gone=gone)
        self.split = Split(**story["steps"][day])
        self.scenes = {n: story["scenes"][n] for n in here if self.split.group_by and story["scenes"][n]}

    def near(self, one: int, other: int) -> bool:
        """Whether a pair or a scene joins two images."""
        joined = any({one, other} == {a, b} and tier in GROUPING for a, b, tier, _ in self.pairs)
        return joined or (one in self.scenes and self.scenes.get(other) == self.scenes[one])

    def flood(self, start: int, through: set[int]) -> tuple[set[int], set[int]]:
        """What is reached from `start` stepping on `through` alone, and what lies at its edge."""
        reached, edge, todo = {start}, set[int](), [start]
        while todo:
            one = todo.pop()
            for other in self.numbers.values():
                if other not in reached and self.near(one, other):
                    if other in through:
                        reached.add(other)
                        todo.append(other)
                    else:
                        edge.add(other)
        return reached, edge


def ledger(state: State | None) -> dict[str, str]:
    """Where every image was, those too that a conflict has taken from there."""
    found = {}
    for k, sample in zip(state.keys, state.samples, strict=True) if state else ():
        was = (sample.value("split-conflict") or {}).get("was")
        if sample.value("split") or was:
            found[k] = sample.value("split") or was
    return found


@given(stories())
@settings(deadline=None, max_examples=300)
def test_whatever_comes_nothing_leaks_and_nothing_leaves_a_stronger_side(story: dict[str, Any]) -> None:
    before: State | None = None
    for day in range(story["days"]):
        today = Day(story, day, before)
        after = today.split.decide(today.state, NOWHERE)
        given_ones = {key(n) for n in story["given"] if today.split.given.test}
        check_moves(today, ledger(before), after, given_ones)
        check_leaks(today, after, given_ones)
        check_groups(today, ledger(before), after, given_ones)
        assert today.split.decide(after, NOWHERE).samples == after.samples
        shuffled = replace(
            today.state, edges=state_of(after.samples, [(b, a, t, d) for a, b, t, d in reversed(today.pairs)]).edges
        )
        assert today.split.decide(shuffled, NOWHERE).samples == after.samples
        before = after


def check_moves(today: Day, was: Mapping[str, str], after: State, given_ones: set[str]) -> None:
    """Never from test; from validation only to no side, for a copy in test; from train only into a first draw."""
    told = conflicts(after)
    for k, now in placed(after).items():
        if k in given_ones or was.get(k) == "test":
            assert now == "test"
        elif was.get(k) is not None and now is None:
            assert told[k]["was"] == was[k]
        elif was.get(k) is not None and now != was[k]:
            assert was[k] == "train"
            assert now not in {side for other, side in was.items() if other not in given_ones}
        assert (now is None) == (k in told)


def check_leaks(today: Day, after: State, given_ones: set[str]) -> None:
    now = placed(after)
    for one, other, tier, _ in today.pairs:
        sides = {now.get(key(one)), now.get(key(other))} - {None}
        assert tier == "semantic" or len(sides) < 2
    for k, said in conflicts(after).items():
        if k in now:
            one, other = today.numbers[k], today.numbers[said["with"]]
            alike = [d for a, b, tier, d in today.pairs if {a, b} == {one, other} and tier == said["tier"]]
            assert said["distance"] == min(alike, default=None)
            assert said["tier"] == "group" or alike
    today.split.certify(after, NOWHERE)


def check_groups(today: Day, was: Mapping[str, str], after: State, given_ones: set[str]) -> None:
    """Where a group has no history on two sides it is whole, and where it has, new images follow what they touch."""
    number, now = today.numbers, placed(after)
    before = {number[k]: side for k, side in was.items()} | {number[k]: "test" for k in given_ones if k in number}
    firsts = {side for side in ("test", "validation") if getattr(today.split, side) and side not in before.values()}
    everything = set(number.values())
    for k, n in number.items():
        if k not in now:
            continue
        group, _ = today.flood(n, everything)
        sides = {before[m] for m in group if m in before}
        final = {now[key(m)] for m in group if key(m) in now}
        if len(sides) < 2 and not group & {number[g] for g in given_ones if g in number}:
            assert len(final) == 1
            assert None not in final
            assert not sides or final == sides or (sides == {"train"} and final <= firsts)
        elif n not in before:
            _, edge = today.flood(n, everything - before.keys())
            touched = {before[m] for m in edge}
            by_given = bool(edge & {number[g] for g in given_ones if g in number})
            if today.split.conflicts == "demote":
                assert now[k] == max(touched, key=STRENGTH.index)
            elif len(touched) > 1 or by_given:
                assert now[k] is None
            elif touched:
                assert now[k] in touched


# --- What is asked for is drawn.

sizes_st = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "a", "b"])), min_size=1, max_size=30)


@given(sizes_st, sizes_st, st.sampled_from([0.0, 0.1, 0.25, 0.5]), st.sampled_from([0.0, 0.2]))
@settings(deadline=None, max_examples=60)
def test_a_split_holds_groups_together_and_never_moves_an_image(
    sizes: list[tuple[int, str]], more: list[tuple[int, str]], test: float, validation: float
) -> None:
    split = Split(test=test, validation=validation)
    first, both = grouped(sizes), grouped([*sizes, *more])
    before = decided(split, first)
    after = decided(split, grouped([*sizes, *more], known=before), split)
    assert {k: side for k, side in placed(after).items() if k in placed(before)} == placed(before)
    for state, sides in ((first, placed(before)), (both, placed(after))):
        groups = state.edges.components()
        for group in set(groups.tolist()):
            assert len({sides[state.keys[row]] for row in range(len(groups)) if groups[row] == group}) == 1
    by_groups_alone = replace(first, groups=first.edges.components().tolist(), edges=Edges(0))
    assert placed(decided(split, by_groups_alone)) == placed(before)


def singles(sizes: Mapping[str, int], **members: Any) -> State:
    labels = [label for label, size in sizes.items() for _ in range(size)]
    return state_of(image(n, label=label, **members) for n, label in enumerate(labels))


amounts_st = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.4, 1, 7, 40])


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 60), min_size=1), amounts_st, amounts_st)
@settings(deadline=None, max_examples=80)
def test_every_side_has_the_number_that_was_asked_for_and_every_class_its_share(
    sizes: dict[str, int], test: float, validation: float
) -> None:
    total = sum(sizes.values())
    after = decided(Split(test=test, validation=validation), singles(sizes))
    sides = Counter(placed(after).values())
    for side, amount in (("test", test), ("validation", validation)):
        room = total - (sides["test"] if side == "validation" else 0)
        asked = min(amount, room // 2) if isinstance(amount, int) else int(amount * total + 0.5)
        assert sides[side] == min(asked, room)
        if asked <= room // 2:
            for label, size in sizes.items():
                assert abs(counts(after)[label, side] - asked * size / total) < 1.5


@given(sizes_st, st.sampled_from([0.1, 0.25, 0.5]))
@settings(deadline=None, max_examples=60)
def test_groups_of_any_size_change_no_total_where_single_images_can_fill_it(
    sizes: list[tuple[int, str]], test: float
) -> None:
    loose = [(1, label) for label in ("", "a", "b") for _ in range(sum(size for size, _ in sizes))]
    after = decided(Split(test=test), grouped([*sizes, *loose]))
    total = len(after.keys)
    assert abs(Counter(placed(after).values())["test"] - test * total) <= 1
    labels = Counter(label for size, label in [*sizes, *loose] for _ in range(size))
    for label, size in labels.items():
        assert abs(counts(after)[label, "test"] - test * size) <= 1


def test_a_split_is_stratified_and_has_the_share_that_was_asked_for() -> None:
    after = decided(Split(test=0.1, validation=0.2), singles({"a": 200, "b": 50}))
    assert counts(after) == {
        ("a", "test"): 20,
        ("a", "validation"): 40,
        ("a", "train"): 140,
        ("b", "test"): 5,
        ("b", "validation"): 10,
        ("b", "train"): 35,
    }


def test_of_many_small_classes_luck_chooses_and_not_the_alphabet() -> None:
    after = decided(Split(test=0.1), singles({f"class {n:03d}": 3 for n in range(100)}))
    chosen = sorted(label for (label, side) in counts(after) if side == "test")
    assert len(chosen) == 30
    assert 30 < sum(int(label[-3:]) for label in chosen) / 30 < 70


def test_another_salt_draws_other_images() -> None:
    state = singles({"": 40})
    assert placed(decided(Split(test=0.5), state)) != placed(decided(Split(test=0.5, salt="x"), state))


def test_asking_for_a_validation_set_draws_no_other_test_set() -> None:
    state = singles({"a": 60, "b": 30})
    one, other = (placed(decided(Split(test=0.2, validation=share), state)) for share in (0.0, 0.3))
    assert {k for k, side in one.items() if side == "test"} == {k for k, side in other.items() if side == "test"}


def tagged(count: int, seed: int = 3) -> State:
    chance = random.Random(seed)
    tags = [(f"tag {n}", 0.5 / (n + 1)) for n in range(20)]
    return state_of(
        image(n, label=chance.choice("ab"), tags=[tag for tag, odds in tags if chance.random() < odds])
        for n in range(count)
    )


def tag_counts(state: State) -> tuple[Counter[str], Counter[str]]:
    """Of all images, and of those in test."""
    everywhere, test = Counter[str](), Counter[str]()
    for sample in state.samples:
        names = list((sample.metadata("scene-tags") or {"class-map": {}})["class-map"].values())
        everywhere.update(names)
        test.update(names if sample.value("split") == "test" else [])
    return everywhere, test


def test_every_tag_has_its_share_of_the_test_set() -> None:
    after = decided(Split(test=0.2), tagged(1000))
    everywhere, test = tag_counts(after)
    assert Counter(placed(after).values())["test"] == 200
    assert max(abs(test[tag] - 0.2 * number) for tag, number in everywhere.items()) <= 2


def test_groups_of_mixed_labels_give_every_label_its_share_of_every_set() -> None:
    """Scenes of 1 to 20 images, two attributes of classes of which one is often missing, and tags down to 0.5 %."""
    chance, scene, left, samples = random.Random(1), 0, 0, []
    for n in range(4000):
        if left == 0:
            scene, left = scene + 1, chance.choice([1, 1, 2, 3, 6, 20])
        left -= 1
        tags = [tag for tag, odds in (("x", 0.5), ("y", 0.1), ("z", 0.02), ("w", 0.005)) if chance.random() < odds]
        made = image(n, label=chance.choices("abc", [70, 28, 2])[0], scene=f"scene {scene}", tags=tags)
        if chance.random() < 0.8:
            said = {"type": "groundtruth/image-classification", "human-annotated": "yes"}
            made = made.with_label("kind", 0, {**said, "class-name": chance.choices("pqr", [50, 40, 10])[0]})
        samples.append(made)
    after = decided(Split(test=0.1, validation=0.15, group_by=["label:scene"], folds=5), state_of(samples))
    everywhere, found = Counter[str](), Counter[tuple[str, str]]()
    for sample in after.samples:
        for label in labels_of(sample):
            everywhere[label] += 1
            found[label, str(sample.value("split"))] += 1
            found[label, f"fold {sample.value('fold')}"] += 1
    shares = {"test": 0.1, "validation": 0.15} | {f"fold {n}": 0.15 for n in range(5)}
    off = {
        (label, place): found[label, place] - s * n for label, n in everywhere.items() for place, s in shares.items()
    }
    assert max(map(abs, off.values())) <= 3


def test_images_with_a_tag_of_their_own_are_as_likely_in_test_as_others() -> None:
    samples = [image(n, tags=[f"unique {n}"] if n % 2 else []) for n in range(400)]
    after = decided(Split(test=0.25), state_of(samples))
    assert 30 <= sum(bool(s.metadata("scene-tags")) for s in after.samples if s.value("split") == "test") <= 70


# --- Growth.


def test_a_test_set_that_is_asked_for_late_is_drawn_from_everything_and_then_stays() -> None:
    before = decided(Split(), singles({"a": 100}))
    assert set(placed(before).values()) == {"train"}
    first = decided(Split(test=0.1), grown(before, {"a": 120}))
    test = {k for k, side in placed(first).items() if side == "test"}
    assert len(test) == 12
    assert test & set(before.keys)
    again = decided(Split(test=0.1), grown(first, {"a": 200}))
    assert {k for k in first.keys if placed(again)[k] == "test"} == test
    assert Counter(placed(again).values())["test"] == 20


def grown(before: State, sizes: Mapping[str, int]) -> State:
    labels = [label for label, size in sizes.items() for _ in range(size)]
    return state_of((image(n, label=label) for n, label in enumerate(labels)), known=before)


def test_images_that_come_one_by_one_keep_the_share() -> None:
    state = decided(Split(test=0.1), singles({"a": 30}))
    for size in range(31, 71):
        state = decided(Split(test=0.1), grown(state, {"a": size}))
        assert Counter(placed(state).values())["test"] == int(size * 0.1 + 0.5)


def test_a_larger_test_set_is_not_made_of_the_newest_images_alone() -> None:
    before = decided(Split(test=0.1), singles({"a": 1000}))
    after = decided(Split(test=0.3), grown(before, {"a": 1200}))
    new = [placed(after)[k] for k in after.keys if k not in before.keys]
    assert 60 <= new.count("test") <= 100
    assert all(placed(after)[k] == side for k, side in placed(before).items())


def test_a_number_of_images_is_half_of_what_is_there_at_most() -> None:
    state = decided(Split(test=50), singles({"a": 30}))
    assert Counter(placed(state).values()) == {"test": 15, "train": 15}
    state = decided(Split(test=50), grown(state, {"a": 400}))
    assert Counter(placed(state).values())["test"] == 50
    assert Counter(placed(decided(Split(test=50), grown(state, {"a": 900}))).values())["test"] == 50


def test_a_released_test_set_is_free_again_and_only_then() -> None:
    before = decided(Split(test=0.2, validation=0.2), singles({"a": 50}))
    kept = decided(Split(validation=0.2), before)
    assert placed(kept) == placed(before)
    freed = decided(Split(validation=0.2, release=["test"]), before)
    sides = placed(freed)
    assert Counter(sides.values()) == {"train": 40, "validation": 10}
    assert all(sides[k] == "validation" for k, side in placed(before).items() if side == "validation")


def test_who_was_seen_first_gives_a_group_its_luck() -> None:
    """So a group that grows by an image with a smaller key draws no other lot."""
    for number in range(40):
        old, new = sorted([number, number + 1000], key=key, reverse=True)
        late = "2026-02-15T09:30:00.000000"
        alone = state_of([image(old)])
        both = state_of([image(old), image(new, seen=late)], [(old, new, "copy", 3.0)])
        split = Split(test=0.5, mode="hash")
        assert set(placed(decided(split, both)).values()) == set(placed(decided(split, alone)).values())


def test_a_hash_split_looks_at_nothing_else() -> None:
    split = Split(test=0.2, validation=0.1, mode="hash")
    everything = placed(decided(split, singles({"a": 900, "b": 100})))
    part = placed(decided(split, singles({"b": 300})))
    assert part == {k: everything[k] for k in part}
    sides = Counter(everything.values())
    assert 150 < sides["test"] < 250
    assert 70 < sides["validation"] < 130
    more = placed(decided(Split(test=0.3, validation=0.1, mode="hash"), singles({"a": 1000})))
    for k, side in everything.items():
        assert more[k] == side or (side, more[k]) == ("train", "test")


# --- What is given.


def test_a_given_test_set_is_kept_as_it_is_and_nothing_is_added() -> None:
    samples = [image(n, names=[f"test/{n}.jpg" if n < 5 else f"train/{n}.jpg"]) for n in range(40)]
    pairs = [(0, 10, "copy", 4.0), (11, 12, "copy", 4.0)]
    after = decided(Split(given={"test": ["test/*"]}), state_of(samples, pairs))
    sides = placed(after)
    assert {k for k, side in sides.items() if side == "test"} == {key(n) for n in range(5)}
    assert conflicts(after) == {key(10): {"with": key(0), "tier": "copy", "distance": 4.0, "was": None}}
    assert Counter(sides.values())["train"] == 34


def test_a_given_set_counts_towards_the_share() -> None:
    samples = [image(n, names=[f"test/{n}.jpg" if n < 5 else f"{n}.jpg"]) for n in range(100)]
    after = decided(Split(test=0.1, given={"test": ["test/*"]}), state_of(samples))
    sides = placed(after)
    assert all(sides[key(n)] == "test" for n in range(5))
    assert Counter(sides.values())["test"] == 10


def test_a_set_that_is_given_late_takes_its_images_out_of_train_but_none_out_of_test() -> None:
    samples = [image(n, names=[f"validation/{n}.jpg" if n < 20 else f"{n}.jpg"]) for n in range(100)]
    before = decided(Split(test=0.3), state_of(samples))
    after = decided(Split(test=0.3, given={"validation": ["validation/*"]}), before)
    for n in range(100):
        was = placed(before)[key(n)]
        assert placed(after)[key(n)] == ("validation" if n < 20 and was == "train" else was)


def test_a_persons_word_on_a_split_stands_whatever_the_recipe_says() -> None:
    samples = [image(n) for n in range(20)]
    samples[0] = image(0, split="test", by_person=True)
    samples[1] = image(1, split="aside", by_person=True)
    samples[2] = image(2, split="train", by_person=True, names=["test/2.jpg"])
    split = Split(test=0.1, release=["test"], given={"test": ["test/*"]})
    after = decided(split, state_of(samples, [(0, 5, "copy", 1.0), (1, 6, "copy", 1.0)]))
    sides = placed(after)
    assert [sides[key(n)] for n in range(3)] == ["test", "aside", "train"]
    assert sides[key(5)] is None
    assert sides[key(6)] in ("train", "test")
    assert Counter(sides.values())["test"] == 2
    assert [after.samples[after.keys.index(key(n))] for n in range(3)] == samples[:3]


def test_given_sets_can_be_claimed_before_other_steps_choose() -> None:
    state = state_of([image(1, names=["test/1.jpg"]), image(2)])
    claimed = Split(given={"test": ["test/*"]}).claim(state, NOWHERE)
    assert placed(claimed) == {key(1): "test", key(2): None}


# --- Conflicts.


def sides_of(numbers: Mapping[int, str], pairs: Iterable[Pair], *, names: Mapping[int, str] | None = None) -> State:
    """Images on the sides that an earlier version gave them, "" for new ones."""
    return state_of(
        (image(n, split=side, names=[(names or {}).get(n, f"{n}.jpg")]) for n, side in numbers.items()), pairs
    )


@pytest.mark.parametrize(
    ("policy", "sides", "told"),
    [
        ("quarantine", ["train", "test", None, "train"], {2: (1, "variant", 0.05, None)}),
        ("demote", [None, "test", "test", "train"], {0: (2, "copy", 9.0, "train")}),
    ],
)
def test_an_image_that_bridges_train_and_test(
    policy: str, sides: list[str | None], told: dict[int, tuple[int, str, float, str | None]]
) -> None:
    pairs = [(0, 2, "copy", 9.0), (1, 2, "variant", 0.05), (3, 0, "copy", 2.0)]
    after = decided(Split(test=0.5, conflicts=policy), sides_of({0: "train", 1: "test", 2: "", 3: "train"}, pairs))
    assert [placed(after)[key(n)] for n in range(4)] == sides
    names = ("with", "tier", "distance", "was")
    assert conflicts(after) == {
        key(n): dict(zip(names, (key(other), *rest), strict=True)) for n, (other, *rest) in told.items()
    }


def test_a_bridge_stops_a_job_that_wants_to_be_stopped_but_only_once() -> None:
    pairs = [(0, 2, "copy", 9.0), (1, 2, "copy", 7.0)]
    state = sides_of({0: "train", 1: "test", 2: ""}, pairs)
    with pytest.raises(JobError, match=r"2\.jpg belongs with 1\.jpg \(test; copy, 7 apart\) and with another split"):
        Split(test=0.5, conflicts="fail").decide(state, NOWHERE)
    resolved = decided(Split(test=0.5), state)
    assert decided(Split(test=0.5, conflicts="fail"), resolved).samples == resolved.samples


def test_an_image_that_would_bridge_train_and_test_by_a_group_alone_stays_out_of_both() -> None:
    state = replace(sides_of({0: "train", 1: "test", 2: ""}, []), groups=[0, 0, 0], edges=Edges(0))
    after = decided(Split(test=0.5), state)
    assert placed(after) == {key(0): "train", key(1): "test", key(2): None}
    assert conflicts(after) == {key(2): {"with": key(1), "tier": "group", "distance": None, "was": None}}


def test_copies_that_looser_thresholds_find_across_a_split_leave_train_and_come_back() -> None:
    state = sides_of({0: "train", 1: "test", 2: "train", 3: "validation"}, [])
    loose = [(0, 1, "mirrored", 12.0), (0, 1, "variant", 0.08), (3, 1, "copy", 30.0), (2, 3, "copy", 8.0)]
    split = Split(test=0.1, validation=0.1)
    after = decided(split, state_of(state.samples, loose))
    assert placed(after) == {key(0): None, key(1): "test", key(2): "train", key(3): None}
    assert conflicts(after) == {
        key(0): {"with": key(1), "tier": "variant", "distance": 0.08, "was": "train"},
        key(3): {"with": key(1), "tier": "copy", "distance": 30.0, "was": "validation"},
    }
    back = decided(split, state_of(after.samples, []))
    assert placed(back) == placed(state)
    assert conflicts(back) == {}


def test_the_evidence_of_a_conflict_is_the_nearest_held_out_image() -> None:
    pairs = [(0, n, "copy", float(30 - n)) for n in range(1, 9)] + [(0, 9, "variant", 0.01)]
    after = decided(Split(test=0.1), sides_of({0: "train"} | dict.fromkeys(range(1, 10), "test"), pairs))
    assert conflicts(after)[key(0)] == {"with": key(8), "tier": "copy", "distance": 22.0, "was": "train"}


def test_an_image_that_was_demoted_is_never_drawn_into_test() -> None:
    pairs: list[Pair] = [(0, 1, "copy", 5.0)]
    state = decided(Split(test=0.5), sides_of({0: "train", 1: "test"}, pairs))
    for split in (Split(test=0.5), Split(test=0.5, conflicts="demote"), Split(test=0.5, validation=0.5 - 1e-9)):
        assert placed(decided(split, state)) == {key(0): None, key(1): "test"}


def test_new_images_of_a_group_with_two_sides_follow_what_they_touch() -> None:
    """Train 0 and test 1 were bridged by 2; what comes later is alike to one side, or to the bridge alone."""
    pairs = [(0, 2, "copy", 9.0), (1, 2, "copy", 9.0), (0, 3, "copy", 9.0), (1, 4, "copy", 9.0), (2, 5, "copy", 9.0)]
    sides = {0: "train", 1: "test", 2: "", 3: "", 4: "", 5: ""}
    after = placed(decided(Split(test=0.3), sides_of(sides, pairs)))
    assert [after[key(n)] for n in range(6)] == ["train", "test", None, "train", "test", None]


def test_a_rejected_image_keeps_its_place_and_holds_its_copies_to_it() -> None:
    before = sides_of({0: "test", 1: "", 2: "train", 3: ""}, [(0, 1, "copy", 2.0), (2, 3, "copy", 2.0)])
    rejected = replace(before, rejections=[GONE if k in (key(0), key(2)) else None for k in before.keys])
    after = decided(Split(test=0.5), rejected)
    assert placed(after) == {key(1): "test", key(3): "train"}
    assert decided(Split(test=0.5), replace(after, rejections=[None] * 4)).samples == after.samples


def test_a_rejected_image_in_train_follows_its_copies_into_a_first_test_set() -> None:
    pairs = [(n, n + 10, "copy", 2.0) for n in range(10)]
    before = sides_of(dict.fromkeys(range(20), "train"), pairs)
    gone = {key(n) for n in range(10)}
    after = decided(Split(test=0.4), replace(before, rejections=[GONE if k in gone else None for k in before.keys]))
    assert Counter(placed(after).values()) == {"test": 4, "train": 6}
    back = placed(decided(Split(test=0.4), replace(after, rejections=[None] * 20)))
    assert all(back[key(n)] == back[key(n + 10)] for n in range(10))


# --- The audit.


def test_a_pair_across_the_split_stops_the_commit_and_is_named() -> None:
    state = sides_of({0: "train", 1: "test"}, [(0, 1, "copy", 5.0)], names={0: "a/x.jpg", 1: "b/y.jpg"})
    with pytest.raises(
        JobError, match=r"a/x\.jpg \(train\) and b/y\.jpg \(test\) are alike \(copy, 5 apart\)"
    ) as caught:
        Split().certify(state, NOWHERE)
    assert "leave copy out of its `audit`" in str(caught.value)
    told = Split(audit=["pixels"]).certify(state, NOWHERE)
    nearest = {"sides": ["train", "test"], "images": [key(0), key(1)], "distance": 5.0}
    assert told["tiers"] == {"copy": {"compared": 2, "pairs": 1, "nearest": [nearest]}}
    assert told["not-looked-for"] == ["pixels"]


def test_likenesses_across_the_split_are_told_and_stop_nothing() -> None:
    after = decided(Split(test=0.5), state_of([image(0), image(1)], [(0, 1, "semantic", 0.04)]))
    (nearest,) = Split(test=0.5).certify(after, NOWHERE)["tiers"]["semantic"]["nearest"]
    assert nearest["distance"] == 0.04
    assert sorted(nearest["sides"]) == ["test", "train"]


def test_a_person_who_puts_copies_on_two_sides_is_told() -> None:
    state = state_of(
        [image(0, split="train", by_person=True), image(1, split="test", by_person=True)], [(0, 1, "pixels", 0.0)]
    )
    after = decided(Split(), state)
    assert placed(after) == {key(0): "train", key(1): "test"}
    (told,) = Split().certify(after, NOWHERE)["pinned-apart"]
    assert told == {"tier": "pixels", "sides": ["train", "test"], "images": [key(0), key(1)], "distance": 0.0}


@pytest.mark.parametrize("weaker", ["train", "validation"])
def test_what_is_held_out_gives_way_to_what_a_person_has_put_on_a_weaker_side(weaker: str) -> None:
    samples = [image(0, split=weaker, by_person=True), image(1, split="test"), image(2, split="test")]
    state = state_of(samples, [(0, 1, "copy", 4.0)])
    after = decided(Split(), state)
    assert placed(after) == {key(0): weaker, key(1): None, key(2): "test"}
    assert conflicts(after)[key(1)] == {"with": key(0), "tier": "copy", "distance": 4.0, "was": "test"}
    assert placed(decided(Split(), after)) == placed(after)


def test_a_pair_across_the_split_is_not_hidden_behind_one_that_a_person_wants() -> None:
    samples = [image(0, split="train", by_person=True), image(1, split="test", by_person=True)]
    samples += [image(2, split="train"), image(3, split="test")]
    state = state_of(samples, [(0, 1, "copy", 1.0), (2, 3, "copy", 5.0)])
    with pytest.raises(JobError, match="copy, 5 apart"):
        Split().certify(state, NOWHERE)


def test_a_certificate_counts_what_the_lines_say() -> None:
    split = Split(test=0.25, folds=2, group_by=["label:scene"])
    samples = [image(n, label="ab"[n % 2], scene=f"s{n // 2}") for n in range(40)]
    told = dict(split.certify(split.decide(state_of(samples), NOWHERE), NOWHERE))
    assert told["images"] == {"train": 30, "validation": 0, "test": 10, "unsplit": 0}
    assert told["labels"]["test"] == {"label=a": 5, "label=b": 5}
    assert told["worst"] == {"test": {"label": "label=a", "images": 5, "asked": 5.0, "deviation": 0.0}}
    assert told["folds"] == [16, 14] or told["folds"] == [14, 16]
    assert told["groups"] == {"label:scene": {"groups": 20, "largest": 2, "astride": 0}}
    assert told["conflicts"] == {"quarantined": 0, "demoted": 0}
    assert told["findings"] == []


# --- What belongs together.


@pytest.mark.parametrize(
    ("rule", "together"),
    [
        ("folder", [{"cam/a/v1_1.jpg", "cam/a/v1_2.jpg", "cam/b/v1_3.jpg"}]),
        ("parent", [{"cam/a/v1_1.jpg", "cam/a/v1_2.jpg"}]),
        (r"prefix:(v\d+)_", [{"cam/a/v1_1.jpg", "cam/a/v1_2.jpg"}, {"v2_1.jpg", "v2_2.jpg"}]),
        (r"name:(v\d+)_", [{"cam/a/v1_1.jpg", "cam/a/v1_2.jpg", "cam/b/v1_3.jpg"}, {"v2_1.jpg", "v2_2.jpg"}]),
        (r"name:v\d", [{"cam/a/v1_1.jpg", "cam/a/v1_2.jpg", "cam/b/v1_3.jpg"}, {"v2_1.jpg", "v2_2.jpg"}]),
        ("label:scene", [{"cam/a/v1_1.jpg", "v2_1.jpg"}]),
    ],
)
def test_rules_say_what_belongs_together(rule: str, together: list[set[str]]) -> None:
    names = ["cam/a/v1_1.jpg", "cam/a/v1_2.jpg", "cam/b/v1_3.jpg", "v2_1.jpg", "v2_2.jpg", "other/z.jpg"]
    scenes = {"cam/a/v1_1.jpg": "s", "v2_1.jpg": "s"}
    seen = set()
    for salt in range(30):
        samples = [image(n, names=[name], scene=scenes.get(name, "")) for n, name in enumerate(names)]
        after = decided(Split(test=0.5, group_by=[rule], salt=str(salt), mode="hash"), state_of(samples))
        side = {names_of(sample)[0]: sample.value("split") for sample in after.samples}
        seen |= {frozenset((a, b)) for a, b in itertools.combinations(names, 2) if side[a] != side[b]}
    whole = {frozenset(pair) for group in together for pair in itertools.combinations(sorted(group), 2)}
    assert seen == {frozenset(pair) for pair in itertools.combinations(names, 2)} - whole


def test_user_groups_and_copies_are_joined_and_an_image_of_two_folders_joins_both() -> None:
    samples = [
        image(0, names=["a/0.jpg"]),
        image(1, names=["a/1.jpg"]),
        image(2, names=["b/2.jpg", "c/2.jpg"]),
        image(3, names=["c/3.jpg"]),
        image(4, names=["d/4.jpg"]),
    ]
    for salt in range(20):
        split = Split(test=0.5, group_by=["folder"], salt=str(salt), mode="hash")
        sides = placed(decided(split, state_of(samples, [(1, 2, "mirrored", 4.0)])))
        assert len({sides[key(n)] for n in range(4)}) == 1


def test_a_rule_that_comes_late_moves_nothing_and_is_told() -> None:
    samples = [image(n, scene="s") for n in range(10)]
    before = decided(Split(test=0.5), state_of(samples))
    late = Split(test=0.5, group_by=["label:scene"])
    after = decided(late, state_of([*samples, image(10, scene="s")], known=before))
    assert {k: v for k, v in placed(after).items() if k in before.keys} == placed(before)
    assert placed(after)[key(10)] is None
    assert late.certify(after, NOWHERE)["groups"] == {"label:scene": {"groups": 1, "largest": 11, "astride": 1}}
    fresh = decided(Split(test=0.5, group_by=["label:scene"], release=["test"]), after)
    assert len(set(placed(fresh).values())) == 1


# --- Folds.


def folds_of(state: State) -> dict[str, Any]:
    return {state.keys[row]: state.samples[row].value("fold") for row in state.standing}


@given(sizes_st, sizes_st, st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_folds_hold_groups_together_spread_classes_and_stay(
    sizes: list[tuple[int, str]], more: list[tuple[int, str]], folds: int
) -> None:
    split = Split(test=0.2, folds=folds)
    before = decided(split, grouped(sizes))
    after = decided(split, grouped([*sizes, *more], known=before))
    for k, fold in folds_of(before).items():
        assert folds_of(after)[k] == fold or placed(after)[k] != placed(before)[k]
    groups = after.edges.components()
    for row in after.standing:
        in_train = after.samples[row].value("split") == "train"
        assert (folds_of(after)[after.keys[row]] is not None) == in_train
        assert folds_of(after)[after.keys[row]] == folds_of(after)[after.keys[int(groups[row])]]


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 40), min_size=1), st.integers(2, 7))
@settings(deadline=None, max_examples=40)
def test_folds_of_single_images_differ_by_one_in_every_class_and_in_all(sizes: dict[str, int], folds: int) -> None:
    after = decided(Split(folds=folds), singles(sizes))
    by_class: Counter[tuple[str, int]] = Counter()
    for sample in after.samples:
        by_class[(sample.metadata("label") or {})["class-name"], sample.value("fold")] += 1
    for label in sizes:
        found = [by_class[label, fold] for fold in range(folds)]
        assert max(found) - min(found) <= 1
    found = list(Counter(dict.fromkeys(range(folds), 0) | Counter(folds_of(after).values())).values())
    assert max(found) - min(found) <= 1


def test_groups_that_grow_together_are_in_one_fold_again() -> None:
    split = Split(folds=3)
    before = decided(split, grouped([(1, "a")] * 9))
    bridge = [(n, 9, "copy", 3.0) for n in range(9)]
    after = decided(split, state_of([*before.samples, image(9)], bridge))
    assert len(set(folds_of(after).values())) == 1


def test_other_folds_are_drawn_anew_and_no_folds_take_the_pair_away() -> None:
    five = decided(Split(folds=5), singles({"a": 100}))
    two = decided(Split(folds=2), five)
    assert set(folds_of(two).values()) == {0, 1}
    assert set(folds_of(decided(Split(), two)).values()) == {None}


def test_a_fold_that_somebody_else_wrote_is_left_alone() -> None:
    yes = {"type": "groundtruth/custom", "human-annotated": "yes"}
    samples = [image(0).with_label("fold", "left", yes), image(1).with_label("fold", 1, yes)]
    samples += [image(2).with_member("fold", 7), *map(image, range(3, 20))]
    for split in (Split(test=0.5), Split(test=0.5, folds=2), Split(given={"test": ["1.jpg"]}, folds=2)):
        found = folds_of(decided(split, state_of(samples)))
        assert (found[key(0)], found[key(1)]) == ("left", 1)
    assert folds_of(decided(Split(), state_of(samples)))[key(2)] == 7


# --- Counts that are asked for.


def test_a_rare_class_has_its_minimum_but_training_is_left_some() -> None:
    split = Split(test=0.1, validation=0.1, minimum={"rare": 5, "label=scarce": 5})
    after = decided(split, singles({"common": 200, "rare": 20, "scarce": 6}))
    found = counts(after)
    assert [found["rare", side] for side in ("test", "validation")] == [5, 5]
    assert [found["scarce", side] for side in ("test", "validation", "train")] == [3, 1, 2]
    assert [found["common", side] for side in ("test", "validation")] == [20, 20]
    assert split.certify(after, NOWHERE)["findings"] == [
        {"split": "validation", "label": "label=scarce", "images": 1, "at-least": 5},
        {"split": "test", "label": "label=scarce", "images": 3, "at-least": 5},
    ]
    assert decided(split, after).samples == after.samples


def test_too_few_images_stop_a_job_only_if_it_is_asked_to_stop() -> None:
    split = Split(test=0.5, minimum={"unheard of": 1}, short="fail")
    with pytest.raises(JobError, match="test has 0 of unheard of, and at least 1 are asked for"):
        decided(split, singles({"a": 10}))


def lookout(normal: int, types: Mapping[tuple[str, ...], int]) -> State:
    samples = [image(n, label="normal") for n in range(normal)]
    for names, count in types.items():
        first = len(samples)
        samples += [image(n, label="anomaly", types=names) for n in range(first, first + count)]
    return state_of(samples)


def test_lookouts_profile_gives_a_test_set_its_counts_of_images_with_one_type() -> None:
    split = Split(test=0.1, profile="lookout")
    after = decided(split, lookout(100, {("dent",): 30, ("scratch",): 20, ("dent", "scratch"): 15}))
    told = split.certify(after, NOWHERE)
    assert told["findings"] == []
    assert told["labels"]["test"]["anomaly-mask-ref=dent"] == 10
    assert told["labels"]["test"]["anomaly-mask-ref=scratch"] == 10
    assert told["labels"]["test"]["label=normal"] == 10
    assert told["labels"]["train"]["anomaly-mask-ref=scratch"] == 10


def test_lookouts_profile_says_what_is_short() -> None:
    split = Split(test=0.1, profile="lookout")
    told = split.certify(decided(split, lookout(100, {("dent",): 12, ("dent", "scratch"): 15})), NOWHERE)
    assert told["findings"] == [
        {"split": "train", "label": "anomaly-mask-ref=dent", "images": 6, "at-least": 10},
        {"split": "test", "label": "anomaly-mask-ref=dent", "images": 6, "at-least": 10},
    ]
    alone = Split(profile="lookout")
    told = alone.certify(decided(alone, lookout(19, {("dent",): 25})), NOWHERE)
    assert told["findings"] == [{"split": "train", "label": "label=normal", "images": 19, "at-least": 20}]


def test_anomaly_types_have_their_share_and_masks_follow_their_images() -> None:
    state = lookout(100, {("dent",): 50, ("scratch",): 20, ("dent", "scratch"): 10})
    after = decided(Split(test=0.1), state)
    found: Counter[str] = Counter()
    for before, sample in zip(state.samples, after.samples, strict=True):
        assert sample.value("anomaly-mask-ref") == before.value("anomaly-mask-ref")
        assert sample.metadata("anomaly-mask-ref") == before.metadata("anomaly-mask-ref")
        colours = (sample.metadata("anomaly-mask-ref") or {"internal-color-map": {}})["internal-color-map"]
        if sample.value("split") == "test":
            found["+".join(sorted(colour["class-name"] for colour in colours.values()))] += 1
    assert found == {"": 10, "BACKGROUND+dent": 5, "BACKGROUND+scratch": 2, "BACKGROUND+dent+scratch": 1}


# --- What a recipe may say.


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"test": 1.0}, "`test` is 1.0: write a share below 1, such as 0.1, or a whole number of images"),
        ({"test": True}, "`test` is True: write a share"),
        ({"test": -0.1}, "`test` is -0.1: write a share"),
        ({"test": "a tenth"}, "`test` is 'a tenth': write a share"),
        ({"test": 0.6, "validation": 0.5}, "leave nothing to train on"),
        ({"test": 5, "mode": "hash"}, "mode hash draws by share"),
        ({"folds": 1}, "`folds` is 1"),
        ({"group_by": "folder"}, "`group_by` is 'folder': write a list, such as [folder]"),
        ({"group_by": ["foldr"]}, "there is no such rule; there are `folder`, `parent`, `prefix:<expression>`"),
        ({"group_by": ["prefix:("]}, "`(` is no regular expression"),
        ({"group_by": [r"prefix:v\d+"]}, "has no group; put one around"),
        ({"group_by": [r"name:(a)(b)"]}, "has 2 groups"),
        ({"group_by": [r"name:(\w+)*x"]}, "can take for ever"),
        ({"group_by": ["name:(a|ab)+x"]}, "can take for ever"),
        ({"group_by": ["name:" + "b*" * 4 + "(c)"]}, "takes too long on a name"),
        ({"group_by": ["name:" + "b?" * 30 + "b" * 30 + "(c)"]}, "30 repeats, options and alternatives"),
        ({"group_by": ["name:" + "(?:b|b)" * 25]}, "25 repeats, options and alternatives"),
        ({"group_by": ["name:.*.*.*.*.*x"]}, "takes too long on a name of"),
        ({"group_by": ["name:" + "a" * 201]}, "an expression has 1 to 200 characters; this one has 201"),
        ({"given": {"tset": ["x"]}}, "`given.tset`"),
        ({"given": {"test": "test/*"}}, "write a list, such as [test/*]"),
        ({"release": ["train"]}, "`release.0` is 'train'"),
        ({"conflicts": "ignore"}, "`conflicts` is 'ignore': Input should be 'quarantine', 'demote' or 'fail'"),
        ({"audit": ["semantic"]}, "`audit.0` is 'semantic'"),
        ({"minimum": {"anomaly": 0}}, "`minimum.anomaly` is 0"),
        ({"profile": "rekognition"}, "`profile` is 'rekognition'"),
    ],
)
def test_a_slip_of_the_pen_is_one_clear_error(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"dataset": "file:///x", "steps": [{"split": parameters}]}, where="the recipe")
    assert words in str(caught.value)


def test_one_image_is_a_number_and_a_recipe_says_it_back() -> None:
    read = parse_recipe({"dataset": "file:///x", "steps": [{"split": {"test": 1, "validation": 0}}]}, where="x")
    (step,) = read.steps
    assert isinstance(step, Split)
    assert (step.test, step.validation) == (1, 0.0)
    assert parse_recipe(read.plain() | {"name": None}, where="x").fingerprint({}) == read.fingerprint({})


# --- Whole jobs, on real pictures.


class Alike(Step):
    """Says which pictures are alike, by name: a stand-in for a tier that drops nothing."""

    kind: ClassVar[str] = "alike"
    pairs: tuple[tuple[str, str, str, float], ...]

    def decide(self, state: State, world: World) -> State:
        row = {name: at for at, sample in enumerate(state.samples) for name in names_of(sample)}
        pairs = [(row[a], row[b], tier, d) for a, b, tier, d in self.pairs if a in row and b in row]
        return replace(state, edges=Edges.of_pairs(len(state.keys), pairs))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(f"memory://{tmp_path.name}")


def photos(first: int, count: int) -> dict[str, bytes]:
    return {f"p{seed:02d}.jpg": pictures.photo(seed, (160, 120)) for seed in range(first, first + count)}


def test_copies_of_old_images_are_in_no_other_split(dataset: Dataset, models: Path) -> None:
    files = photos(0, 12)
    drop(dataset, files)
    done = recipe(dataset, "ingest", "dedup", {"split": {"test": 0.25, "validation": 0.25}})
    first = roles(dataset, go(dataset, done, models).version)
    assert Counter(first.values()) == {"train": 6, "test": 3, "validation": 3}
    drop(dataset, {f"again/{name}": pictures.recompressed(data, 60) for name, data in files.items()})
    drop(dataset, photos(20, 4))
    outcome = go(dataset, done, models, date=DATE.replace(day=20))
    second = roles(dataset, outcome.version)
    assert {name: second[name] for name in first} == first
    assert all(second[f"again/{name}"] in ("rejected", side) for name, side in first.items())
    assert Counter(side for side in second.values() if side != "rejected") == {"train": 8, "test": 4, "validation": 4}
    assert outcome.version is not None
    told: dict[str, Any] = outcome.version.certificates["split"]
    assert told["images"] == {"train": 8, "validation": 4, "test": 4, "unsplit": 0}
    assert {tier: said["nearest"] for tier, said in told["tiers"].items()} == {tier: [] for tier in GROUPING}


def test_a_job_that_would_leak_commits_nothing(dataset: Dataset, models: Path) -> None:
    drop(dataset, {f"{side}/{name}": data for side in ("test", "train") for name, data in photos(len(side), 1).items()})
    pair = ("test/p04.jpg", "train/p05.jpg", "variant", 0.03)
    given_sets = {"test": ["test/*"], "validation": ["train/*"]}
    steps = (Ingest(), Alike(pairs=(pair,)), Split.model_validate({"given": given_sets}))
    with pytest.raises(JobError, match=r"are alike \(variant, 0\.03 apart\), so the split leaks"):
        go(dataset, Recipe(dataset=dataset.url, steps=steps), models)
    assert dataset.numbers() == []
    assert set(roles(dataset, go(dataset, recipe(dataset, "ingest"), models).version)) == set(pair[:2])


def test_pictures_that_turn_out_alike_across_a_split_leave_train(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(0, 4))
    split = Split(test=0.25)
    before = go(dataset, Recipe(dataset=dataset.url, steps=(Ingest(), split)), models)
    sides = roles(dataset, before.version)
    (test,) = [name for name, side in sides.items() if side == "test"]
    train = next(name for name, side in sides.items() if side == "train")
    alike = Alike(pairs=((train, test, "mirrored", 14.0),))
    after = go(dataset, Recipe(dataset=dataset.url, steps=(Ingest(), alike, split)), models)
    assert roles(dataset, after.version) == sides | {train: "unsplit"}
    again = go(dataset, Recipe(dataset=dataset.url, steps=(Ingest(), split)), models)
    assert roles(dataset, again.version) == sides


def test_a_given_test_image_is_kept_and_its_better_copy_in_train_is_dropped(tmp_path: Path, models: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    drop(
        dataset,
        {
            "test/a.jpg": pictures.recompressed(pictures.photo(1), 70),
            "a.png": pictures.photo(1, kind="PNG"),
            "b.jpg": pictures.photo(2),
        },
    )
    steps = ({"dedup": {}}, {"split": {"given": {"test": ["test/*"]}}})
    outcome = go(dataset, recipe(dataset, "ingest", *steps), models)
    assert roles(dataset, outcome.version) == {"test/a.jpg": "test", "a.png": "rejected", "b.jpg": "train"}


def test_a_test_set_that_is_asked_for_later_is_drawn_once_and_then_stays(tmp_path: Path, models: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    drop(dataset, {f"{seed}.jpg": pictures.photo(seed, (96, 96)) for seed in range(8)})
    go(dataset, recipe(dataset, "ingest", "dedup", {"split": {"validation": 1}}), models)
    asked = recipe(dataset, "ingest", "dedup", {"split": {"validation": 1, "test": 2}})
    first = roles(dataset, go(dataset, asked, models).version)
    assert sorted(first.values()) == ["test"] * 2 + ["train"] * 5 + ["validation"]
    drop(dataset, {f"{seed}.jpg": pictures.photo(seed, (96, 96)) for seed in range(8, 11)})
    after = roles(dataset, go(dataset, asked, models).version)
    assert {name: role for name, role in after.items() if name in first} == first
