"""A run that does not fit into memory is done again in halves, and the size that fits is remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")

SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed", "bad_alloc")
"""What torch says, in lower case: its CUDA allocator, its CPU allocator, cuBLAS and cuDNN, and C++."""


def out_of_memory(error: BaseException) -> bool:
    """Whether `error`, of torch or of Python, says that memory was short."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


class Halving:
    """How many images fit into one run; the size only ever shrinks. Safe in threads."""

    size: int
    """Images a run, from now on."""

    def __init__(
        self,
        size: int,
        *,
        what: str,
        faults: tuple[type[Exception], ...] = (),
        sign: Callable[[BaseException], bool] = out_of_memory,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin with `size`, at least 1; `what` names the model in the error.

        Errors are looked at by `sign` if they are MemoryError, RuntimeError or one of `faults`. `release` is called
        after each that says that memory was short, once all that the run held is free.
        """
        self.size = size
        self._what = what
        self._caught: tuple[type[BaseException], ...] = (MemoryError, RuntimeError, *faults)
        self._sign = sign
        self._release = release
        self._lock = threading.Lock()

    def run(self, count: int, call: Callable[[slice, int], R]) -> list[R]:
        """What `call` gives for the parts of `count` images, in order.

        It is called with the part and the size of a run, which the part may be short of: what makes all runs one
        size fills it up to that. Raises MemoryError if even one image does not fit, and whatever else `call` raises.
        """
        results: list[R] = []
        at = 0
        while at < count:
            size = self.size
            part = slice(at, min(at + size, count))
            short = None
            try:
                results.append(call(part, size))
            except self._caught as error:
                if not self._sign(error):
                    raise
                short = " ".join(str(error).split())[:300] or type(error).__name__
            if short is None:
                at = part.stop
                continue
            # Only here, when the error and with it the frames that hold the run's arrays are gone.
            self._release()
            if size == 1:
                raise MemoryError(
                    f"{self._what}: one image alone does not fit into memory ({short}); take a smaller model, "
                    "load fewer models at once, or give the worker more memory"
                )
            with self._lock:
                self.size = min(self.size, size // 2)
        return results
