"""From scores to tags without images: the reference's tables, and the faults of other taggers that must not be ours."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from imageyard.ray_jobs.steps.tag import Tag
from imageyard.ray_jobs.tag_categories import CHARACTER, COPYRIGHT, GENERAL, QUALITY, RATING
from imageyard.ray_jobs.tagging.choosing import unique
from imageyard.ray_jobs.tagging.cutting import mcut
from imageyard.ray_jobs.tagging.decision import Vocabulary
from imageyard.ray_jobs.tagging.names import Label, Pick, expanded
from imageyard.ray_jobs.tagging.writing import pair_of

Scored = Sequence[tuple[int, str, int, float]]

GOLDEN: Scored = (
    (0, "general", RATING, 0.90),
    (1, "sensitive", RATING, 0.10),
    (2, "questionable", RATING, 0.01),
    (3, "explicit", RATING, 0.01),
    (4, "1girl", GENERAL, 0.99),
    (5, "solo", GENERAL, 0.95),
    (6, "long_hair", GENERAL, 0.40),
    (7, "smile", GENERAL, 0.35),
    (8, "^_^", GENERAL, 0.50),
    (9, "blush", GENERAL, 0.34),
    (10, "saber_(fate)", CHARACTER, 0.90),
    (11, "rin_(fate)", CHARACTER, 0.86),
)
MODEL = {GENERAL: 0.35, CHARACTER: 0.85}
PLAIN = "1girl, solo, saber (fate), rin (fate), ^_^, long hair, smile"


def picks_of(*models: Scored, said: Sequence[str] = (), floor: float = 0.0, **parameters: Any) -> list[Pick]:
    """The tags that the scores of one image by each model give under a step's parameters."""
    step = Tag.model_validate({"model": "golden", **parameters})
    decision = step.decision(
        [
            Vocabulary({index: Label(index, tag, category) for index, tag, category, _ in scored}, MODEL, floor)
            for scored in models
        ]
    )
    scores = [
        [(index, score) for index, _, _, score in sorted(scored, key=lambda one: (-one[3], one[1]))]
        for scored in models
    ]
    draft = decision.drafted(scores, said)
    counts = {name.form: 1 for name, _ in draft.picks}
    return decision.finished(draft, counts, 1)


def tags(*models: Scored, **parameters: Any) -> str:
    return ", ".join(name.text for name, _ in picks_of(*models, **parameters))


def general(**scores: float) -> Scored:
    return [(index, tag, GENERAL, score) for index, (tag, score) in enumerate(scores.items())]


def listed(*names: str, category: int = GENERAL) -> Scored:
    """Tags by falling score."""
    return [(index, tag, category, round(0.99 - index / 100, 2)) for index, tag in enumerate(names)]


# The golden set of kohya's options


