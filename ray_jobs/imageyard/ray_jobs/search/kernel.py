"""The compiled loops of the search: codes into buckets, buckets against their neighbours."""

from __future__ import annotations

import numpy as np

from imageyard.ray_jobs.compiled import compiled, popcount

GROWTH = 1024
BLOCK = 4096


@compiled
def cut_codes(codes: np.ndarray, places: np.ndarray, result: np.ndarray) -> None:
    """Write codes, (n, words), with their bits in another order to `result`, a row a word: (words, n), uint64.

    `places` is uint64 of shape (8 * words, 256, words): what each value of each byte adds to the result.
    """
    n, words = codes.shape
    for i in range(n):
        for word in range(words):
            result[word, i] = np.uint64(0)
        for byte in range(8 * words):
            value = (codes[i, byte >> 3] >> np.uint64(8 * (byte & 7))) & np.uint64(255)
            for word in range(words):
                result[word, i] |= places[byte, value, word]


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
    `order` the codes' numbers, rising in each bucket, and their words `one` and `other`, or only `one` if `other` is
    negative: uint64 of shape (1 or 2, codes).
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
    order, pairs = np.empty(start[-1], np.int32), np.empty((2 if other >= 0 else 1, start[-1]), np.uint64)
    first, second = columns[one], columns[max(other, 0)]
    for i in range(n):
        if i == fresh:
            middle = place.copy()
        key = np.int64((keys[i] >> by) & mask)
        if keep[key]:
            at = place[key]
            place[key] = at + 1
            order[at] = i
            pairs[0, at] = first[i]
            if other >= 0:
                pairs[1, at] = second[i]
    return start, middle, order, pairs


@compiled
def _apart(columns: np.ndarray, a: int, b: int) -> int:
    total = np.uint64(0)
    for word in range(columns.shape[0]):
        total += popcount(columns[word, a] ^ columns[word, b])
    return int(total)


@compiled
def _first_to_meet(columns: np.ndarray, a: int, b: int, slots: np.ndarray, before: int) -> bool:
    """Whether none of the slots before number `before` lets the codes meet: so a pair is told once.

    `slots` is int64 of shape (slots, 5): word, shift, width, radius, limit.
    """
    for at in range(before):
        shift, width = np.uint64(slots[at, 1]), np.uint64(slots[at, 2])
        differ = columns[slots[at, 0], a] ^ columns[slots[at, 0], b]
        inside = (differ >> shift) & ((np.uint64(1) << width) - np.uint64(1))
        if np.int64(popcount(inside)) <= slots[at, 3] and np.int64(popcount(differ)) <= slots[at, 4]:
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
def _copied(source: np.ndarray, begin: int, end: int, target: np.ndarray, at: int) -> None:
    """Copy a piece. Unsigned indices are never taken for places from the end, so this becomes a plain move."""
    low, place = np.uint64(begin), np.uint64(at)
    for step in range(np.uint64(end - begin)):
        target[place + step] = source[low + step]


@compiled
def _near_one(words: np.ndarray, mine: np.uint64, limit: np.uint64) -> np.uint64:
    """How many words lie within `limit` of `mine`."""
    count = np.uint64(0)
    for at in range(len(words)):
        count += np.uint64(popcount(words[at] ^ mine) <= limit)
    return count


@compiled
def _near_two(first: np.ndarray, second: np.ndarray, one: np.uint64, other: np.uint64, limit: np.uint64) -> np.uint64:
    """How many pairs of words lie within `limit` of (one, other)."""
    count = np.uint64(0)
    for at in range(len(first)):
        count += np.uint64(popcount(first[at] ^ one) + popcount(second[at] ^ other) <= limit)
    return count


