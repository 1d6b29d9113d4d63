"""A run that does not fit: halved, remembered, and refused by name when one image alone is too much."""

from __future__ import annotations

import pytest
import torch

from imageyard.ray_jobs.models.halving import Halving, out_of_memory

ABSURD = 1 << 50
"""Bytes that no machine has."""


def real_shortage() -> BaseException:
    """What torch raises on a CPU when memory is short."""
    try:
        torch.empty(ABSURD, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError("it had them")


def at_most(fits: int, asked: list[int]) -> object:
    """A model that fits `fits` images into memory, and notes the sizes that it was asked for."""

    def call(part: slice, size: int) -> list[int]:
        asked.append(size)
        if size > fits:
            torch.empty(ABSURD, dtype=torch.uint8)
        return list(range(part.start, part.stop))

    return call


@pytest.mark.parametrize(
    ("size", "fits", "count", "asked", "left"),
    [
        (8, 8, 8, [8], 8),
        (8, 4, 8, [8, 4, 4], 4),
        (8, 2, 5, [8, 4, 2, 2, 2], 2),
        (3, 1, 3, [3, 1, 1, 1], 1),
        (8, 8, 3, [8], 8),
        (8, 8, 0, [], 8),
    ],
)
def test_a_run_that_does_not_fit_is_halved_until_it_does(
    size: int, fits: int, count: int, asked: list[int], left: int
) -> None:
    seen: list[int] = []
    halving = Halving(size, what="model")
    parts = halving.run(count, at_most(fits, seen))  # type: ignore[arg-type]  # it is such a function
    assert [number for part in parts for number in part] == list(range(count))
    assert (seen, halving.size) == (asked, left)


def test_the_size_that_fits_is_remembered() -> None:
    seen: list[int] = []
    halving = Halving(8, what="model")
    for _ in range(2):
        halving.run(4, at_most(2, seen))  # type: ignore[arg-type]  # it is such a function
    assert seen == [8, 4, 2, 2, 2, 2]


def test_one_image_that_does_not_fit_is_an_error_that_names_the_model() -> None:
    with pytest.raises(MemoryError, match="florence: one image alone does not fit") as caught:
        Halving(2, what="florence").run(2, at_most(0, []))  # type: ignore[arg-type]  # it is such a function
    assert "\n" not in str(caught.value)


def test_what_a_run_held_is_free_before_it_is_tried_again() -> None:
    class Held:
        pass

    held: list[int] = []
    alive: list[int] = []

    def call(_: slice, size: int) -> None:
        import weakref

        thing = Held()
        weakref.finalize(thing, held.append, size)
        if size > 1:
            torch.empty(ABSURD, dtype=torch.uint8)

    Halving(2, what="model", release=lambda: alive.append(len(held))).run(1, call)
    assert alive == [1]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (real_shortage(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_only_a_shortage_of_memory_counts(error: BaseException, short: bool) -> None:
    assert out_of_memory(error) is short


def test_another_error_is_raised_as_it_is_and_nothing_is_halved() -> None:
    def broken(part: slice, size: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    halving = Halving(8, what="model")
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        halving.run(8, broken)
    assert halving.size == 8


def test_a_runtime_has_its_own_errors_and_signs() -> None:
    class RuntimesOwnError(Exception):
        pass

    def call(_: slice, size: int) -> int:
        if size > 2:
            raise RuntimesOwnError("Failed to allocate memory for requested buffer")
        return size

    halving = Halving(
        4, what="model", faults=(RuntimesOwnError,), sign=lambda error: "Failed to allocate" in str(error)
    )
    assert halving.run(4, call) == [2, 2]
