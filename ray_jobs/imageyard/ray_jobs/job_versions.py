"""Which version a job has committed, by the versions themselves."""

from __future__ import annotations

from imageyard.manifests.errors import NotFoundError
from imageyard.manifests.store import Store
from imageyard.manifests.version import decode_version, version_key

NEAR = 8
"""Versions that are looked at: a job has its own soon after the one that it began with, or is still at work."""


def near(store: Store, job: str, parent: int | None) -> int | None:
    """The number of the version that `job`, begun when `parent` was the newest, has made, if it is among the next."""
    for number in range((parent or 0) + 1, (parent or 0) + 1 + NEAR):
        key = version_key(number)
        try:
            version = decode_version(store.get(key), where=store.address(key))
        except NotFoundError:
            return None
        if version.job == job:
            return number
    return None
