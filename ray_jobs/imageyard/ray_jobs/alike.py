"""Whether two small pictures show the same thing, one perhaps cropped, framed, turned a little, toned or written on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING

from imageyard.ray_jobs.extractors.phash import SIDE

if TYPE_CHECKING:
    import numpy as np

HALF = SIDE // 2
SMALLEST = 13
"""Of HALF: the side of the smallest part that is looked for, four fifths of the other picture."""
ANGLE = 4.0
"""Degrees: parts are also compared turned by so much; half of it either way costs little."""
WINDOW = 7
"""Pixels across each of the places where pictures are compared."""
STEP = 2
"""Rows from one row of places to the next."""
NOISE = 4.0
"""Variance, in squared levels, that saving again and reducing leave where there is nothing to see."""
ENDS = 5
"""Of SIDE: rows at the top and at the bottom that may be covered by text."""
EVIDENCE = 0.05
"""Share of the places that must show something, for those that do to be believed."""

Taps = tuple["np.ndarray", "np.ndarray"]
"""Which pixels make up a pixel, and their weights."""
Place = tuple[int, int, int, int]
"""Rows, columns, top and left of a rectangle of a picture."""
Span = tuple[int, int]
"""From and to, both included."""


def agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far the pictures of each pair agree: float32 of shape (n,), -1 to 1 in steps of 0.0001.

    `a` and `b` are uint8 of shape (n, SIDE, SIDE), the `gray` facts of n pairs. 1 for equal pictures that show
    anything; 0 where at most EVIDENCE of the common area does. A pair's value depends neither on the other pairs, nor
    on its order, nor on the processor: all that is summed up in no fixed order is whole numbers.

    It is a mean of Pearson correlations, one for each window of WINDOW x WINDOW pixels of the common area, of which
    all with texture count alike. So a change of tone costs nothing, text costs what it covers, and a frame, bar or
    backdrop that different pictures share gains little, which for one correlation of all pixels is most of the picture.

    The common area is both pictures whole, or one as a part of the other, whichever agrees better. The part is a
    rectangle anywhere in it, of 0.78 to 1 of each side, upright or turned by ANGLE either way, that correlates best:
    looked for at half size first, in both directions, and then in the better one. Of text at the top or bottom: the
    better of all rows and those without ENDS at both ends counts.
    """
    import numpy as np

    if a.shape != b.shape or a.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"pairs of pictures of {SIDE} x {SIDE} are compared, not {a.shape} with {b.shape}")
    result = np.empty(len(a), np.float32)
    _compiled()(a, b, _shrinking(HALF), _shrinking(SIDE), (_turning(-ANGLE), _turning(ANGLE)), result)
    return result


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    """`_agreements` as machine code, with all that it calls; numba is loaded here, and its code kept on disk."""
    import numpy as np
    from numba import njit

    scope = globals() | {"np": np}  # where each finds numpy and the compiled ones that it calls
    kernels = (_dot, _total, _levels, _halved, _turned, _narrowed, _shorten, _sums, _best, _refined, _boxes, _local)
    for kernel in (*kernels, _as_part, _agreements):
        order = {"reassoc"} if kernel in (_dot, _total) else set()  # any, as their sums are exact
        copy = FunctionType(kernel.__code__, scope)
        scope[kernel.__name__] = njit(cache=True, nogil=True, fastmath=order)(copy)
    compiled: Callable[..., None] = scope[_agreements.__name__]
    return compiled


@lru_cache(maxsize=2)
def _shrinking(side: int) -> Taps:
    """For each length up to `side` and each pixel of it: the first of two pixels that it lies between, and weights."""
    import numpy as np

    lengths = np.arange(1, side + 1)[:, None]
    at = np.clip((np.arange(side) + 0.5) * side / lengths - 0.5, 0, side - 1)
    first = np.minimum(at.astype(np.int64), side - 2)
    return first, np.stack([1 - (at - first), at - first], axis=-1).astype(np.float32)


@lru_cache(maxsize=2)
def _turning(degrees: float) -> Taps:
    """For each pixel of a picture turned about its centre: the first of four that it lies between, and weights."""
    import numpy as np

    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    centre, last = (SIDE - 1) / 2, SIDE - 1
    down, right = np.clip(cosine * y - sine * x + centre, 0, last), np.clip(sine * y + cosine * x + centre, 0, last)
    row, column = np.minimum(down.astype(np.int64), last - 1), np.minimum(right.astype(np.int64), last - 1)
    below, beside = down - row, right - column
    weights = np.stack(
        [(1 - below) * (1 - beside), (1 - below) * beside, below * (1 - beside), below * beside], axis=-1
    )
    return (row * SIDE + column).reshape(-1), weights.reshape(-1, 4).astype(np.float32)


