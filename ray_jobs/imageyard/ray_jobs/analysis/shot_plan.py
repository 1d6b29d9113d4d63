"""What a shot list is: axes, the words that tell their values, and how many pictures are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MOST = 0.8
"""The share above which a value is too frequent, where the sources name none."""
STRAY = 0.15
"""A second hair colour, or medium, on more images than this share is no slip: the set disagrees with itself."""


@dataclass(frozen=True)
class Value:
    """One value of an axis."""

    name: str
    words: tuple[str, ...] = ()
    """Tags or phrases, in normal form, any of which says it; unset, the name itself."""
    wanted: tuple[int, int] | None = None
    """At least and at most so many pictures; None for no number."""
    most: float | None = None
    """The share of images above which it is too frequent; None for the axis's own."""
    phrase: str | None = None
    """The value as a sentence says it, such as `from behind`; unset, `with <axis> <name>`."""
    taggers: bool = True
    """False for what taggers of Danbooru's vocabulary have no tag for, so that only captions can tell it."""

    @property
    def said_by(self) -> tuple[str, ...]:
        return self.words or (self.name,)


@dataclass(frozen=True)
class AxisPlan:
    """One thing that should vary over a set, or stay the same."""

    name: str
    values: tuple[Value, ...]
    distinct: int | None = None
    """So many different values are wanted, of sets of `distinct_from` images on."""
    distinct_from: int = 15
    most: float | None = MOST
    """The share above which one value is too frequent; None where it may be on all."""
    constant: bool = False
    """True where one value should be on all images: a second one on more than STRAY of them is told."""
    solo: bool = False
    """True where only pictures of one person count."""


@dataclass(frozen=True)
class Profile:
    """The shot list of one kind of training set."""

    name: str
    least: int
    most: int
    """How many images."""
    axes: tuple[AxisPlan, ...]
    core: tuple[str, ...]
    """Axes without which nothing can be said: two of them must be known."""
    crosses: tuple[tuple[str, str], ...] = ()
    """Axes to be looked at together."""
    solo: float | None = None
    """The least share of pictures with one person."""
    remove: tuple[Value, ...] = ()
    """What one may want to take out."""


def extended(profile: Profile, axes: Sequence[AxisPlan]) -> Profile:
    """`profile` with further axes; of an axis that it has already, with further values and words."""
    plans = {plan.name: plan for plan in profile.axes}
    for axis in axes:
        old = plans.get(axis.name)
        plans[axis.name] = axis if old is None else replace(old, values=_merged(old.values, axis.values))
    return replace(profile, axes=tuple(plans.values()))


def _merged(old: Sequence[Value], new: Sequence[Value]) -> tuple[Value, ...]:
    values = {value.name: value for value in old}
    for value in new:
        known = values.get(value.name)
        values[value.name] = (
            value
            if known is None
            else replace(known, words=(*known.words, *value.words), wanted=value.wanted or known.wanted)
        )
    return tuple(values.values())
