"""Tokens of CLIP's vocabulary, counted offline."""

import subprocess
import sys

import pytest

from imageyard.ray_jobs.analysis.clip_tokens import approximate, chunks, cleaned, counted, tokens

TAGS = "1girl, solo, long hair, looking at viewer, smile"

# Of texts with escapes, digits and long lists the reference says the number only.
GOLDENS: list[tuple[str, int, list[int] | None]] = [
    ("", 0, []),
    ("hello world", 2, [3306, 1002]),
    ("a photo of a cat", 5, [320, 1125, 539, 320, 2368]),
    (",", 1, [267]),
    (", ", 1, [267]),
    ("1girl", 2, [272, 1611]),
    ("1girl, solo", 4, [272, 1611, 267, 5797]),
    (TAGS, 13, [272, 1611, 267, 5797, 267, 1538, 2225, 267, 1312, 536, 15061, 267, 3490]),
    (
        TAGS.replace("g h", "g_h").replace("g a", "g_a").replace("t v", "t_v"),
        16,
        [272, 1611, 267, 5797, 267, 1538, 318, 2225, 267, 1312, 318, 536, 318, 15061, 267, 3490],
    ),
    ("saria_zelda", 4, [1808, 1073, 318, 17138]),
    ("mychar_anna", 4, [1152, 16017, 318, 2160]),
    ("ohwx", 1, [47993]),
    ("sks", 1, [48136]),
    ("zwx style", 3, [89, 3561, 1844]),
    ("hu tao (genshin impact), 1girl", 9, [5949, 18923, 263, 1024, 11784, 3844, 2361, 272, 1611]),
    ("hu tao \\(genshin impact\\), 1girl", 11, None),
    ("^_^", 1, [15995]),
    ("1920x1080", 9, None),
    ("日本語", 4, [39121, 44353, 34002, 508]),
    ("Ünïcödé", 7, [6522, 77, 35689, 66, 7255, 67, 4166]),
    ("👍", 1, [4201]),
    ("a  b\n c", 3, [320, 321, 322]),
    ("mychar_anna, 1girl, solo, red hair, green eyes, white shirt, standing, outdoors", 22, None),
    (", ".join(["long hair"] * 38), 113, None),
]


@pytest.mark.parametrize(("text", "count", "ids"), GOLDENS)
def test_the_tokens_are_those_of_clip(text: str, count: int, ids: list[int] | None) -> None:
    tokenizer = pytest.importorskip("instant_clip_tokenizer")
    assert tokens().unit == "clip"
    assert counted(text) == count
    if ids is not None:
        assert list(tokenizer.Tokenizer().encode(cleaned(text))) == ids


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("tom &amp; jerry", "tom & jerry"),
        ("tom &amp;amp; jerry", "tom & jerry"),
        ("it’s “here”", 'it\'s "here"'),
        ("ﬁre ＡＢＣ", "fire abc"),
        ("e\u0301", "é"),
        ("a\x00b", "ab"),
        ("  Long\t Hair\n", "long hair"),
    ],
)
def test_text_is_cleaned_as_clips_own_code_does(text: str, same: str) -> None:
    assert cleaned(text) == same
    assert counted(text) == counted(same)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (75, 1), (76, 2), (113, 2), (150, 2), (151, 3)])
def test_a_chunk_has_75_tokens(count: int, expected: int) -> None:
    assert chunks(count) == expected


def test_without_the_vocabulary_pieces_are_counted_and_never_more_than_tokens() -> None:
    counted = {text: approximate(text) for text, _, _ in GOLDENS}
    assert counted[TAGS] == 13
    assert counted["1920x1080"] == 9
    assert counted["saria_zelda"] == 3
    assert all(counted[text] <= count for text, count, _ in GOLDENS)
    assert approximate("it's") == 2


def test_where_the_vocabulary_is_not_installed_the_unit_says_so() -> None:
    code = (
        "import sys; sys.modules['instant_clip_tokenizer'] = None; "
        "from imageyard.ray_jobs.analysis.clip_tokens import tokens; "
        "print(tokens().unit, tokens().count('1girl, solo'))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["approx", "4"]