def _agreements(
    a: np.ndarray, b: np.ndarray, coarse: Taps, fine: Taps, turns: tuple[Taps, Taps], result: np.ndarray
) -> None:
    spans = (SMALLEST, HALF), (SMALLEST, HALF), (0, HALF), (0, HALF)
    for pair in range(len(a)):
        one, other = _levels(a[pair]), _levels(b[pair])
        small, smaller = _halved(one), _halved(other)
        best = _local(one, other, (SIDE, SIDE, 0, 0))
        ahead, place = _best(small, smaller, coarse, spans)
        back, place_back = _best(smaller, small, coarse, spans)
        if ahead >= back:
            best = max(best, _as_part(one, other, place, fine, turns))
        if back >= ahead:
            best = max(best, _as_part(other, one, place_back, fine, turns))
        result[pair] = np.floor(best * 10000 + 0.5) / 10000


def _levels(picture: np.ndarray) -> np.ndarray:
    """Pixels as float32, less 128, of shape (SIDE + 1, SIDE): below the last row there is one of zeros."""
    levels = np.zeros((SIDE + 1, SIDE), np.float32)
    for y in range(SIDE):
        for x in range(SIDE):
            levels[y, x] = np.float32(picture[y, x]) - np.float32(128)
    return levels


def _halved(levels: np.ndarray) -> np.ndarray:
    """`levels` at half the size, in whole numbers, with a row of zeros below them too."""
    half = np.zeros((HALF + 1, HALF), np.float32)
    for y in range(HALF):
        for x in range(HALF):
            upper = levels[2 * y, 2 * x] + levels[2 * y, 2 * x + 1]
            lower = levels[2 * y + 1, 2 * x] + levels[2 * y + 1, 2 * x + 1]
            half[y, x] = np.floor((upper + lower) * np.float32(0.25) + np.float32(0.5))
    return half


def _as_part(part: np.ndarray, whole: np.ndarray, start: Place, taps: Taps, turns: tuple[Taps, Taps]) -> float:
    """How far `part` agrees with the rectangle of `whole` that it fits best, near `start`, which is for half sizes."""
    correlation, place = _refined(part, whole, taps, (2 * start[0], 2 * start[1], 2 * start[2], 2 * start[3]))
    rows, columns, top, left = place
    upright = part
    for turn in turns:
        turned = _turned(upright, turn)
        found, _ = _best(turned, whole, taps, ((rows, rows), (columns, columns), (top, top), (left, left)))
        if found > correlation:
            correlation, part = found, turned
    _, place = _refined(part, whole, taps, place)
    shrunk = np.zeros(part.shape, np.float32)
    _shorten(_narrowed(part, place[1], taps), place[0], taps, shrunk)
    return _local(shrunk, whole, place)


def _refined(part: np.ndarray, whole: np.ndarray, taps: Taps, place: Place) -> tuple[float, Place]:
    """A better place next to `place`: first up and down, then to the sides."""
    rows, columns, top, left = place
    _, place = _best(part, whole, taps, ((rows - 1, rows + 1), (columns, columns), (top - 1, top + 1), (left, left)))
    rows, columns, top, left = place
    return _best(part, whole, taps, ((rows, rows), (columns - 1, columns + 1), (top, top), (left - 1, left + 1)))


def _best(part: np.ndarray, whole: np.ndarray, taps: Taps, spans: tuple[Span, Span, Span, Span]) -> tuple[float, Place]:
    """The place in `whole`, within spans of rows, columns, top and left, where `part` correlates best, and how well."""
    side = whole.shape[1]
    flat = whole.reshape(-1)
    sums, squares = _sums(whole)
    shrunk = np.zeros(part.shape, np.float32)
    best, place = -2.0, (side, side, 0, 0)
    for columns in range(spans[1][0], min(spans[1][1], side) + 1):
        narrow = _narrowed(part, columns, taps)
        for rows in range(spans[0][0], min(spans[0][1], side) + 1):
            _shorten(narrow, rows, taps, shrunk)
            template = shrunk.reshape(-1)[: rows * side]  # zeros to the right: it picks its columns out of full rows
            n = float(rows * columns)
            total = _total(template)
            spread = n * _dot(template, template) - total * total
            for top in range(max(spans[2][0], 0), min(spans[2][1], side - rows) + 1):
                for left in range(max(spans[3][0], 0), min(spans[3][1], side - columns) + 1):
                    start = top * side + left
                    product = _dot(template, flat[start : start + rows * side])
                    right, bottom = left + columns, top + rows
                    under = _total(sums[bottom, left:right]) - _total(sums[top, left:right])
                    square = _total(squares[bottom, left:right]) - _total(squares[top, left:right])
                    spreads = spread * (n * square - under * under)
                    if spreads > 0:
                        correlation = (n * product - total * under) / np.sqrt(spreads)
                        if correlation > best:
                            best, place = correlation, (rows, columns, top, left)
    return best, place


