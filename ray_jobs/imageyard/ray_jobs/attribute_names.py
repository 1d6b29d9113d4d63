"""The names of attributes that a recipe may make up: as Ground Truth has them, and none that is taken."""

from __future__ import annotations

import re

LONGEST = 63
_NAME = re.compile(r"[a-zA-Z0-9](?:-*[a-zA-Z0-9])*")
_METADATA = "-metadata"
_TAKEN = frozenset(
    [
        *("source", "source-ref", "content-sha256", "origin", "rejection", "split", "split-conflict", "fold"),
        *("alike", "caption", "tags", "text", "rating"),
    ]
)


def made_up(name: str) -> str:
    """`name`, if a recipe may write an attribute of it.

    Raises ValueError for one that Ground Truth does not take, that is the metadata of another, or that has a meaning.
    """
    if not (len(name) <= LONGEST and _NAME.fullmatch(name)):
        raise ValueError(f"{name!r} is no name of an attribute; write up to {LONGEST} letters, digits and hyphens")
    if name in _TAKEN or name.lower().endswith(_METADATA):
        raise ValueError(f"`{name}` has a meaning of its own in a manifest; write another name")
    return name
