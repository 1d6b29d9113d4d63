"""What is known to make a peer's tags other than ours; each fault tells whether it, and nothing else, is why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imageyard.ray_jobs.tag_text import KAOMOJI, normal

Tags = Sequence[str]
FIRST = ("blush", "smile", "1girl")
"""What the options on first tags ask for."""


@dataclass(frozen=True)
class Fault:
    """Why a peer's answer is another one."""

    reason: str
    shows: Callable[[Tags, Tags, Tags], bool]
    """Of our tags, theirs, and ours without the option: whether the fault makes theirs."""


def _without(tag: str) -> Callable[[Tags, Tags, Tags], bool]:
    return lambda ours, theirs, plain: [found for found in ours if found != tag] == [*theirs]


def _once(tags: Tags) -> list[str]:
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(normal(tag), tag)
    return list(found.values())


def _torn(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    return [tag.replace("_", " ") if tag in KAOMOJI and len(tag) > 3 else tag for tag in ours] == [*theirs]


def _characters_turned(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    count = next(n for n in range(len(plain) + 1) if [*plain[len(plain) - n :], *plain[: len(plain) - n]] == [*ours])
    return [*reversed(ours[:count]), *ours[count:]] == [*theirs]


def _firsts_turned(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    count = sum(tag in FIRST for tag in ours)
    return [*reversed(ours[:count]), *ours[count:]] == [*theirs]


def _one_first(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    return sorted(plain, key=lambda tag: tag != FIRST[0]) == [*theirs]


def _nothing(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    return [*theirs] == [*plain]


def _repeated(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    return _once(theirs) == [*ours]


def _shared(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    several = {tag for tag in theirs if [*theirs].count(tag) > 1}
    single = [[tag for tag in tags if tag not in several] for tags in (ours, theirs)]
    return set(ours) == set(theirs) and single[0] == single[1]


def _shared_and_torn(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    whole = {tag.replace("_", " "): tag for tag in KAOMOJI if len(tag) > 3}
    return _shared(ours, [whole.get(tag, tag) for tag in theirs], plain)


def _inside(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    lost = [tag for tag in ours if tag not in theirs]
    letters = all(any(tag in other for other in ours if other != tag) for tag in lost)
    return letters and [tag for tag in ours if tag not in lost] == [*theirs]


def _fewer(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    return [tag for tag in ours if tag in theirs] == [*theirs]


def _people_by_label(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    count = sum(tag == "solo" or tag.rstrip("s").endswith(("boy", "girl")) for tag in ours)
    return set(ours[:count]) == set(theirs[:count]) and [*ours[count:]] == [*theirs[count:]]


def _dead(ours: Tags, theirs: Tags, plain: Tags) -> bool:
    return "argmax of an empty sequence" in ", ".join(theirs)


LAST_BITS = Fault("compares all 32 bits: 0.45 is below 0.45; we compare four decimals", _without("on_the_line"))
TORN = Fault("takes for a face what has up to three signs: longer ones become `(o) (o)`", _torn)
CHARACTERS_TURNED = Fault("puts each character before the one before: their order is turned round", _characters_turned)
FIRSTS_TURNED = Fault("turns them round", _firsts_turned)
NOT_STRIPPED = Fault("does not strip them: finds the first only", _one_first)
EXACT = Fault("means the exact letters only", _nothing)
EXACT_APPENDED = Fault("means the exact letters only: writes one tag in two spellings", _repeated)
NO_REPLACEMENT = Fault("replaces nothing", _nothing)
SHARED = Fault("writes a series again for each of its characters; ours stands behind the surest", _shared)
SHARED_AND_TORN = Fault("the same, and faces are torn", _shared_and_torn)
PLURAL = Fault("drops the plural with the singular; we drop what is named", _without("hairbands"))
NO_CUT = Fault("dies where a category has fewer than two labels", _dead)
LETTERS = Fault("looks for letters, not words: `hair` goes for `chair`, `shirt` for `no_shirt`", _inside)
CLOTHES = Fault("drops clothes (`hat`), counts (`1girl`) and states (`wet_hair`) with the traits", _fewer)
LABEL_ORDER = Fault("leaves counts in the order of the labels; ours go by score", _people_by_label)