@pytest.mark.parametrize(
    ("parameters", "written"),
    [
        ({}, PLAIN),
        ({"order": "model"}, "1girl, solo, long hair, smile, ^_^, saber (fate), rin (fate)"),
        ({"characters_first": True}, "saber (fate), rin (fate), 1girl, solo, ^_^, long hair, smile"),
        (
            {"order": "model", "characters_first": True},
            "saber (fate), rin (fate), 1girl, solo, long hair, smile, ^_^",
        ),
        ({"escape": True}, r"1girl, solo, saber \(fate\), rin \(fate\), ^_^, long hair, smile"),
        ({"rating": "first"}, f"general, {PLAIN}"),
        ({"rating": "last"}, f"{PLAIN}, general"),
        ({"expand_characters": True}, "1girl, solo, saber, fate, rin, ^_^, long hair, smile"),
        ({"blacklist": ["long_hair", "Smile"]}, "1girl, solo, saber (fate), rin (fate), ^_^"),
        ({"first": ["smile", "1girl", "mychar"]}, "smile, 1girl, solo, saber (fate), rin (fate), ^_^, long hair"),
        (
            {"first": ["smile", "1girl", "mychar"], "add_if_missing": True},
            "smile, 1girl, mychar, solo, saber (fate), rin (fate), ^_^, long hair",
        ),
        ({"replace": {"1girl": "woman", "solo": ""}}, "woman, saber (fate), rin (fate), ^_^, long hair, smile"),
        (
            {"existing": "append", "said": ["mychar", "smile"]},
            "mychar, smile, 1girl, solo, saber (fate), rin (fate), ^_^, long hair",
        ),
        ({"mcut": ["general"]}, "1girl, solo, saber (fate), rin (fate)"),
        ({"underscores": "keep"}, "1girl, solo, saber_(fate), rin_(fate), ^_^, long_hair, smile"),
        ({"order": "alphabetical"}, "1girl, ^_^, long hair, rin (fate), saber (fate), smile, solo"),
        ({"people_first": True}, "solo, 1girl, saber (fate), rin (fate), ^_^, long hair, smile"),
        (
            {"people_first": True, "characters_first": True, "order": "alphabetical"},
            "solo, 1girl, rin (fate), saber (fate), ^_^, long hair, smile",
        ),
        ({"max_tags": 3}, "1girl, solo, saber (fate)"),
        ({"max_tags": 2, "order": "alphabetical", "rating": "last"}, "1girl, solo, general"),
    ],
)
def test_the_golden_set_of_options(parameters: dict[str, Any], written: str) -> None:
    assert tags(GOLDEN, **parameters) == written


def test_a_score_that_is_the_threshold_is_kept_and_one_below_it_is_not() -> None:
    assert "smile" in tags(GOLDEN).split(", ")
    assert "blush" not in tags(GOLDEN)
    assert tags(GOLDEN, threshold=0.34) == f"{PLAIN}, blush"
    assert "smile" not in tags(GOLDEN, threshold=0.3501)


# Thresholds


@pytest.mark.parametrize(
    ("parameters", "written"),
    [
        ({"preset": "clean"}, "1girl, solo, saber (fate), rin (fate), ^_^"),
        ({"preset": "comprehensive"}, f"{PLAIN}, blush"),
        ({"preset": "clean", "threshold": 0.35}, PLAIN),
        ({"preset": "clean", "thresholds": {"general": 0.35}}, PLAIN),
        ({"thresholds": {"character": 0.87}}, "1girl, solo, saber (fate), ^_^, long hair, smile"),
        ({"thresholds": {"character": 1.01}}, "1girl, solo, ^_^, long hair, smile"),
        ({"character_threshold": 1.01}, "1girl, solo, ^_^, long hair, smile"),
        ({"character_threshold": 1.01, "mcut": True}, "1girl, solo"),
        ({"tag_thresholds": {"Blush": 0.3, "long hair": 0.41}}, PLAIN.replace("long hair, smile", "smile, blush")),
        ({"tag_thresholds": {"*": 1.1, "s*": 0.9, "1girl": 0.5}}, "1girl, solo, saber (fate)"),
        ({"tag_thresholds": {"*_(fate)": 0.87}}, "1girl, solo, saber (fate), ^_^, long hair, smile"),
        ({"mcut": True, "tag_thresholds": {"smile": 0.1, "solo": 0.96}}, "1girl, saber (fate), smile"),
    ],
)  # fmt: skip
def test_thresholds_by_preset_category_and_tag(parameters: dict[str, Any], written: str) -> None:
    assert tags(GOLDEN, **parameters) == written


def test_a_category_without_a_threshold_has_that_of_general_tags() -> None:
    scored = [(0, "type_moon", COPYRIGHT, 0.36), (1, "somebody", 17, 0.34)]
    assert tags(scored) == "type moon"
    assert tags(scored, threshold=0.3) == "type moon, somebody"
    assert tags(scored, thresholds={"copyright": 0.5}) == ""


