"""What a split certified, in sentences for the report."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from imageyard.ray_jobs.report_text import number, plural, value

Certified = tuple[tuple[str, tuple[str, ...]], ...]
"""Headings, each with its sentences."""

_MOST = 12
"""Sentences below one heading."""
_TIERS = {
    "pixels": "equal pixels",
    "copy": "near copies",
    "variant": "variants",
    "mirrored": "mirrored copies",
    "semantic": "semantic likenesses",
}


def certified(certificate: Mapping[str, Any]) -> Certified:
    """What `certificate`, as the split step gives it, says of the split: `Split.certify` lists its members.

    What another release certified, under other names or in other shapes, is told as it stands.
    """
    told = []
    for member in [*_TOLD, *(name for name in certificate if name not in _TOLD)]:
        if member in certificate:
            heading, say = _TOLD.get(member, (member, _plainly))
            try:
                sentences = list(say(certificate[member]))
            except (AttributeError, KeyError, TypeError, ValueError):
                sentences = _plainly(certificate[member])
            if sentences:
                told.append((heading, _first(sentences)))
    return tuple(told)


def _plainly(said: Any) -> list[str]:
    return [value(said)]


def _nothing(said: Any) -> list[str]:
    return []


def _first(sentences: Sequence[str]) -> tuple[str, ...]:
    more = len(sentences) - _MOST
    return (*sentences[:_MOST], *([f"and {number(more)} more"] if more > 0 else ()))


def _leaks(tiers: Mapping[str, Any]) -> Iterator[str]:
    for tier, said in tiers.items():
        looked = f"{_TIERS.get(tier, tier)}: {plural(said['compared'], 'image')} compared"
        if not said["pairs"]:
            yield f"{looked}, no two alike"
        elif not said["nearest"]:
            yield f"{looked}, {plural(said['pairs'], 'pair')} alike, none across splits"
        else:
            across = "; ".join(_across(one) for one in said["nearest"])
            yield f"{looked}, {plural(said['pairs'], 'pair')} alike; nearest {across}"


def _pinned(pairs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for pair in pairs:
        tier = str(pair["tier"])
        yield f"{_TIERS.get(tier, tier)} {_across(pair)}"


def _across(pair: Mapping[str, Any]) -> str:
    return f"across {' and '.join(map(str, pair['sides']))} {number(pair['distance'])} apart"


def _not_looked_for(tiers: Sequence[str]) -> list[str]:
    return [_TIERS.get(tier, tier) for tier in tiers]


def _labels(labels: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for name in sorted({name for counts in labels.values() for name in counts}):
        yield f"{name}: " + ", ".join(f"{side} {number(labels[side][name])}" for side in labels)


def _untold(count: int) -> list[str]:
    return [f"{plural(count, 'label')} with more images"] if count else []


def _worst(sides: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for side, said in sides.items():
        off = f", {abs(said['deviation']):.1%} too {'many' if said['deviation'] > 0 else 'few'}"
        images = plural(said["images"], "image")
        yield f"{side}: {images} of {said['label']} where its share is {number(said['asked'])}" + (
            off if said["deviation"] else ""
        )


def _findings(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for said in findings:
        asked = f"at least {number(said['at-least'])}" if "at-least" in said else f"at most {number(said['at-most'])}"
        yield f"{said['split']} has {number(said['images'])} of {said['label']}, and {asked} are asked for"


def _conflicts(counts: Mapping[str, int]) -> list[str]:
    words = {"quarantined": ("new image", "kept out of every split"), "demoted": ("image", "taken out of a split")}
    return [f"{plural(counts[what], noun)} {done}" for what, (noun, done) in words.items() if counts.get(what)]


def _groups(rules: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for rule, said in rules.items():
        astride = f"; {number(said['astride'])} lie on several sides since before the rule" if said["astride"] else ""
        yield f"{rule}: {plural(said['groups'], 'group')}, the largest of {plural(said['largest'], 'image')}{astride}"


_TOLD: Mapping[str, tuple[str, Callable[[Any], Iterable[str]]]] = {
    "tiers": ("Leaks", _leaks),
    "pinned-apart": ("Put apart by people", _pinned),
    "not-looked-for": ("Not looked for", _not_looked_for),
    "images": ("Images", _nothing),
    "labels": ("Labels", _labels),
    "labels-not-told": ("Labels not told", _untold),
    "worst": ("Farthest from what was asked", _worst),
    "findings": ("Too few, too many", _findings),
    "conflicts": ("Conflicts", _conflicts),
    "groups": ("Groups", _groups),
    "folds": ("Images in each fold", _plainly),
}
"""By member of the certificate, in the order of the page; how many images each side has, the roles say already."""