def _sums(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column, the sums and the sums of squares of all levels above each row."""
    rows, columns = levels.shape
    sums, squares = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for y in range(rows - 1):
        for x in range(columns):
            sums[y + 1, x] = sums[y, x] + levels[y, x]
            squares[y + 1, x] = squares[y, x] + levels[y, x] * levels[y, x]
    return sums, squares


def _narrowed(levels: np.ndarray, columns: int, taps: Taps) -> np.ndarray:
    """`levels` shrunk to fewer columns, with zeros to the right of them."""
    first, weights = taps[0][columns - 1], taps[1][columns - 1]
    narrow = np.zeros(levels.shape, np.float32)
    for x in range(columns):
        at, one, other = first[x], weights[x, 0], weights[x, 1]
        for y in range(len(levels) - 1):
            narrow[y, x] = one * levels[y, at] + other * levels[y, at + 1]
    return narrow


def _shorten(levels: np.ndarray, rows: int, taps: Taps, shrunk: np.ndarray) -> None:
    """`levels` shrunk to fewer rows, in whole numbers, into the upper rows of `shrunk`."""
    first, weights = taps[0][rows - 1], taps[1][rows - 1]
    for y in range(rows):
        at, one, other = first[y], weights[y, 0], weights[y, 1]
        for x in range(levels.shape[1]):
            shrunk[y, x] = np.floor(one * levels[at, x] + other * levels[at + 1, x] + np.float32(0.5))


def _turned(levels: np.ndarray, taps: Taps) -> np.ndarray:
    """`levels` turned, in whole numbers; what was outside is as the nearest pixel inside."""
    first, weights = taps
    turned = np.zeros(levels.shape, np.float32)
    flat, result = levels.reshape(-1), turned.reshape(-1)
    for i in range(len(first)):
        upper = weights[i, 0] * flat[first[i]] + weights[i, 1] * flat[first[i] + 1]
        lower = weights[i, 2] * flat[first[i] + SIDE] + weights[i, 3] * flat[first[i] + SIDE + 1]
        result[i] = np.floor(upper + lower + np.float32(0.5))
    return turned


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """The sum of products of whole numbers, none above 2 ** 24."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return float(total)


def _total(a: np.ndarray) -> float:
    """The sum of whole numbers, none above 2 ** 24."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i]
    return float(total)


def _local(part: np.ndarray, whole: np.ndarray, place: Place) -> float:
    """The mean correlation of the windows of `part` with those of a place in `whole`; 0 without evidence."""
    rows, columns, top, left = place
    one, other = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    for y in range(rows):
        for x in range(columns):
            one[y, x] = part[y, x]
            other[y, x] = whole[top + y, left + x]
    first, second = _boxes(one), _boxes(other)
    firsts, seconds, products = _boxes(one * one), _boxes(other * other), _boxes(one * other)
    n = WINDOW * WINDOW
    noise = NOISE * n * n
    down, across = first.shape
    weights, agreed = np.zeros(down), np.zeros(down)
    weight, weighted = np.empty(across), np.empty(across)
    for y in range(down):
        for x in range(across):
            a, b = float(first[y, x]), float(second[y, x])
            spread, spreads = n * firsts[y, x] - a * a, n * seconds[y, x] - b * b
            seen = max(spread, spreads)
            weight[x] = seen / (seen + noise)
            shared = n * products[y, x] - a * b + noise
            weighted[x] = weight[x] * shared / np.sqrt((spread + noise) * (spreads + noise))
        for x in range(across):
            weights[y] += weight[x]
            agreed[y] += weighted[x]
    ends = (rows * ENDS + SIDE // 2) // SIDE // STEP
    best = 0.0
    for cut in (0, ends):
        total = weights[cut : down - cut].sum()
        if total > EVIDENCE * down * across:
            best = max(best, agreed[cut : down - cut].sum() / total)
    return best


def _boxes(plane: np.ndarray) -> np.ndarray:
    """Sums over the windows inside `plane`, one at every column of every STEP-th row."""
    down, across = (plane.shape[0] - WINDOW) // STEP + 1, plane.shape[1] - WINDOW + 1
    boxes = np.empty((down, across), np.float32)
    line = np.empty(plane.shape[1], np.float32)
    for y in range(down):
        line[:] = plane[y * STEP]
        for step in range(1, WINDOW):
            for x in range(len(line)):
                line[x] += plane[y * STEP + step, x]
        for x in range(across):
            total = line[x]
            for step in range(1, WINDOW):
                total += line[x + step]
            boxes[y, x] = total
    return boxes
