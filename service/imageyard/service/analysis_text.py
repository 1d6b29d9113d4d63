"""How commands that count write images, shares and what people wrote, on one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from imageyard.manifests.errors import VersionError
from imageyard.manifests.version import ROLES, Role
from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.report_text import printable

SHOWN = 3
"""Names of images in one cell."""
_BREAKS = dict.fromkeys(map(ord, "\n\r\t"), " ")


def plain(words: str) -> str:
    """`words` on one line, and without what a terminal would obey."""
    return printable(words.translate(_BREAKS))


def some(affected: Affected, shown: int = SHOWN) -> str:
    """The first few names, and how many more there are."""
    names = [plain(name) for name in affected.names[:shown]]
    more = affected.images - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


def times(counted: Sequence[tuple[str, int]], shown: int = SHOWN) -> str:
    """The first few things with how often they come."""
    words = ", ".join(f"{plain(thing)} {count:,}" for thing, count in counted[:shown])
    return words + (" …" if len(counted) > shown else "")


def roles_of(role: str | None) -> tuple[Role, ...]:
    """The role that was asked for, none for all but the rejected. Raises VersionError for one that is not known."""
    if role is None:
        return ()
    for known in ROLES:
        if known == role:
            return (known,)
    raise VersionError(f"there is no role {role!r}; roles are {', '.join(get_args(Role))}")
