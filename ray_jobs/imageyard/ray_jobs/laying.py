"""Laying one small picture over another: the loops behind `alike.agreement`, which numba compiles."""

from __future__ import annotations

import numpy as np

from imageyard.ray_jobs.compiled import compiled, compiled_in_any_order
from imageyard.ray_jobs.extractors.phash import SIDE

HALF = SIDE // 2
SMALLEST = 13
"""Of HALF: the side of the smallest part that is looked for, four fifths of the other picture."""
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

Turn = tuple[np.ndarray, np.ndarray]
"""Which pixels make up each pixel of a turned picture, and their weights."""
Span = tuple[int, int]
"""From and to, in half pixels."""


@compiled
def agreements(a: np.ndarray, b: np.ndarray, turns: tuple[Turn, Turn], result: np.ndarray) -> None:
    """Write the agreement of each pair to `result`; `turns` are the two ways in which a part may be turned."""
    for pair in range(len(a)):
        one, other = _levels(a[pair]), _levels(b[pair])
        best = _local(one, other, (0, 2 * SIDE), (0, 2 * SIDE))
        half, other_half = _halved(one), _halved(other)
        ahead, rows, columns = _coarsely(half, other_half)
        back, rows_back, columns_back = _coarsely(other_half, half)
        if ahead >= back:
            best = max(best, _as_part(one, other, rows, columns, turns))
        if back >= ahead:
            best = max(best, _as_part(other, one, rows_back, columns_back, turns))
        result[pair] = np.floor(best * 10000 + 0.5) / 10000


@compiled
def _levels(picture: np.ndarray) -> np.ndarray:
    """Pixels as float32, less 128, of shape (SIDE + 1, SIDE): below the last row there is one of zeros."""
    levels = np.zeros((SIDE + 1, SIDE), np.float32)
    for y in range(SIDE):
        for x in range(SIDE):
            levels[y, x] = np.float32(picture[y, x]) - np.float32(128)
    return levels


@compiled
def _halved(levels: np.ndarray) -> np.ndarray:
    """`levels` at half the size, in whole numbers, with a row of zeros below them too."""
    half = np.zeros((HALF + 1, HALF), np.float32)
    for y in range(HALF):
        for x in range(HALF):
            upper = levels[2 * y, 2 * x] + levels[2 * y, 2 * x + 1]
            lower = levels[2 * y + 1, 2 * x] + levels[2 * y + 1, 2 * x + 1]
            half[y, x] = np.floor((upper + lower) * np.float32(0.25) + np.float32(0.5))
    return half


@compiled
def _transposed(levels: np.ndarray) -> np.ndarray:
    """Rows for columns; the row of zeros stays below."""
    transposed = np.zeros(levels.shape, np.float32)
    for y in range(levels.shape[1]):
        for x in range(levels.shape[1]):
            transposed[y, x] = levels[x, y]
    return transposed


@compiled
def _as_part(part: np.ndarray, whole: np.ndarray, rows: Span, columns: Span, turns: tuple[Turn, Turn]) -> float:
    """How far `part` agrees with the rectangle of `whole` that it fits best, near to these rows and columns."""
    across = _transposed(whole)
    areas, areas_across = _areas(whole), _areas(across)
    _, rows = _finely(part, whole, areas, rows, columns, 2)
    correlation, columns = _finely(_transposed(part), across, areas_across, columns, rows, 2)
    upright = part
    for turn in turns:
        turned = _turned(upright, turn)
        found, _ = _finely(turned, whole, areas, rows, columns, 0)
        if found > correlation:
            correlation, part = found, turned
    _, rows = _finely(part, whole, areas, rows, columns, 1)
    _, columns = _finely(_transposed(part), across, areas_across, columns, rows, 1)
    fitted = np.zeros(part.shape, np.float32)
    _shorten(_narrowed(part, columns), rows, fitted)
    return _local(fitted, whole, rows, columns)


@compiled
def _coarsely(part: np.ndarray, whole: np.ndarray) -> tuple[float, Span, Span]:
    """Where in `whole` the `part` correlates best, both at half size: how well, and in which rows and columns."""
    flat = whole.reshape(-1)
    sums, squares = _areas(whole)
    shrunk = np.zeros(part.shape, np.float32)
    best, place = -2.0, (HALF, HALF, 0, 0)
    for width in range(SMALLEST, HALF + 1):
        narrow = _narrowed(part, (0, 2 * width))
        for height in range(SMALLEST, HALF + 1):
            _shorten(narrow, (0, 2 * height), shrunk)
            template = shrunk.reshape(-1)[: height * HALF]  # zeros to the right: it picks its columns out of full rows
            n = float(height * width)
            total, square = _total(template), _dot(template, template)
            for top in range(HALF - height + 1):
                for left in range(HALF - width + 1):
                    start, corners = top * HALF + left, (top, top + height, left, left + width)
                    product = _dot(template, flat[start : start + height * HALF])
                    correlation = _pearson(n, product, total, square, _area(sums, corners), _area(squares, corners))
                    if correlation > best:
                        best, place = correlation, (height, width, top, left)
    height, width, top, left = place
    return best, (4 * top, 4 * (top + height)), (4 * left, 4 * (left + width))


