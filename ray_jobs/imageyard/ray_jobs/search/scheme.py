"""How codes are cut into slots, and what that promises: the pigeonhole behind every table of the search."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

WORD = 64
Mode = Literal["auto", "all", "banded", "exact", "lsh"]
ALL_UNTIL = 3_000
"""Codes up to which all pairs are compared: loading compiled code takes longer."""
EXACT_UNTIL = 300_000_000
"""Codes up to which `auto` stays exact: two core hours of comparisons. From there on the recall is what it costs."""
WIDE_FROM = 30_000_000
"""Codes from which slots of 21 bits, of which five times fewer codes meet, cost less than slots of 16."""
LSH_RECALL = 0.999
"""Recall at the full distance that the number of tables of `lsh` is chosen for."""


@dataclass(frozen=True)
class Slot:
    """Some bits of a code next to each other, inside one word."""

    word: int
    shift: int
    width: int
    radius: int
    """Codes whose slots differ by at most this many bits meet,"""
    limit: int = WORD
    """if their words differ by at most this many."""

    @property
    def neighbours(self) -> int:
        """Slot values within the radius of one, itself among them."""
        return sum(math.comb(self.width, bits) for bits in range(self.radius + 1))


@dataclass(frozen=True)
class Cut:
    """The bits of a code in an order of their own, cut into slots; two codes meet if any slot lets them."""

    order: tuple[int, ...]
    """Bit `order[i]` of the code is bit i of the cut code; a slot mixes bits from everywhere."""
    slots: tuple[Slot, ...]

    @property
    def exact_to(self) -> int:
        """The largest distance at which any two codes meet.

        They miss each other only if every slot differs by its radius + 1 or more, which takes the sum of those. By
        the same reckoning some word differs by less than the sum of its slots, and in that one a slot lets them meet.
        """
        return sum(slot.radius + 1 for slot in self.slots) - 1

    def missed(self, distance: int) -> float:
        """The share of all codes at exactly `distance` from another that do not meet it.

        Of the C(bits, distance) ways to flip bits, those that flip more than the radius in every slot and anything
        elsewhere, counted by multiplying one polynomial a slot.
        """
        ways = [1]
        for slot in self.slots:
            one = [math.comb(slot.width, k) if k > slot.radius else 0 for k in range(slot.width + 1)]
            ways = _product(ways, one, distance)
        rest = len(self.order) - sum(slot.width for slot in self.slots)
        ways = _product(ways, [math.comb(rest, k) for k in range(rest + 1)], distance)
        return ways[distance] / math.comb(len(self.order), distance) if distance < len(ways) else 0.0


@dataclass(frozen=True)
class Scheme:
    """Cuts, each independent of the others."""

    mode: Mode
    bits: int
    cuts: tuple[Cut, ...]

    @property
    def tables(self) -> int:
        return sum(len(cut.slots) for cut in self.cuts)

    @property
    def exact_to(self) -> int:
        """The distance up to which no pair can be missed."""
        return self.bits if self.mode == "all" else max(cut.exact_to for cut in self.cuts)

    def recall(self, distance: int) -> float:
        """The share of pairs at exactly `distance` that is found, over all ways in which bits can differ.

        A mean: bits of real pictures do not differ independently, which is why the search also measures it.
        """
        if distance <= self.exact_to:
            return 1.0
        missed: float = math.prod(cut.missed(distance) for cut in self.cuts)
        return 1.0 - missed

    def comparisons(self, codes: int) -> float:
        """How many of `codes` random codes meet, in all tables."""
        if self.mode == "all":
            return codes * codes / 2
        slots = [slot for cut in self.cuts for slot in cut.slots]
        share = sum(slot.neighbours / (1 << slot.width) for slot in slots)
        return codes * codes / 2 * share


def scheme_for(codes: int, bits: int, distance: int, mode: Mode = "auto") -> Scheme:
    """The scheme that finds pairs within `distance` among `codes` codes of `bits`, a multiple of 64, bits.

    `exact` misses none; `banded` has one table a 16-bit slot, exact to (slots - 1) bits; `lsh` has as many tables of
    slots of log2(codes) bits as LSH_RECALL asks for; `all` compares everything; `auto` chooses by size.
    """
    if mode == "auto":
        mode = "all" if codes <= ALL_UNTIL else "exact" if codes <= EXACT_UNTIL else "lsh"
    if mode == "all":
        return Scheme("all", bits, ())
    if mode == "exact":
        a_word = 3 if codes >= WIDE_FROM else 4
        return Scheme("exact", bits, (limited(_cut(0, bits, a_word, _radii(a_word * bits // WORD, distance))),))
    if mode == "banded":
        return Scheme("banded", bits, (_cut(0, bits, 4, [0] * (4 * bits // WORD)),))
    a_word = max(2, min(6, WORD // max(10, round(math.log2(max(codes, 2))))))
    cuts: list[Cut] = []
    missed = 1.0
    while missed > 1 - LSH_RECALL and len(cuts) < 64:
        cuts.append(_cut(len(cuts), bits, a_word, [0] * (a_word * bits // WORD)))
        missed *= cuts[-1].missed(distance)
    return Scheme("lsh", bits, tuple(cuts))


def _radii(slots: int, distance: int) -> list[int]:
    """Radii, as even as can be, whose sum with one each is distance + 1: fewer would miss a pair, more cost more."""
    least, more = divmod(distance + 1, slots)
    return [least + (slot < more) - 1 for slot in range(slots)]


def _cut(number: int, bits: int, a_word: int, radii: Sequence[int]) -> Cut:
    """`a_word` slots in each word, together all of it; slots of radius -1 are left out."""
    slots = []
    for at, radius in enumerate(radii):
        word, part = divmod(at, a_word)
        low, high = part * WORD // a_word, (part + 1) * WORD // a_word
        if radius >= 0:
            slots.append(Slot(word, low, high - low, radius))
    return Cut(shuffled(number, bits), tuple(slots))


def limited(cut: Cut) -> Cut:
    """The cut with the limit of each word: the sum, over its slots, of radius + 1, less one."""
    most = Counter[int]()
    for slot in cut.slots:
        most[slot.word] += slot.radius + 1
    return Cut(cut.order, tuple(replace(slot, limit=most[slot.word] - 1) for slot in cut.slots))


def shuffled(number: int, bits: int) -> tuple[int, ...]:
    """The bits in an order that depends on `number` alone, the same on every machine and in every release."""
    return tuple(sorted(range(bits), key=lambda bit: hashlib.blake2b(f"{number}/{bits}/{bit}".encode()).digest()))


def _product(one: Sequence[int], other: Sequence[int], most: int) -> list[int]:
    """Coefficients of the product of two polynomials, up to the power `most`."""
    result = [0] * min(len(one) + len(other) - 1, most + 1)
    for i, a in enumerate(one):
        if a:
            for j, b in enumerate(other[: len(result) - i]):
                result[i + j] += a * b
    return result