@compiled
def join(
    columns: np.ndarray,
    made: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    masks: np.ndarray,
    slots: np.ndarray,
    asked: tuple[int, int, int, bool, int, int, int],
) -> tuple[np.ndarray, np.ndarray, int]:
    """All pairs within a distance that first meet in one slot.

    `made` is the slot's `table`, `slots` int64 of shape (slots, 5): word, shift, width, radius, limit of each; `asked`
    is the slot's number, the first new code, the distance, whether pairs of two new codes are left out, the range of
    buckets, and the comparisons in one bucket from which it is left. New codes of a bucket meet the old ones of it
    and of all buckets that `masks` lead to, and the new ones of it and of those above it. Returns the pairs
    (a, b, distance), int32 of shape (pairs, 3), the buckets that were left, and how many comparisons were made.
    """
    start, middle, order, words = made
    number, fresh, distance, across, low, high, hot = asked
    ends = start[1:]
    limit = np.uint64(min(distance, slots[number, 4]) if len(words) == 1 else distance)
    slot_word, shift = slots[number, 0], np.uint64(slots[number, 1])
    inside = (np.uint64(1) << np.uint64(slots[number, 2])) - np.uint64(1)
    found, size = np.empty((GROWTH, 3), np.int32), 0
    left, lefts = np.empty(high - low, np.int64), 0
    compared = 0
    alone = len(words) == 1
    first, second = words[0], words[len(words) - 1]
    near_first, near_second = np.empty(GROWTH, np.uint64), np.empty(GROWTH, np.uint64)
    blocks = np.empty((2 * len(masks) + 2, 2), np.int64)  # where in near_first each piece begins, and in the table
    for key in range(low, high):
        begin, end = middle[key], ends[key]
        if begin == end:
            continue  # no new code, and old ones have met
        total = end - start[key]
        for mask in masks:
            total += ends[key ^ mask] - start[key ^ mask]
        if (end - begin) * total > hot:
            left[lefts] = key
            lefts += 1
            continue
        if total > len(near_first):
            near_first, near_second = np.empty(2 * total, np.uint64), np.empty(2 * total, np.uint64)
        at, count = 0, 0
        for late in range(0 if fresh > 0 else 1, 1 if across else 2):
            for step in range(-1, len(masks)):  # old codes of all buckets around, then new ones of those above
                other = key if step < 0 else key ^ masks[step]
                if late == 1 and other < key:
                    continue
                low_row = start[other] if late == 0 else middle[other]
                high_row = middle[other] if late == 0 else ends[other]
                if low_row < high_row:
                    _copied(first, low_row, high_row, near_first, at)
                    if not alone:
                        _copied(second, low_row, high_row, near_second, at)
                    blocks[count, 0], blocks[count, 1] = at, low_row
                    count += 1
                    at += high_row - low_row
        itself = np.uint64(0 if across else 1)
        for row in range(begin, end):
            one, two = first[row], second[row]
            compared += at
            if alone:
                if _near_one(near_first[:at], one, limit) == itself:
                    continue
            elif _near_two(near_first[:at], near_second[:at], one, two, limit) == itself:
                continue
            a = order[row]
            for near in range(at):
                close = popcount(near_first[near] ^ one)
                if not alone:
                    close += popcount(near_second[near] ^ two)
                if close > limit:
                    continue
                block = 0
                while block + 1 < count and blocks[block + 1, 0] <= near:
                    block += 1
                b = order[blocks[block, 1] + near - blocks[block, 0]]
                if fresh <= b <= a and ((columns[slot_word, a] ^ columns[slot_word, b]) >> shift) & inside == 0:
                    continue  # two new ones of one bucket: told from the other side
                apart = _apart(columns, a, b)
                if apart <= distance and _first_to_meet(columns, a, b, slots, number):
                    found = _added(found, size, a, b, apart)
                    size += 1
    return found[:size], left[:lefts], compared


@compiled
def against(columns: np.ndarray, rows: np.ndarray, distance: int) -> np.ndarray:
    """All pairs within `distance` of each of `rows` with every other code: the plain way, by which others are checked.

    int32 of shape (pairs, 3) in order of rows: the row, the other, their distance.
    """
    limit = np.uint64(distance)
    words, n = columns.shape
    first, second = columns[0], columns[words - 1]
    found, size = np.empty((GROWTH, 3), np.int32), 0
    for row in rows:
        for block in range(0, n, BLOCK):
            stop = min(block + BLOCK, n)
            if words == 1:
                if _near_one(first[block:stop], first[row], limit) == 0:
                    continue
            elif _near_two(first[block:stop], second[block:stop], first[row], second[row], limit) == 0:
                continue
            for near in range(block, stop):
                apart = _apart(columns, row, near)
                if near != row and apart <= distance:
                    found = _added(found, size, row, near, apart)
                    found[size, 0], found[size, 1] = row, near
                    size += 1
    return found[:size]