@pytest.mark.parametrize(
    ("scores", "cut"),
    [
        ((0.99, 0.98, 0.95, 0.9, 0.42, 0.4, 0.1, 0.05), 0.66),
        ((0.05, 0.9, 0.42, 0.99, 0.4, 0.98, 0.1, 0.95), 0.66),
        ((0.02, 0.01, 0.005), 0.015),
        ((0.5, 0.5, 0.5), 0.5),
        ((0.99, 0.95, 0.5, 0.4, 0.35, 0.34), 0.725),
        ((0.5, 0.4, 0.3), 0.45),
        ((0.9,), None),
        ((), None),
    ],
)
def test_the_maximum_cut_lies_in_the_first_largest_gap(scores: tuple[float, ...], cut: float | None) -> None:
    assert mcut(scores) == (None if cut is None else pytest.approx(cut))


def test_equal_scores_all_pass_their_cut() -> None:
    assert tags(general(a=0.5, b=0.5, c=0.5), mcut=True) == "a, b, c"


def test_the_cut_of_one_image_is_not_used_for_the_next() -> None:
    step = Tag.model_validate({"model": "golden", "mcut": ["general"]})
    labels = {0: Label(0, "a", GENERAL), 1: Label(1, "b", GENERAL), 2: Label(2, "c", CHARACTER)}
    decision = step.decision([Vocabulary(labels, MODEL)])
    images = ([(0, 0.9), (1, 0.8), (2, 0.5)], [(2, 0.9), (0, 0.6), (1, 0.2)], [(0, 0.5)], [(0, 0.3)])
    found = [[name.text for name, _ in decision.drafted([scores]).picks] for scores in images]
    assert found == [["a"], ["c", "a"], ["a"], []]  # of a single score the threshold decides


def test_the_cut_of_characters_is_at_least_015_and_no_cut_is_below_the_floor() -> None:
    characters = [(0, "a", CHARACTER, 0.14), (1, "b", CHARACTER, 0.01)]
    assert tags(characters, mcut=True) == ""
    assert tags([(0, "a", CHARACTER, 0.16), (1, "b", CHARACTER, 0.01)], mcut=True) == "a"
    low = general(a=0.06, b=0.055)
    assert [name.text for name, _ in picks_of(low, mcut=True, floor=0.05)] == ["a"]


def test_scores_that_were_not_recorded_count_as_the_floor_for_a_cut() -> None:
    assert tags(general(a=0.9, b=0.85), mcut=True, floor=0.05) == "a, b"
    assert tags(general(a=0.9, b=0.85), mcut=True, floor=0.0) == "a"


# Names


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ("saber_(fate)", ("saber", "fate")),
        ("saber_(swimsuit)_(fate)", ("saber_(swimsuit)", "fate")),
        ("shimakaze_(kancolle)_(cosplay)", ("shimakaze_(kancolle)", "cosplay")),
        ("saber (fate)", ("saber", "fate")),
        ("hatsune_miku", ("hatsune_miku",)),
        (":)", (":)",)),
        (">:)", (">:)",)),
        ("(o)_(o)", ("(o)_(o)",)),
        ("_(fate)", ("_(fate)",)),
        ("saber_()", ("saber_()",)),
        ("saber_(_)", ("saber_(_)",)),
        ("saber(fate)", ("saber(fate)",)),
        ("saber_(fate)_x", ("saber_(fate)_x",)),
        ("excalibur_(fate/stay_night)", ("excalibur", "fate/stay_night")),
    ],
)
def test_a_character_expands_by_its_last_parentheses(tag: str, parts: tuple[str, ...]) -> None:
    assert expanded(tag) == parts


def test_only_characters_expand() -> None:
    scored = [(0, "star_(symbol)", GENERAL, 0.9), (1, "a_(b)", CHARACTER, 0.9), (2, ":)", CHARACTER, 0.89)]
    assert tags(scored, expand_characters=True) == "a, b, star (symbol), :)"


TRICKY = [
    *(";d", ";)", ";o", ";p", ";q", ";3", "\\m/", "\\o/", "\\n/", "\\||/", ">:(", ">:)", "?", "!", "!!", "!?"),
    *("...", "^^^", "+++", ":3", ":/", "|_|", "3", "v", "w", "x", "excalibur_(fate/stay_night)", "0_0", "(o)_(o)"),
    *("+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^", "o_o", "u_u"),
    *("x_x", "||_||", 'don\'t_say_"lazy"', "shimakaze_(kancolle)_(cosplay)", "star_(symbol)"),
]


