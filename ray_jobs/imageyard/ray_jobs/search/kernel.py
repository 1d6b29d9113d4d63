"""The compiled loops of the search: codes into buckets, buckets against their neighbours."""

from __future__ import annotations

import numpy as np

from imageyard.ray_jobs.compiled import compiled, popcount

GROWTH = 1024
BLOCK = 4096


@compiled
def cut_codes(codes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Codes with their bits in another order, a row a word: uint64 of shape (words, n), from (n, words).

    `places` is uint64 of shape (8 * words, 256, words): what each value of each byte adds to the result.
    """
    n, words = codes.shape
    result = np.zeros((words, n), np.uint64)
    for i in range(n):
        for byte in range(8 * words):
            value = (codes[i, byte >> 3] >> np.uint64(8 * (byte & 7))) & np.uint64(255)
            for word in range(words):
                result[word, i] |= places[byte, value, word]
    return result


@compiled
def wanted(columns: np.ndarray, fresh: int, word: int, shift: int, width: int, masks: np.ndarray) -> np.ndarray:
    """Which values of a slot lie within the radius of a code numbered `fresh` or more: bool of shape (2 ** width,)."""
    mask, by = np.uint64((1 << width) - 1), np.uint64(shift)
    result = np.zeros(1 << width, np.bool_)
    for i in range(fresh, columns.shape[1]):
        key = np.int64((columns[word, i] >> by) & mask)
        for mask_at in masks:
            result[key ^ mask_at] = True
    return result


@compiled
def table(
    columns: np.ndarray, fresh: int, word: int, shift: int, width: int, one: int, other: int, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes in order of a slot, those whose slot value is one of `keep`: (start, middle, order, pairs of words).

    `start` has where the bucket of each slot value begins, `middle` where its codes from number `fresh` on do,
    `order` the codes' numbers, rising in each bucket, and the words `one` and `other` of each, side by side; the
    latter is 0 if `other` is negative.
    """
    n = columns.shape[1]
    mask, by = np.uint64((1 << width) - 1), np.uint64(shift)
    keys = columns[word]
    start = np.zeros((1 << width) + 1, np.int64)
    for i in range(n):
        key = np.int64((keys[i] >> by) & mask)
        start[key + 1] += keep[key]
    for value in range(1, len(start)):
        start[value] += start[value - 1]
    place = start[:-1].copy()
    middle = start[:-1].copy()
    order, pairs = np.empty(start[-1], np.int32), np.empty((start[-1], 2), np.uint64)
    first, second = columns[one], columns[max(other, 0)]
    for i in range(n):
        if i == fresh:
            middle = place.copy()
        key = np.int64((keys[i] >> by) & mask)
        if keep[key]:
            at = place[key]
            place[key] = at + 1
            order[at] = i
            pairs[at, 0] = first[i]
            pairs[at, 1] = second[i] if other >= 0 else np.uint64(0)
    return start, middle, order, pairs


@compiled
def _near(first: np.ndarray, second: np.ndarray, one: np.uint64, other: np.uint64, distance: np.uint64) -> np.uint64:
    """How many pairs of words are within `distance` of (one, other); of two words of four, all but few are not."""
    count = np.uint64(0)
    for at in range(len(first)):
        count += np.uint64(popcount(first[at] ^ one) + popcount(second[at] ^ other) <= distance)
    return count


@compiled
def _apart(columns: np.ndarray, a: int, b: int) -> int:
    total = np.uint64(0)
    for word in range(columns.shape[0]):
        total += popcount(columns[word, a] ^ columns[word, b])
    return int(total)


@compiled
def _first_to_meet(columns: np.ndarray, a: int, b: int, slots: np.ndarray, before: int) -> bool:
    """Whether none of the slots before number `before` lets the codes meet: so a pair is told once.

    `slots` is int64 of shape (slots, 4): word, shift, width, radius.
    """
    for at in range(before):
        word, shift, width = slots[at, 0], np.uint64(slots[at, 1]), np.uint64(slots[at, 2])
        differ = ((columns[word, a] ^ columns[word, b]) >> shift) & ((np.uint64(1) << width) - np.uint64(1))
        if np.int64(popcount(differ)) <= slots[at, 3]:
            return False
    return True


@compiled
def _added(found: np.ndarray, size: int, a: int, b: int, distance: int) -> np.ndarray:
    if size == len(found):
        larger = np.empty((2 * size, 3), np.int32)
        larger[:size] = found
        found = larger
    found[size, 0], found[size, 1], found[size, 2] = min(a, b), max(a, b), distance
    return found


@compiled
def join(
    columns: np.ndarray,
    made: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    masks: np.ndarray,
    slots: np.ndarray,
    asked: tuple[int, int, int, bool, int, int, int],
) -> tuple[np.ndarray, np.ndarray, int]:
    """All pairs within a distance that first meet in one slot.

    `made` is the slot's `table`, `slots` int64 of shape (slots, 4): word, shift, width, radius of each; `asked` is the
    slot's number, the first new code, the distance, whether pairs of two new codes are left out, the range of
    buckets, and the comparisons in one bucket from which it is left. Each bucket meets itself and those buckets
    above it that `masks` lead to; one of two codes must be new. Returns the pairs (a, b, distance), int32 of shape
    (pairs, 3), the buckets that were left, and how many comparisons the others took.
    """
    start, middle, order, pairs = made
    number, fresh, distance, across, low, high, hot = asked
    limit = np.uint64(distance)
    found, size = np.empty((GROWTH, 3), np.int32), 0
    left, lefts = np.empty(GROWTH, np.int64), 0
    compared = 0
    most = GROWTH
    first, second, which = np.empty(most, np.uint64), np.empty(most, np.uint64), np.empty(most, np.int32)
    for key in range(low, high):
        begin, end = start[key], start[key + 1]
        if begin == end:
            continue
        total = end - begin
        for mask in masks:
            if key ^ mask > key:
                total += start[(key ^ mask) + 1] - start[key ^ mask]
        if total == 1 or (middle[key] == end and total == end - begin):
            continue
        if (end - begin) * total > hot:
            if lefts == len(left):
                more = np.empty(2 * lefts, np.int64)
                more[:lefts] = left
                left = more
            left[lefts] = key
            lefts += 1
            continue
        if total > most:
            most = 2 * total
            first, second, which = np.empty(most, np.uint64), np.empty(most, np.uint64), np.empty(most, np.int32)
        at = 0
        for late in range(2):  # the old codes of all these buckets, then the new ones
            if late == 1:
                old = at
            for step in range(-1, len(masks)):
                other = key if step < 0 else key ^ masks[step]
                if step >= 0 and other < key:
                    continue
                a = middle[other] if late == 1 else start[other]
                b = start[other + 1] if late == 1 else middle[other]
                for row in range(a, b):
                    first[at], second[at], which[at] = pairs[row, 0], pairs[row, 1], order[row]
                    at += 1
        for row in range(begin, end):
            mine = order[row]
            since, until, itself = old, at, 0  # an old code meets the new ones
            if mine >= fresh and across:
                since, until = 0, old
            elif mine >= fresh:
                since, itself = 0, 1
            one, two = pairs[row, 0], pairs[row, 1]
            compared += until - since
            if _near(first[since:until], second[since:until], one, two, limit) == itself:
                continue
            for near in range(since, until):
                if popcount(first[near] ^ one) + popcount(second[near] ^ two) > limit:
                    continue
                theirs = which[near]
                inside = (columns[slots[number, 0], mine] ^ columns[slots[number, 0], theirs]) >> np.uint64(
                    slots[number, 1]
                ) & ((np.uint64(1) << np.uint64(slots[number, 2])) - np.uint64(1))
                if inside == 0 and theirs <= mine:
                    continue  # of one bucket: told from the other side
                apart = _apart(columns, mine, theirs)
                if apart <= distance and _first_to_meet(columns, mine, theirs, slots, number):
                    found = _added(found, size, mine, theirs, apart)
                    size += 1
    return found[:size], left[:lefts], compared


@compiled
def against(columns: np.ndarray, rows: np.ndarray, distance: int) -> np.ndarray:
    """All pairs within `distance` of each of `rows` with every other code: the plain way, by which others are checked.

    int32 of shape (pairs, 3) in order of rows: the row, the other, their distance.
    """
    limit = np.uint64(distance)
    words, n = columns.shape
    one, other = columns[0], columns[words - 1] if words > 1 else np.zeros(n, np.uint64)
    found, size = np.empty((GROWTH, 3), np.int32), 0
    for row in rows:
        for block in range(0, n, BLOCK):
            stop = min(block + BLOCK, n)
            if _near(one[block:stop], other[block:stop], one[row], other[row], limit) == 0:
                continue
            for near in range(block, stop):
                apart = _apart(columns, row, near)
                if near != row and apart <= distance:
                    found = _added(found, size, row, near, apart)
                    found[size, 0], found[size, 1] = row, near
                    size += 1
    return found[:size]


@compiled
def same_runs(word: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which places of `order`, that sorts `word`, hold a value that is there more than once: bool."""
    n = len(order)
    result = np.zeros(n, np.bool_)
    for at in range(1, n):
        if word[order[at]] == word[order[at - 1]]:
            result[at - 1], result[at] = True, True
    return result