@compiled
def _finely(
    part: np.ndarray, whole: np.ndarray, areas: tuple[np.ndarray, np.ndarray], rows: Span, columns: Span, step: int
) -> tuple[float, Span]:
    """Rows of `whole`, each end moved by `step` or not, where `part` correlates best, and how well."""
    flat = whole.reshape(-1)
    sums, squares = areas
    narrow = _narrowed(part, columns)
    left, right = (columns[0] + 1) // 2, columns[1] // 2
    shrunk = np.zeros(part.shape, np.float32)
    best, found = -2.0, rows
    for start in range(max(rows[0] - step, 0), rows[0] + step + 1, max(step, 1)):
        for end in range(rows[1] - step, min(rows[1] + step, 2 * SIDE) + 1, max(step, 1)):
            _shorten(narrow, (start, end), shrunk)
            top, bottom = (start + 1) // 2, end // 2
            template = shrunk.reshape(-1)[top * SIDE : bottom * SIDE]
            n = float((bottom - top) * (right - left))
            product = _dot(template, flat[top * SIDE : bottom * SIDE])
            total, square, corners = _total(template), _dot(template, template), (top, bottom, left, right)
            correlation = _pearson(n, product, total, square, _area(sums, corners), _area(squares, corners))
            if correlation > best:
                best, found = correlation, (start, end)
    return best, found


@compiled
def _pearson(n: float, product: float, total: float, square: float, other_total: float, other_square: float) -> float:
    """The correlation of n pairs of numbers, of which these are the sums; -2 if either does not vary."""
    spreads = (n * square - total * total) * (n * other_square - other_total * other_total)
    if spreads <= 0:
        return -2.0
    return float((n * product - total * other_total) / np.sqrt(spreads))


@compiled
def _areas(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the levels, and of their squares, of all that lies above a row and to the left of a column."""
    side = levels.shape[1]
    sums, squares = np.zeros((side + 1, side + 1), np.float32), np.zeros((side + 1, side + 1), np.float32)
    for y in range(side):
        total, square = np.float32(0), np.float32(0)
        for x in range(side):
            total += levels[y, x]
            square += levels[y, x] * levels[y, x]
            sums[y + 1, x + 1] = sums[y, x + 1] + total
            squares[y + 1, x + 1] = squares[y, x + 1] + square
    return sums, squares


@compiled
def _area(areas: np.ndarray, corners: tuple[int, int, int, int]) -> float:
    """The sum within top, bottom, left and right."""
    top, bottom, left, right = corners
    return float(areas[bottom, right] - areas[top, right] - areas[bottom, left] + areas[top, left])


@compiled
def _narrowed(levels: np.ndarray, columns: Span) -> np.ndarray:
    """`levels` shrunk to those columns, by linear interpolation, with zeros beside them."""
    side = levels.shape[1]
    left, right = (columns[0] + 1) // 2, columns[1] // 2
    narrow = np.zeros(levels.shape, np.float32)
    first, weights = np.empty(side, np.int64), np.empty(side, np.float32)
    for x in range(left, right):
        at = min(max((2 * x + 1 - columns[0]) * side / (columns[1] - columns[0]) - 0.5, 0.0), side - 1.0)
        first[x] = min(int(at), side - 2)
        weights[x] = np.float32(at - first[x])
    for y in range(side):
        for x in range(left, right):
            one, other = levels[y, first[x]], levels[y, first[x] + 1]
            narrow[y, x] = one + weights[x] * (other - one)
    return narrow


@compiled
def _shorten(levels: np.ndarray, rows: Span, shrunk: np.ndarray) -> None:
    """`levels` shrunk to those rows, in whole numbers, into those of `shrunk`."""
    side = levels.shape[1]
    for y in range((rows[0] + 1) // 2, rows[1] // 2):
        at = min(max((2 * y + 1 - rows[0]) * side / (rows[1] - rows[0]) - 0.5, 0.0), side - 1.0)
        first = min(int(at), side - 2)
        weight = np.float32(at - first)
        for x in range(side):
            mixed = levels[first, x] + weight * (levels[first + 1, x] - levels[first, x])
            shrunk[y, x] = np.floor(mixed + np.float32(0.5))


@compiled
def _turned(levels: np.ndarray, turn: Turn) -> np.ndarray:
    """`levels` turned, in whole numbers; what was outside is as the nearest pixel inside."""
    first, weights = turn
    turned = np.zeros(levels.shape, np.float32)
    flat, result = levels.reshape(-1), turned.reshape(-1)
    for i in range(len(first)):
        upper = weights[i, 0] * flat[first[i]] + weights[i, 1] * flat[first[i] + 1]
        lower = weights[i, 2] * flat[first[i] + SIDE] + weights[i, 3] * flat[first[i] + SIDE + 1]
        result[i] = np.floor(upper + lower + np.float32(0.5))
    return turned


@compiled_in_any_order
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """The sum of products of whole numbers, none above 2 ** 24."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return float(total)


@compiled_in_any_order
def _total(a: np.ndarray) -> float:
    """The sum of whole numbers, none above 2 ** 24."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i]
    return float(total)


@compiled
def _local(part: np.ndarray, whole: np.ndarray, rows: Span, columns: Span) -> float:
    """The mean correlation of the windows of `part` with those of `whole`, within these; 0 without evidence."""
    top, left = (rows[0] + 1) // 2, (columns[0] + 1) // 2
    height, width = rows[1] // 2 - top, columns[1] // 2 - left
    one, other = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            one[y, x] = part[top + y, left + x]
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
            spread, other_spread = n * firsts[y, x] - a * a, n * seconds[y, x] - b * b
            seen = max(spread, other_spread)
            weight[x] = seen / (seen + noise)
            shared = n * products[y, x] - a * b + noise
            weighted[x] = weight[x] * shared / np.sqrt((spread + noise) * (other_spread + noise))
        for x in range(across):
            weights[y] += weight[x]
            agreed[y] += weighted[x]
    ends = (height * ENDS + SIDE // 2) // SIDE // STEP
    best = 0.0
    for cut in (0, ends):
        total = weights[cut : down - cut].sum()
        if total > EVIDENCE * down * across:
            best = max(best, agreed[cut : down - cut].sum() / total)
    return best


@compiled
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