@pytest.mark.parametrize("tag", TRICKY)
@pytest.mark.parametrize("escape", [False, True])
def test_names_that_trip_others_are_written_read_and_banned_as_they_are(tag: str, escape: bool) -> None:
    from imageyard.ray_jobs.caption_text import pieces_of, same_as
    from imageyard.ray_jobs.tag_text import normal, unescaped

    text = tags(listed(tag, "smile"), escape=escape)
    assert pieces_of(text) == [text.removesuffix(", smile"), "smile"]
    assert [same_as(piece) for piece in pieces_of(text)] == [normal(tag), "smile"]
    if escape:
        assert unescaped(pieces_of(text)[0]) == tags(listed(tag))
    assert tags(listed(tag, "smile"), escape=escape, blacklist=[tag]) == "smile"
    assert tags(listed(tag, "smile"), escape=escape, replace={tag: "other"}) == "other, smile"


def test_a_comma_in_a_name_becomes_a_space_and_is_told() -> None:
    scored = listed('don\'t_say_"lazy",_please', "smile")
    assert tags(scored) == 'don\'t say "lazy" please, smile'
    assert tags(scored, underscores="keep") == 'don\'t_say_"lazy"_please, smile'
    assert tags(scored, blacklist=['don\'t say "lazy" please']) == "smile"
    _, members = pair_of(picks_of(scored))
    assert members["renamed"] == {"0": 'don\'t_say_"lazy",_please'}


def test_a_name_of_which_nothing_is_left_is_no_tag() -> None:
    assert tags(listed("_", ",", "smile")) == "smile"


@pytest.mark.parametrize(
    ("blacklist", "left"),
    [
        ([], "long hair, hairband, chair, white shirt"),
        (["long hair"], "hairband, chair, white shirt"),
        (["hair"], "long hair, hairband, chair, white shirt"),
        (["*_hair"], "hairband, chair, white shirt"),
        (["* hair", "WHITE_*"], "hairband, chair"),
        (["re:.*hair.*"], "white shirt"),
        (["re:hair"], "long hair, hairband, chair, white shirt"),
        (["re:(LONG|short) (hair|shirt)"], "hairband, chair, white shirt"),
        (["*"], ""),
        (["?"], "long hair, hairband, chair, white shirt"),
    ],
)
def test_a_blacklist_means_whole_tags(blacklist: list[str], left: str) -> None:
    assert tags(listed("long_hair", "hairband", "chair", "white_shirt"), blacklist=blacklist) == left


def test_what_expanding_and_replacing_bring_may_be_on_the_blacklist_too() -> None:
    assert tags(GOLDEN, expand_characters=True, blacklist=["fate"]) == "1girl, solo, saber, rin, ^_^, long hair, smile"
    assert tags(listed("a", "b"), replace={"a": "c"}, blacklist=["c"]) == "b"


# Replacing


@pytest.mark.parametrize(
    ("replace", "written"),
    [
        ({"a": "b", "b": "a"}, "b, a, c"),
        ({"a": "b", "b": "c", "c": "d"}, "b, c, d"),
        ({"A": "x", "b": "X"}, "x, c"),
        ({"a": "c"}, "c, b"),
        ({"c": "a"}, "a, b"),
        ({"a": "x, y"}, "x, y, b, c"),
        ({"a": ""}, "b, c"),
        ({"nothing": "x"}, "a, b, c"),
        ({"a": "(x:1.2)"}, "(x:1.2), b, c"),
    ],
)
def test_each_tag_is_replaced_once_and_the_first_of_equal_ones_stays(replace: dict[str, str], written: str) -> None:
    assert tags(listed("a", "b", "c"), replace=replace) == written


