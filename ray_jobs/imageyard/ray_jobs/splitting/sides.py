"""The sides of a split, the weakest first: an image may go to a stronger side, never back to a weaker one."""

from __future__ import annotations

SIDES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
HELD_OUT = (TEST, VALIDATION)
"""In the order in which they are drawn, so that asking for a validation set draws no other test set."""
NONE = -1
"""Not placed, or not yet."""
OUT = -2
"""Kept out of every side by a person's word."""


def side_of(name: object) -> int:
    """The number of a side's name; NONE if it is not one."""
    return SIDES.index(name) if isinstance(name, str) and name in SIDES else NONE
