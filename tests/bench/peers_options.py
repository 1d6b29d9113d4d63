"""What the tag step, kohya's script and imgutils are asked for, option by option, and what is known to differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imageyard.ray_jobs.tag_text import KAOMOJI, normal
from wide_tagger import LINE

Tags = Sequence[str]


@dataclass(frozen=True)
class Fault:
    """Why a peer's answer is another one."""

    reason: str
    shows: Callable[[Tags, Tags, Tags], bool]
    """Whether this fault, and nothing else, makes our tags theirs; the third are ours without the option."""


@dataclass(frozen=True)
class Option:
    """One row of the comparison."""

    name: str
    ours: Mapping[str, Any] = field(default_factory=dict)
    kohya: Sequence[str] | None = ()
    """Arguments of the script; None if it has nothing like it."""
    imgutils: Mapping[str, Any] | None = None
    said: str = ""
    """The caption that every picture has already."""
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By peer."""


FIRST = ("blush", "smile", "1girl")


def limits(general: float, characters: float) -> dict[str, Any]:
    return {"general_threshold": general, "character_threshold": characters}


def once(tags: Tags) -> list[str]:
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(normal(tag), tag)
    return list(found.values())


def torn(ours: Tags, theirs: Tags, _: Tags) -> bool:
    return [tag.replace("_", " ") if tag in KAOMOJI and len(tag) > 3 else tag for tag in ours] == [*theirs]


def turned(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    first = next(
        count for count in range(len(ours) + 1) if [*plain[len(plain) - count :], *plain[: -count or None]] == [*ours]
    )
    return [*reversed(ours[:first]), *ours[first:]] == [*theirs]


def firsts_turned(ours: Tags, theirs: Tags, _: Tags) -> bool:
    count = sum(tag in FIRST for tag in ours)
    return [*reversed(ours[:count]), *ours[count:]] == [*theirs]


def only_first(_: Tags, theirs: Tags, plain: Tags) -> bool:
    return [*(tag for tag in plain if tag == FIRST[0]), *(tag for tag in plain if tag != FIRST[0])] == [*theirs]


def nothing(_: Tags, theirs: Tags, plain: Tags) -> bool:
    return [*theirs] == [*plain]


def repeated(ours: Tags, theirs: Tags, _: Tags) -> bool:
    return once(theirs) == [*ours]


def shared(ours: Tags, theirs: Tags, _: Tags) -> bool:
    """Ours stand once, behind the surest of the characters that share them."""
    several = {tag for tag in theirs if theirs.count(tag) > 1}
    return set(ours) == set(theirs) and [tag for tag in ours if tag not in several] == [
        tag for tag in theirs if tag not in several
    ]


def dead(_: Tags, theirs: Tags, __: Tags) -> bool:
    return "argmax of an empty sequence" in ", ".join(theirs)


def torn_and_shared(ours: Tags, theirs: Tags, _: Tags) -> bool:
    whole = {tag.replace("_", " "): tag for tag in KAOMOJI if len(tag) > 3}
    return shared(ours, [whole.get(tag, tag) for tag in theirs], ())


def off_the_line(ours: Tags, theirs: Tags, _: Tags) -> bool:
    return [tag for tag in ours if tag != "on_the_line"] == [*theirs]


def inside(ours: Tags, theirs: Tags, _: Tags) -> bool:
    """They drop what we drop, and what other letters have inside."""
    lost = [tag for tag in ours if tag not in theirs]
    inner = all(any(tag in other for other in ours if other != tag) for tag in lost)
    return inner and [tag for tag in ours if tag not in lost] == [*theirs]


def fewer(ours: Tags, theirs: Tags, _: Tags) -> bool:
    return [tag for tag in ours if tag in theirs] == [*theirs]


def same_but_people(ours: Tags, theirs: Tags, _: Tags) -> bool:
    people = [tag for tag in ours if tag == "solo" or tag.rstrip("s").endswith(("boy", "girl"))]
    return set(ours[: len(people)]) == set(theirs[: len(people)]) and [*ours[len(people) :]] == [*theirs[len(people) :]]


def plural_too(ours: Tags, theirs: Tags, _: Tags) -> bool:
    return [tag for tag in ours if tag != "hairbands"] == [*theirs]


BOUNDARY = Fault(
    "compares unrounded 32-bit scores, so that 0.45 is below 0.45; we compare what is stored", off_the_line
)
LENGTH = "takes for a face what has up to three signs, and tears the longer ones: `(o) (o)`"
ALONE = {"imgutils": Fault("dies where a category has fewer than two labels", dead)}

OPTIONS = (
    Option("threshold 0.35 for all", imgutils={"tags": limits(0.35, 0.35)}),
    Option("threshold 0.2, batches of 8", {"threshold": 0.2, "character_threshold": 0.2}, ("--thresh", "0.2", "--batch_size", "8"), {"tags": limits(0.2, 0.2)}),
    Option("general 0.5, characters 0.2", {"threshold": 0.5, "character_threshold": 0.2}, ("--general_threshold", "0.5", "--character_threshold", "0.2"), {"tags": limits(0.5, 0.2)}),
    Option("characters off (1.01)", {"character_threshold": 1.01}, ("--character_threshold", "1.01"), {"tags": limits(0.35, 1.01)}),
    Option("threshold 0.45, which one score is", {"threshold": LINE}, ("--general_threshold", f"{LINE}"), {"tags": limits(LINE, 0.35)}, faults={"kohya": BOUNDARY, "imgutils": BOUNDARY}),
    Option("underscores to spaces", {"underscores": "spaces"}, ("--remove_underscore",), {"tags": {**limits(0.35, 0.35), "no_underline": True}}, faults={"kohya": Fault(LENGTH, torn)}),
    Option("underscores to spaces, in the text", {"underscores": "spaces"}, None, {"tags": limits(0.35, 0.35), "text": {"use_spaces": True}}),
    Option("parentheses escaped", {"escape": True}, None, {"tags": limits(0.35, 0.35), "text": {"use_escape": True}}),
    Option("spaces and escapes", {"underscores": "spaces", "escape": True}, None, {"tags": limits(0.35, 0.35), "text": {"use_spaces": True, "use_escape": True}}),
    Option("characters first", {"characters_first": True}, ("--character_tags_first",), faults={"kohya": Fault("puts each character before the last one: several are turned round", turned)}),
    Option("rating first", {"rating": "first"}, ("--use_rating_tags",)),
    Option("rating last", {"rating": "last"}, ("--use_rating_tags_as_last_tag",)),
    Option("undesired tags", {"blacklist": ["long_hair", "smile", ">_<", "saber_(fate)"]}, ("--undesired_tags", "long_hair, smile, >_<, saber_(fate)"), {"tags": limits(0.35, 0.35), "blacklist": ["long_hair", "smile", ">_<", "saber_(fate)"]}),
    Option("undesired, in another spelling", {"blacklist": ["Long Hair", "SMILE"]}, ("--undesired_tags", "Long Hair, SMILE"), {"tags": limits(0.35, 0.35), "blacklist": ["Long Hair", "SMILE"]}, faults={"kohya": Fault("means the exact letters only", nothing)}),
    Option("undesired, with a plural in the list", {"blacklist": ["hairband"]}, ("--undesired_tags", "hairband"), {"tags": limits(0.35, 0.35), "blacklist": ["hairband"]}, faults={"imgutils": Fault("drops the plural with the singular; we drop the tag that is named", plural_too)}),
    Option("append to `mychar, smile`", {"existing": "append"}, ("--append_tags",), said="mychar, smile"),
    Option("append to `mychar, Long Hair`", {"existing": "append"}, ("--append_tags",), said="mychar, Long Hair", faults={"kohya": Fault("means the exact letters only, and writes it twice", repeated)}),
    Option("always first, one", {"first": ["smile"]}, ("--always_first_tags", "smile")),
    Option("always first, three", {"first": FIRST}, ("--always_first_tags", ",".join(FIRST)), faults={"kohya": Fault("turns them round", firsts_turned)}),
    Option("always first, spaces after commas", {"first": FIRST}, ("--always_first_tags", ", ".join(FIRST)), faults={"kohya": Fault("does not strip: finds only the first", only_first)}),
    Option("replacement", {"replace": {"smile": "a smile"}}, ("--tag_replacement", "smile,a smile"), faults={"kohya": Fault("replaces nothing", nothing)}),
    Option("characters expanded", {"expand_characters": True}, ("--character_tag_expand",), faults={"kohya": Fault("writes a series once for each of its characters", shared)}),
    Option("characters expanded, with spaces", {"expand_characters": True, "underscores": "spaces"}, ("--character_tag_expand", "--remove_underscore"), faults={"kohya": Fault(f"the same, and {LENGTH}", torn_and_shared)}),
    Option("MCut for general tags", {"mcut": ["general"]}, None, {"tags": {**limits(0.35, 0.35), "general_mcut_enabled": True}}, faults=ALONE),
    Option("MCut for characters", {"mcut": ["character"]}, None, {"tags": {**limits(0.35, 0.35), "character_mcut_enabled": True}}, faults=ALONE),
    Option("MCut for all", {"mcut": True}, None, {"tags": {**limits(0.35, 0.35), "general_mcut_enabled": True, "character_mcut_enabled": True}}, faults=ALONE),
    Option("overlap dropped", {"drop_overlap": True}, None, {"tags": {**limits(0.35, 0.35), "drop_overlap": True}}, faults={"imgutils": Fault("looks for letters, not words: `hair` goes for `chair`, `shirt` for `no_shirt`", inside)}),
    Option("traits dropped", {"drop_traits": True}, None, {"tags": limits(0.35, 0.35), "traits": True}, faults={"imgutils": Fault("drops clothes (`hat`, `hairband`), counts (`1girl`) and states (`wet hair`) too", fewer)}),
    Option("people first", {"people_first": True}, None, {"tags": limits(0.35, 0.35), "sorted": True}, faults={"imgutils": Fault("leaves the counts in the order of the labels; ours go by score", same_but_people)}),
)  # fmt: skip
