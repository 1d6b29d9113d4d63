"""Words of tags of which a picture has one, and the tags that tell why it may have several."""

from __future__ import annotations

HAIR = (
    *("aqua", "black", "blonde", "blue", "brown", "dark blue", "dark green", "gray", "green", "grey", "light blue"),
    *("light brown", "light green", "light purple", "orange", "pink", "platinum blonde", "purple", "red", "silver"),
    *("white", "yellow"),
)
"""Colours of hair."""
EYES = (
    *("amber", "aqua", "black", "blue", "brown", "dark blue", "dark green", "golden", "gray", "green", "grey", "hazel"),
    *("light blue", "light brown", "light green", "light purple", "orange", "pink", "purple", "red", "silver", "white"),
    "yellow",
)
"""Colours of eyes."""
SEVERAL_HAIR = (
    *("multicolored hair", "two-tone hair", "gradient hair", "streaked hair", "split-color hair"),
    *("colored inner hair", "colored tips", "rainbow hair", "highlights"),
)
SEVERAL_EYES = ("heterochromia", "multicolored eyes", "two-tone eyes", "gradient eyes", "rainbow eyes")
VIEWS = "multiple views"
"""One person or place is there more than once."""
OPENINGS = ("window", "door")
"""Through which a picture of the inside has the outside in it."""


def numbers(one: str) -> tuple[str, ...]:
    """The numbers of a kind of people from two on: `2girls` … `6+girls`."""
    return tuple(f"{number}{one}s" for number in ("2", "3", "4", "5", "6+"))