def test_names_of_the_recipe_are_written_as_they_stand_there_but_for_escaping() -> None:
    parameters: dict[str, Any] = {
        "replace": {"1girl": "my_char (v2)", "solo": r"one \(1\)"},
        "first": ["A_b (c)"],
        "add_if_missing": True,
        "max_tags": 2,
    }
    assert tags(GOLDEN, **parameters) == "A_b (c), my_char (v2), one (1)"
    assert tags(GOLDEN, **parameters, escape=True) == r"A_b \(c\), my_char \(v2\), one \(1\)"
    assert tags(GOLDEN, **parameters, underscores="keep") == "A_b (c), my_char (v2), one (1)"


def test_a_replacement_changes_only_the_tags_it_names() -> None:
    """kohya's gives every tag the last target, or changes none."""
    assert tags(GOLDEN, replace={"long_hair": "very long hair"}) == PLAIN.replace("long hair", "very long hair")


def test_a_replaced_tag_has_its_score_and_the_models_class_where_the_line_has_it() -> None:
    scored = [(3, "a", GENERAL, 0.9), (4, "b", GENERAL, 0.5)]
    value, members = pair_of(picks_of(scored, replace={"a": "b"}))
    assert (value, members["confidence-map"]) == ([4], {"4": 0.9})
    value, members = pair_of(picks_of(scored, replace={"a": "x"}))
    assert value[0] >= 2**30
    assert list(members["class-map"].values()) == ["x", "b"]  # type: ignore[union-attr]
    assert list(members["confidence-map"].values()) == [0.9, 0.5]  # type: ignore[union-attr]
    value, _ = pair_of(picks_of(scored, replace={"A": "A"}))
    assert value == [3, 4]


# Dropping


@pytest.mark.parametrize(
    ("drop", "keep"),
    [
        ("blue_eyes, blonde_hair, long_hair, hair_bun, blunt_bangs, hime_cut", "closed_eyes, half-closed_eyes"),
        ("dark_skin, sidelocks, twintails, braid, twin_braids, ahoge, twin_drills", "empty_eyes, smile, hairband"),
        ("one_side_up, ponytail, pointy_ears, cat_ears, demon_horns, mustache", "hand_in_own_hair, glowing_eyes"),
        ("hair_over_one_eye, hair_between_eyes", "playing_with_another's_hair, chair, wet_hair"),
    ],
)
def test_traits_go_and_states_stay(drop: str, keep: str) -> None:
    scored = listed(*drop.split(", "), *keep.split(", "))
    assert tags(scored, drop_traits=True) == keep.replace("_", " ")


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("white_shirt, shirt", "white shirt"),
        ("very_long_hair, long_hair, hair", "very long hair"),
        ("chair, hair", "chair, hair"),
        ("no_shirt, shirt", "no shirt, shirt"),
        ("shirt_lift, shirt", "shirt lift, shirt"),
        ("grin, smile", "grin"),
        ("absurdly_long_hair, long_hair", "absurdly long hair"),
        ("shirt, shirt", "shirt"),
        ("^_^, smile", "^_^, smile"),
    ],
)
def test_what_a_more_specific_tag_says_goes(names: str, left: str) -> None:
    assert tags(listed(*names.split(", ")), drop_overlap=True) == left


def test_implications_of_the_recipe_reach_through_each_other_and_end_in_circles() -> None:
    more = {"cat": ["feline"], "Feline": "animal", "animal": ["cat"]}
    assert tags(listed("cat", "feline", "dog"), drop_overlap=True, implications={"cat": ["feline"]}) == "cat, dog"
    assert tags(listed("cat", "animal"), drop_overlap=True, implications={"cat": ["b"], "b": ["animal"]}) == "cat"
    assert tags(listed("dog"), drop_overlap=True, implications=more) == "dog"


def test_what_is_implied_says_what_it_ends_in() -> None:
    assert tags(listed("uniform", "shirt"), drop_overlap=True, implications={"uniform": ["white shirt"]}) == "uniform"


