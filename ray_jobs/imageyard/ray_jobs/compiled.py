"""Functions compiled by numba, once for each machine: what was compiled is kept beside the module or in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`function` in machine code, which other threads may run beside; it takes numbers and arrays alone."""
    return cast(F, njit(nogil=True, cache=True)(function))


def compiled_in_any_order(function: F) -> F:
    """The same, where sums may be taken in any order: of whole numbers, which come to the same."""
    return cast(F, njit(nogil=True, cache=True, fastmath={"reassoc"})(function))


def _popcount(typing: Any, word: Any) -> Any:
    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), made


popcount: Any = intrinsic(_popcount)
"""The number of ones in a uint64; for compiled functions only."""
