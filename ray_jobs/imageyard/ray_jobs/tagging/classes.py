"""The class index of a tag that no model has: the same for one name in every line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from imageyard.ray_jobs.tag_text import normal

FIRST = 2**30
"""Indices from here on are of names; those of a model's labels lie below."""


def class_index(name: str, taken: Mapping[int, str]) -> int:
    """An index from 2**30 up to 2**31 - 1 for `name`, by the sha256 of its normal form.

    `taken` are the names of the same line by index; one that another name has is passed over.
    """
    form = normal(name)
    place = _place(form)
    while FIRST + place in taken and normal(taken[FIRST + place]) != form:
        place = (place + 1) % FIRST
    return FIRST + place


@lru_cache(maxsize=65536)
def _place(form: str) -> int:
    return int.from_bytes(hashlib.sha256(form.encode()).digest()[:4], "big") % FIRST