@pytest.mark.parametrize(
    ("names", "implications", "left"),
    [
        ("grin, smile", {"smile": ["grin"]}, "grin"),
        ("smile, grin", {"smile": ["grin"]}, "smile"),
        ("shirt, white shirt", {"shirt": ["white shirt"]}, "shirt"),
        ("d, c, b", {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["b"]}, "d"),
        ("d, c, b, a", {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["b"]}, "a"),
        ("k, m", {"k": ["q m"], "m": ["r k"]}, "k"),
    ],
)
def test_of_tags_that_say_each_other_the_likeliest_stays(
    names: str, implications: dict[str, list[str]], left: str
) -> None:
    assert tags(listed(*names.split(", ")), drop_overlap=True, implications=implications) == left


def test_a_share_of_images_is_no_rounding_error_away() -> None:
    decision = Tag(model="golden", min_count=0.07).decision([Vocabulary({0: Label(0, "smile", GENERAL)}, MODEL)])
    draft = decision.drafted([[(0, 0.9)]])
    assert decision.finished(draft, {"smile": 7}, 100)
    assert not decision.finished(draft, {"smile": 6}, 100)


def test_a_character_is_not_dropped_for_a_tag_that_ends_in_its_name() -> None:
    scored = [(0, "little_saber", GENERAL, 0.9), (1, "saber", CHARACTER, 0.9)]
    assert tags(scored, drop_overlap=True) == "little saber, saber"


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("2girls, blue_hair, red_hair, long_hair, blue_eyes, red_eyes, smile", "2girls, long hair, smile"),
        ("1girl, white_shirt, shirt, hair_ornament, flower_hair_ornament", "1girl, white shirt, flower hair ornament"),
        ("1girl, blue_eyes, red_eyes", "1girl, blue eyes, red eyes"),
        ("2boys, long_hair, short_hair, blue_hair", "2boys, blue hair"),
        ("2girls, blue_hair, long_hair", "2girls, blue hair, long hair"),
        ("2girls, long_sleeves, sleeveless, ponytail, side_braid", "2girls"),
        ("2girls, blue_eyes, smile", "2girls, blue eyes, smile"),
        ("t-shirt, shirt", "t-shirt, shirt"),
    ],
)
def test_kohyas_cleaning_does_what_the_script_does_to_tags(names: str, left: str) -> None:
    assert tags(listed(*names.split(", ")), kohya_clean=True) == left


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("1girl, solo, blonde_hair, brown_hair", "1girl, solo, blonde hair"),
        ("1girl, blonde_hair, multicolored_hair, brown_hair", "1girl, blonde hair, multicolored hair, brown hair"),
        ("1girl, blue_eyes, red_eyes", "1girl, blue eyes"),
        ("1girl, blue_eyes, red_eyes, heterochromia", "1girl, blue eyes, red eyes, heterochromia"),
        ("2girls, blonde_hair, brown_hair", "2girls, blonde hair, brown hair"),
        ("1girl, 1boy, blonde_hair, brown_hair", "1girl, 1boy, blonde hair, brown hair"),
        ("1girl, very_long_hair, long_hair, short_hair", "1girl, very long hair, long hair"),
        ("long_hair, short_hair, very_long_hair", "long hair, very long hair"),
        ("1girl, 2girls, multiple_girls", "1girl"),
        ("multiple_girls, 2girls, 1girl, solo", "multiple girls, 2girls"),
        ("2girls, 3girls, multiple_girls", "2girls, multiple girls"),
        ("day, night, smile", "day, smile"),
        ("from_above, from_below", "from above"),
        ("upper_body, full_body", "upper body"),
        ("1girl, platinum_blonde_hair, brown_hair, hazel_eyes, blue_eyes", "1girl, platinum blonde hair, hazel eyes"),
        ("1girl, multiple_views, from_behind, facing_viewer, day, night", None),
        ("1girl, solo, 2girls, red_hair, blue_hair, multiple_views", None),
        ("indoors, outdoors", "indoors"),
        ("indoors, outdoors, window", None),
        ("day, indoors, door, night, outdoors", "day, indoors, door, outdoors"),
    ],
)
def test_of_tags_that_cannot_be_true_together_the_highest_stays(names: str, left: str | None) -> None:
    """None: all stay."""
    assert tags(listed(*names.split(", ")), conflicts=True) == (left or names.replace("_", " "))
    assert tags(listed(*names.split(", "))) == names.replace("^_^", "").replace("_", " ")


