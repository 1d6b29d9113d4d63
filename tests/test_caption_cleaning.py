"""A captioner's words made fit for a caption: what is taken out, what stays, and that twice is once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageyard.manifests.errors import RecipeError
from imageyard.ray_jobs.caption_cleaning import (
    INVENTED_TEXT,
    clean,
    collapsed,
    finish,
    removed,
    without_artefact,
    without_openers,
    without_repeats,
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("  a cat \n\n on a\tmat ", "a cat on a mat"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_a_caption_is_one_line_with_single_spaces(text: str, left: str) -> None:
    assert collapsed(text) == clean(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a woman with a woman with a woman with a woman with", "a woman"),
        ("a woman with a woman with a woman", "a woman"),
        ("a cat sitting on a couch and a cat sitting on a couch", "a cat sitting on a couch"),
        ("small small small small", "small"),
        ("a red a red a red a", "a red"),
        ("The sky is blue. The sky is blue. The sky is blue.", "The sky is blue."),
        ("Blue sky, blue sky, blue sky, blue sky", "Blue sky"),
        ("a dog in the snow in the snow in the snow", "a dog in the snow"),
        # What repeats and is no loop.
        ("a black and white cat and a black and white dog", None),
        ("a man in a red hat, a man in a blue hat", None),
        ("on the left a tree, on the right a tree", None),
        ("a very very old house", None),
        ("New York, New York at night", None),
        ("The woman is smiling. The man is standing behind her. The woman is holding a cup.", None),
        ("", None),
    ],
)
def test_a_loop_is_cut_where_it_begins_and_other_repeats_stay(text: str, left: str | None) -> None:
    assert without_repeats(text) == (text if left is None else left)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("arafed woman in a red dress", "woman in a red dress"),
        ("there is a arafed cat on a bed", "there is a cat on a bed"),
        ("an arafed woman and an arafed owl", "a woman and an owl"),
        ("an arafed", "an"),
        ("Araffe and a dog", "and a dog"),
        ("a giraffe in a field", "a giraffe in a field"),
        ("a carafe of water", "a carafe of water"),
    ],
)
def test_blips_artefact_is_dropped(text: str, left: str) -> None:
    assert without_artefact(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The image shows a woman in a hat.", "A woman in a hat."),
        ("This image depicts two dogs. They play.", "Two dogs. They play."),
        ("the image shows a woman", "a woman"),
        ("This is a photo of a cat.", "A cat."),
        ("This is a black and white photograph of a street.", "A street."),
        ("The image is a digital illustration of a castle.", "A castle."),
        ("The image is a photo of an image of a bird.", "A bird."),
        ("In this image, we can see a train.", "A train."),
        ("In the image there is a boat.", "A boat."),
        ("A photo of Paris at night", "Paris at night"),
        ("there is a man that is sitting", "a man that is sitting"),
        ("The image shows", "The image shows"),
        ("The image shows that winter has come.", "The image shows that winter has come."),
        ("The image is blurry.", "The image is blurry."),
        ("A woman looks at the image of a cat.", "A woman looks at the image of a cat."),
        ("Photography of the old kind", "Photography of the old kind"),
    ],
)
def test_openers_that_say_nothing_are_dropped_and_what_follows_begins_alike(text: str, left: str) -> None:
    assert without_openers(text) == left


def test_openers_of_ones_own_take_the_place_of_ours() -> None:
    assert clean("Well, a cat", openers=("well, ",)) == "A cat"
    assert clean("The image shows a cat", openers=()) == "The image shows a cat"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A woman stands. She wears a red", "A woman stands."),
        ('He says "stop." Then he wal', 'He says "stop."'),
        ("A house, a tree, a dog wi", "A house, a tree"),
        ("a woman in a long dress with a", "a woman in a long dress"),
        ("A bottle of 0.5 litres on", "A bottle of 0.5 litres"),
        ("A woman stands. She sits.", "A woman stands. She sits."),
        ("cat", "cat"),
        (", and", ", and"),
        ("", ""),
    ],
)
def test_what_was_cut_off_is_cut_back_to_what_is_whole(text: str, left: str) -> None:
    assert finish(text) == left


def test_a_finished_caption_is_not_cut_back() -> None:
    assert clean("A house, a tree, a dog", finished=True) == "A house, a tree, a dog"
    assert clean("A house, a tree, a dog", finished=False) == "A house, a tree"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('a red sign with the words "stop here" on it', "a red sign"),
        ("a man in a jersey with the number 23 on the back", "a man in a jersey"),
        ("a book and the word hope", "a book"),
        ("a poster that says vote", "a poster"),
        ("a woman with a hat and a dog", "a woman with a hat and a dog"),
        ("a number of birds", "a number of birds"),
    ],
)
def test_writing_that_git_makes_up_is_removed_with_its_tail(text: str, left: str) -> None:
    assert clean(text, remove=INVENTED_TEXT) == left


@pytest.mark.parametrize(
    ("text", "patterns", "left"),
    [
        ("a cat, watermark, on a mat", (r"\bwatermark\b",), "a cat, on a mat"),
        ("watermark, a cat.", ("WATERMARK",), "a cat."),
        ("a cat, watermark.", ("watermark",), "a cat."),
        ("a cat", ("dog",), "a cat"),
        ("a cat", (".*",), ""),
    ],
)
def test_what_a_user_removes_leaves_no_loose_commas(text: str, patterns: tuple[str, ...], left: str) -> None:
    assert removed(text, patterns) == left


def test_a_broken_expression_is_named() -> None:
    with pytest.raises(RecipeError, match=r"`remove` '\(' is no regular expression"):
        clean("a cat", remove=("(",))
    with pytest.raises(RecipeError, match=r"`openers` '\['"):
        clean("a cat", openers=("[",))


def test_all_together() -> None:
    said = "The image shows  an arafed woman, a woman with a woman with a woman with"
    assert clean(said, finished=False) == "A woman"
    assert clean("This is a photo of a cat. It sits on a mat. It sits on a mat. It si", finished=False) == (
        "A cat. It sits on a mat."
    )


WORDS = st.sampled_from(
    [
        *("a", "cat", "and", "the", "image", "shows", "of", "photo", "this", "is", "in", "with", "words", "arafed"),
        *("red", ",", ".", "The", "In", "there", "that", "says"),
    ]
)


@given(words=st.lists(WORDS, max_size=14), finished=st.booleans(), invented=st.booleans())
def test_cleaning_again_changes_nothing(words: list[str], finished: bool, invented: bool) -> None:
    remove = INVENTED_TEXT if invented else ()
    once = clean(" ".join(words), finished=finished, remove=remove)
    assert clean(once, remove=remove) == once
    assert once == collapsed(once)
