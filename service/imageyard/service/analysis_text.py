"""How commands that count write images, shares and what people wrote, on one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from imageyard.manifests.errors import RecipeError, VersionError
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.report_text import printable
from imageyard.ray_jobs.selecting import condition

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


def told(version: Version, role: str | None, where: str | None) -> str:
    """What is being counted, in words."""
    of = f"version {version.number}" + (f", role {role}" if role else "")
    return of + (f", where {plain(where)}" if where else "")


def condition_of(text: str | None) -> Callable[[Sample], bool] | None:
    """What a condition says of a sample, none for none. Raises RecipeError for one that is not understood."""
    if text is None:
        return None
    try:
        return condition(text).matches
    except ValueError as error:
        raise RecipeError(f"--where {text!r}: {error}") from error


def roles_of(role: str | None) -> tuple[Role, ...]:
    """The role that was asked for, none for all but the rejected. Raises VersionError for one that is not known."""
    if role is None:
        return ()
    for known in ROLES:
        if known == role:
            return (known,)
    raise VersionError(f"there is no role {role!r}; roles are {', '.join(get_args(Role))}")