def test_what_a_conflict_cost_is_told() -> None:
    scored = listed("day", "night")
    step = Tag.model_validate({"model": "golden", "conflicts": True})
    decision = step.decision([Vocabulary({i: Label(i, tag, cat) for i, tag, cat, _ in scored}, MODEL)])
    draft = decision.drafted([[(0, 0.99), (1, 0.98)]])
    assert pair_of(draft.picks, draft.ruled_out)[1]["ruled-out"] == {"night": 0.98}


# Several models


OTHER: Scored = ((0, "Long hair", GENERAL, 0.8), (1, "blush", GENERAL, 0.9), (2, "saber_(fate)", CHARACTER, 0.88))


@pytest.mark.parametrize(
    ("parameters", "written"),
    [
        ({}, "1girl, solo, blush, saber (fate), rin (fate), long hair, ^_^, smile"),
        ({"combine": "intersection"}, "saber (fate), long hair"),
        ({"combine": "difference"}, "1girl, solo, rin (fate), ^_^, smile"),
        ({"score": "mean"}, "1girl, solo, blush, saber (fate), rin (fate), long hair, ^_^, smile"),
    ],
)
def test_lists_of_several_models_combine_by_normal_form(parameters: dict[str, Any], written: str) -> None:
    assert tags(GOLDEN, OTHER, also="other", **parameters) == written


def test_the_first_model_names_and_numbers_what_several_say() -> None:
    for mixture, score in (("max", 0.8), ("mean", 0.6)):
        value, members = pair_of(picks_of(GOLDEN, OTHER, also=["other"], score=mixture))
        assert members["confidence-map"]["6"] == score  # type: ignore[call-overload, index]
        (blush,) = [index for index in value if index >= 2**30]
        assert members["class-map"][str(blush)] == "blush"  # type: ignore[call-overload, index]
        assert len(value) == 8


# People's words


@pytest.mark.parametrize(
    ("existing", "written"),
    [
        ("append", "smile, (mychar:1.2), Blush, 1girl, solo, saber (fate), rin (fate), ^_^, long hair"),
        ("merge", "Blush, (mychar:1.2), smile, 1girl, solo, saber (fate), rin (fate), ^_^, long hair"),
    ],
)
def test_a_persons_tags_come_first_or_by_the_order_of_the_step(existing: str, written: str) -> None:
    order = {"order": "alphabetical"} if existing == "merge" else {}
    said = ["smile", "(mychar:1.2)", "Blush"]
    found = tags(GOLDEN, said=said, existing=existing, **order)
    assert found == (written if existing == "append" else ", ".join(sorted(written.split(", "), key=_form)))


def _form(text: str) -> str:
    from imageyard.ray_jobs.caption_text import same_as

    return same_as(text)


def test_merged_tags_of_a_person_have_score_one() -> None:
    found = {
        name.form: (score, name.index) for name, score in picks_of(GOLDEN, said=["smile", "mychar"], existing="merge")
    }
    assert (found["smile"], found["mychar"]) == ((1.0, 7), (1.0, None))
    assert set([*found][:2]) == {"smile", "mychar"}


def test_nothing_drops_what_a_person_said() -> None:
    found = tags(
        listed("blue_eyes", "night", "white_shirt"),
        said=["red eyes", "shirt", "day"],
        existing="append",
        blacklist=["red eyes"],
        drop_traits=True,
        drop_overlap=True,
        conflicts=True,
        max_tags=1,
        min_count=5,
    )
    assert found == "red eyes, shirt, day"


# Order


def test_ties_go_by_name() -> None:
    assert tags([(0, "b", GENERAL, 0.5), (1, "a", GENERAL, 0.5), (2, "c", GENERAL, 0.9)]) == "c, a, b"


