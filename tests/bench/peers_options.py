"""What the tag step, kohya's script and imgutils are asked for, option by option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import peers_faults as known
from peers_faults import FIRST, Fault

from wide_tagger import LINE


@dataclass(frozen=True)
class Option:
    """One row of the comparison."""

    name: str
    ours: Mapping[str, Any] = field(default_factory=dict)
    kohya: Sequence[str] | None = None
    """Arguments of the script; None if it has nothing like it."""
    imgutils: Mapping[str, Any] | None = None
    """What peers_imgutils.py does; None if imgutils has nothing like it."""
    said: str = ""
    """The caption that every picture has already."""
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By peer."""


def _tags(general: float = 0.35, character: float = 0.35, **more: Any) -> dict[str, Any]:
    return {"tags": {"general_threshold": general, "character_threshold": character, **more}}


SPACES, ESCAPE = {"use_spaces": True}, {"use_escape": True}
UNDESIRED = ["long_hair", "smile", ">_<", "saber_(fate)"]
RESPELLED = ["Long Hair", "SMILE"]
BOTH = {"general_mcut_enabled": True, "character_mcut_enabled": True}

OPTIONS = (
    Option("threshold 0.35 for all", {}, (), _tags()),
    Option(
        "threshold 0.2, batches of 8",
        {"threshold": 0.2, "character_threshold": 0.2},
        ("--thresh", "0.2", "--batch_size", "8"),
        _tags(0.2, 0.2),
    ),
    Option(
        "general 0.5, characters 0.2",
        {"threshold": 0.5, "character_threshold": 0.2},
        ("--general_threshold", "0.5", "--character_threshold", "0.2"),
        _tags(0.5, 0.2),
    ),
    Option(
        "characters off (1.01)",
        {"character_threshold": 1.01},
        ("--character_threshold", "1.01"),
        _tags(character=1.01),
    ),
    Option(
        "a score that is the threshold",
        {"threshold": LINE},
        ("--general_threshold", f"{LINE}"),
        _tags(LINE),
        faults={"kohya": known.LAST_BITS, "imgutils": known.LAST_BITS},
    ),
    Option(
        "underscores to spaces",
        {"underscores": "spaces"},
        ("--remove_underscore",),
        _tags(no_underline=True),
        faults={"kohya": known.TORN},
    ),
    Option("underscores to spaces, in the text", {"underscores": "spaces"}, None, _tags() | {"text": SPACES}),
    Option("parentheses escaped", {"escape": True}, None, _tags() | {"text": ESCAPE}),
    Option(
        "spaces and escapes",
        {"underscores": "spaces", "escape": True},
        None,
        _tags() | {"text": SPACES | ESCAPE},
    ),
    Option(
        "characters first",
        {"characters_first": True},
        ("--character_tags_first",),
        faults={"kohya": known.CHARACTERS_TURNED},
    ),
    Option("rating first", {"rating": "first"}, ("--use_rating_tags",)),
    Option("rating last", {"rating": "last"}, ("--use_rating_tags_as_last_tag",)),
    Option(
        "undesired tags",
        {"blacklist": UNDESIRED},
        ("--undesired_tags", ", ".join(UNDESIRED)),
        _tags() | {"blacklist": UNDESIRED},
    ),
    Option(
        "undesired, with spaces",
        {"blacklist": ["long hair", ">_<"], "underscores": "spaces"},
        ("--undesired_tags", "long hair,>_<", "--remove_underscore"),
        _tags(no_underline=True) | {"blacklist": ["long hair", ">_<"]},
        faults={"kohya": known.TORN},
    ),
    Option(
        "undesired, in another spelling",
        {"blacklist": RESPELLED},
        ("--undesired_tags", ", ".join(RESPELLED)),
        _tags() | {"blacklist": RESPELLED},
        faults={"kohya": known.EXACT},
    ),
    Option(
        "undesired, the plural is a tag too",
        {"blacklist": ["hairband"]},
        ("--undesired_tags", "hairband"),
        _tags() | {"blacklist": ["hairband"]},
        faults={"imgutils": known.PLURAL},
    ),
    Option("append to `mychar, smile`", {"existing": "append"}, ("--append_tags",), said="mychar, smile"),
    Option(
        "append to `mychar, Long Hair`",
        {"existing": "append"},
        ("--append_tags",),
        said="mychar, Long Hair",
        faults={"kohya": known.EXACT_APPENDED},
    ),
    Option("always first, one", {"first": ["smile"]}, ("--always_first_tags", "smile")),
    Option(
        "always first, three",
        {"first": FIRST},
        ("--always_first_tags", ",".join(FIRST)),
        faults={"kohya": known.FIRSTS_TURNED},
    ),
    Option(
        "always first, spaces after commas",
        {"first": FIRST},
        ("--always_first_tags", ", ".join(FIRST)),
        faults={"kohya": known.NOT_STRIPPED},
    ),
    Option(
        "replacement",
        {"replace": {"smile": "a smile"}},
        ("--tag_replacement", "smile,a smile"),
        faults={"kohya": known.NO_REPLACEMENT},
    ),
    Option(
        "characters expanded",
        {"expand_characters": True},
        ("--character_tag_expand",),
        faults={"kohya": known.SHARED},
    ),
    Option(
        "characters expanded, with spaces",
        {"expand_characters": True, "underscores": "spaces"},
        ("--character_tag_expand", "--remove_underscore"),
        faults={"kohya": known.SHARED_AND_TORN},
    ),
    Option(
        "MCut for general tags",
        {"mcut": ["general"]},
        None,
        _tags(general_mcut_enabled=True),
        faults={"imgutils": known.NO_CUT},
    ),
    Option(
        "MCut for characters",
        {"mcut": ["character"]},
        None,
        _tags(character_mcut_enabled=True),
        faults={"imgutils": known.NO_CUT},
    ),
    Option("MCut for both", {"mcut": True}, None, _tags(**BOTH), faults={"imgutils": known.NO_CUT}),
    Option(
        "overlap dropped",
        {"drop_overlap": True},
        None,
        _tags(drop_overlap=True),
        faults={"imgutils": known.LETTERS},
    ),
    Option(
        "traits dropped",
        {"drop_traits": True},
        None,
        _tags() | {"traits": True},
        faults={"imgutils": known.CLOTHES},
    ),
    Option(
        "people first",
        {"people_first": True},
        None,
        _tags() | {"sorted": True},
        faults={"imgutils": known.LABEL_ORDER},
    ),
)
