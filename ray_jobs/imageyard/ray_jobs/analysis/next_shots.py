"""What to shoot or find next, most needed first, each with its reason in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from imageyard.ray_jobs.analysis.axes import Axis, Cross, Seen
from imageyard.ray_jobs.analysis.shot_plan import AxisPlan, Profile

TOGETHER = 2
"""A combination that no image shows is told if so many would be expected by chance."""
CROSSES = 3
"""Empty combinations that are told of each pair of axes."""
SUGGESTED = 3


@dataclass(frozen=True)
class Shot:
    """One thing to shoot or find next."""

    sentence: str
    """What, and why in numbers: `no picture from behind (1 to 2 wanted)`."""
    axis: str | None
    """None where any picture will do."""
    value: str | None
    """None where any other value of the axis will do."""
    have: int
    need: int
    """Pictures to add, at least."""


@dataclass(frozen=True)
class Size:
    """Whether there are enough images."""

    images: int
    """Images counted."""
    effective: int | None
    """Different looks among them; None where the version has no embeddings."""
    least: int
    most: int
    """What the profile wants."""
    severity: Literal["error", "warning", "info"] | None
    """`error` below half of the least, `warning` below the least, `info` above the most; None where it is right."""
    reason: str
    """A sentence."""


def size_of(profile: Profile, images: int, effective: int | None) -> Size:
    """Whether `images` are enough for `profile`; near-identical ones count once where looks are known."""
    counted = images if effective is None else min(images, effective)
    wanted = f"{profile.least} to {profile.most} wanted for a {profile.name}"
    told = f"{images} image{'' if images == 1 else 's'}"
    severity: Literal["error", "warning", "info"] | None = None
    if images < profile.least:
        severity = "error" if 2 * images < profile.least else "warning"
    elif counted < profile.least:
        severity, told = "warning", f"{told}, but only {counted} different looks"
    elif images > profile.most:
        severity, wanted = "info", f"{wanted}; look for repetition"
    return Size(images, effective, profile.least, profile.most, severity, f"{told} ({wanted})")


def next_shots(profile: Profile, size: Size, axes: Sequence[Axis], crosses: Sequence[Cross]) -> tuple[Shot, ...]:
    """The list: pictures of any kind if there are too few, then by how much of what is wanted is missing, and last
    combinations that no image shows."""
    plans = {plan.name: plan for plan in profile.axes}
    needs: list[tuple[float, Shot]] = []
    for axis in axes:
        if axis.known:
            needs += _missing(plans[axis.name], axis)
            needs += _kinds(plans[axis.name], axis)
            needs += _excess(plans[axis.name], axis, size.images)
            needs += _alone(profile, axis, size.images)
    needs.sort(key=lambda need: -need[0])  # ties stay in the order of the profile
    return (*_more(size), *(shot for _, shot in needs), *(shot for one in crosses for shot in _empty(one, axes, size)))


def _more(size: Size) -> Iterator[Shot]:
    counted = size.images if size.effective is None else min(size.images, size.effective)
    if counted < size.least:
        need = size.least - counted
        yield Shot(f"{need} more picture{_s(need)} of any kind: {size.reason}", None, None, counted, need)


def _missing(plan: AxisPlan, axis: Axis) -> Iterator[tuple[float, Shot]]:
    phrases = {value.name: value.phrase or f"with {plan.name} {value.name}" for value in plan.values}
    for seen in axis.values:
        if seen.missing and seen.wanted:
            low, high = seen.wanted
            have = f"{seen.images or 'no'} picture{_s(seen.images or 1)}"
            said = f"{have} {phrases[seen.value]} ({low} to {high} wanted)"
            yield seen.missing / low, Shot(said, plan.name, seen.value, seen.images, seen.missing)


def _kinds(plan: AxisPlan, axis: Axis) -> Iterator[tuple[float, Shot]]:
    if axis.wanted_distinct is None or axis.distinct >= axis.wanted_distinct:
        return
    need = axis.wanted_distinct - axis.distinct
    seen = ", ".join(f"{value.value} {value.images}" for value in axis.values if value.images)
    said = f"{plan.name}: {axis.distinct or 'no'} kind{_s(axis.distinct or 1)}" + (f" ({seen})" if seen else "")
    others = _others(plan, axis)
    yield (
        need / axis.wanted_distinct,
        Shot(f"{said}, at least {axis.wanted_distinct} wanted; try {others}", plan.name, None, axis.distinct, need),
    )


def _excess(plan: AxisPlan, axis: Axis, images: int) -> Iterator[tuple[float, Shot]]:
    for excess in axis.excess:
        need = ceil(excess.images / excess.threshold - images - 1e-9)
        said = (
            f"{plan.name}: {excess.value} on {_percent(excess.share)} of the pictures (at most "
            f"{_percent(excess.threshold)} wanted); add {need} without, such as {_others(plan, axis, excess.value)}"
        )
        over = (excess.share - excess.threshold) / (1 - excess.threshold)
        yield over, Shot(said, plan.name, None, images - excess.images, need)


def _alone(profile: Profile, axis: Axis, images: int) -> Iterator[tuple[float, Shot]]:
    if axis.name != "people" or profile.solo is None:
        return
    one = next((seen for seen in axis.values if seen.value == "one"), Seen("one", 0, 0.0, ()))
    if one.share < profile.solo:
        need = ceil((profile.solo * images - one.images) / (1 - profile.solo) - 1e-9)
        said = (
            f"people: one person alone on {_percent(one.share)} of the pictures (at least {_percent(profile.solo)} "
            "wanted); crop or replace those of several"
        )
        yield 1 - one.share / profile.solo, Shot(said, axis.name, "one", one.images, need)


def _empty(one: Cross, axes: Sequence[Axis], size: Size) -> Iterator[Shot]:
    count = {(axis.name, seen.value): seen.images for axis in axes for seen in axis.values}
    told = 0
    for row, column in one.empty:
        first, second = count.get((one.first, row), 0), count.get((one.second, column), 0)
        if told < CROSSES and first * second >= TOGETHER * size.images:
            told += 1
            said = f"no picture is both {row} ({first}) and {column} ({second})"
            yield Shot(f"{one.first} and {one.second}: {said}", one.first, f"{row} + {column}", 0, 1)


def _others(plan: AxisPlan, axis: Axis, but: str = "") -> str:
    """Values to try: of those that are not `but` the ones with the fewest images, in the order of the profile."""
    have = {seen.value: seen.images for seen in axis.values}
    untold = {seen.value for seen in axis.values if not seen.tellable}
    names = [value.name for value in plan.values if value.name not in (but, *untold)]
    return ", ".join(sorted(names, key=lambda name: have.get(name, 0))[:SUGGESTED])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