def test_first_tags_keep_the_order_of_the_recipe_and_stand_before_the_rating() -> None:
    """kohya's turns their order round, never adds, and does not strip them."""
    assert tags(GOLDEN, first=["solo", " 1girl "], rating="first", max_tags=2) == "solo, 1girl, general"
    assert tags(GOLDEN, first=["smile"], max_tags=2) == "1girl, solo"


def test_of_ratings_and_qualities_the_best_stands_where_it_is_asked_for() -> None:
    scored = [*GOLDEN, (20, "best_quality", QUALITY, 0.3), (21, "worst_quality", QUALITY, 0.9)]
    assert tags(scored) == PLAIN
    assert tags(scored, quality="first", rating="first") == f"general, worst quality, {PLAIN}"
    assert tags(scored, quality="last", rating="first") == f"general, {PLAIN}, worst quality"
    assert tags(scored, rating="last", replace={"general": "safe"}) == f"{PLAIN}, safe"
    assert tags(scored, rating="last", blacklist=["general"], max_tags=1) == "1girl"
    assert tags(scored, thresholds={"general": 2}, threshold=None, character_threshold=2, rating="first") == "general"


def test_people_come_in_the_order_solo_then_counts() -> None:
    scored = listed("smile", "2boys", "6+girls", "1other", "solo", "boys")
    assert tags(scored, people_first=True) == "solo, 2boys, 6+girls, smile, 1other, boys"


def test_one_tag_stands_once() -> None:
    picks = picks_of(listed("a", "b"), replace={"b": "A"})
    assert [name.text for name, _ in unique([*picks, *picks])] == ["a"]


# Refusals


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"blacklist": ["re:("]}, "no regular expression"),
        ({"blacklist": [r"re:(\w+)*"]}, "can take for ever"),
        ({"blacklist": ["re:" + "a" * 201]}, "1 to 200 characters"),
        ({"tag_thresholds": {"re:[": 0.5}}, "no regular expression"),
        ({"tag_thresholds": {"smile": -1}}, "greater than or equal to 0"),
        ({"thresholds": {"rating": 0.5}}, "no category 'rating' with a threshold"),
        ({"thresholds": {"people": 0.5}}, "there are general, artist"),
        ({"threshold": 0.3, "thresholds": {"general": 0.4}}, "given twice"),
        ({"mcut": ["faces"]}, "no category 'faces'"),
        ({"preset": "dirty"}, "comprehensive"),
        ({"min_count": 1.5}, "a share below 1"),
        ({"min_count": -1}, "greater than or equal to 0"),
        ({"replace": {"long hair": "a", "long_hair": "b"}}, "two spellings"),
        ({"replace": {"": "a"}}, "empty name"),
        ({"replace": {"*_hair": "hair"}}, "name each tag"),
        ({"tag_thresholds": {"Smile": 0.5, "smile": 0.6}}, "two spellings"),
        ({"first": ["a, b"]}, "not one tag"),
        ({"also": "golden"}, "names a tagger twice"),
        ({"first": ["Long_Hair"], "add_if_missing": True, "blacklist": ["* hair"]}, "in first and on the blacklist"),
        ({"sfw": {"above": 3}}, "less than or equal to 2"),
        ({"sfw": {"over": 1}}, "Extra inputs"),
        ({"order": "random"}, "alphabetical"),
        ({"existing": "ignore"}, "overwrite"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Tag.model_validate({"model": "golden", **parameters})


def test_a_step_that_is_written_down_is_read_as_the_same_step() -> None:
    step = Tag.model_validate(
        {
            "model": "golden",
            "also": "other",
            "mcut": True,
            "sfw": True,
            "thresholds": {"artist": 0.5},
            "tag_thresholds": {"re:.*hair": 1},
            "replace": {"a": "b"},
            "implications": {"a": ["b"], "c": "d"},
            "min_count": 0.1,
        }
    )
    assert Tag.model_validate(step.model_dump(mode="json")) == step
    assert step.mcut == ("general", "artist", "copyright", "character", "meta", "year", "model")
    assert Tag.model_validate({"model": "golden", "mcut": False, "sfw": False}) == Tag(model="golden")
