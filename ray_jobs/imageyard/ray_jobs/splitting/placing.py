"""Every row's side: what the ledger says, what is given, what belongs to it, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imageyard.ray_jobs.edges import Edges
from imageyard.ray_jobs.splitting.candidates import Candidates, candidates
from imageyard.ray_jobs.splitting.columns import Columns
from imageyard.ray_jobs.splitting.conflicts import GIVEN, Conflict, bridging, giving_way
from imageyard.ray_jobs.splitting.drawing import drawn
from imageyard.ray_jobs.splitting.sides import HELD_OUT, NONE, OUT, TEST, TRAIN, VALIDATION
from imageyard.ray_jobs.splitting.targets import Ask, Turnout
from imageyard.ray_jobs.splitting.ties import Parts, Ties, parts

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Policy:
    """What a recipe says of the split, in numbers of sides and labels."""

    amounts: Mapping[int, float]
    """By held-out side, a share (a float below 1) or a number of images (an int)."""
    minimum: Mapping[int, Mapping[int, int]]
    """By held-out side and label."""
    audit: Sequence[str]
    release: Sequence[int]
    new: Sequence[int]
    """Held-out sides that an earlier recipe did not ask for: these may be drawn from train, once."""
    bridges_join: bool
    mode: Literal["stratified", "hash"]
    salt: str


@dataclass(frozen=True)
class Placement:
    """Where the rows are, and why some are nowhere."""

    side: np.ndarray
    """int8 of shape (rows,)."""
    conflicts: dict[int, Conflict]
    """By standing row."""


def place(columns: Columns, ties: Ties, edges: Edges, keys: Sequence[str], policy: Policy) -> Placement:
    """A side for every standing row that no conflict keeps out; rejected rows keep theirs, but draw none.

    What is placed stays: a row leaves test by `release` alone, and validation by that or for no side at all. Then,
    as if the placed rows were cut out, the connected parts of the others go where what they touch is. A part that
    touches several sides, or a given set, bridges them. One that touches nothing is drawn.
    """
    import numpy as np

    side, fixed = _ledger(columns, policy.release)
    first = [held for held in policy.new if policy.amounts[held] and not (side == held).any()]
    loose = parts(ties, side == NONE, _bits(side, fixed))
    stay_out = _joined(columns, loose, side, bridges_join=policy.bridges_join)
    conflicts = giving_way(columns, side, fixed, edges.of_tiers(policy.audit))
    if len(stay_out):
        conflicts |= bridging(stay_out, side, edges, ties.groups())
    out = np.zeros(columns.rows, np.bool_)
    out[list(conflicts)] = True
    takes_part = columns.standing & ~out & (side != OUT)
    fresh = _untouched(loose)
    for held in HELD_OUT:
        if policy.amounts[held]:
            of = fresh
            if held in first and (_movable(side, fixed) & ~out).any():
                opened = (side == NONE) | _movable(side, fixed)
                of = _untouched(parts(ties, opened, _bits(np.where(opened, NONE, side), fixed)))
            pool = candidates(columns, _without(of, (side >= 0) & ~_movable(side, fixed)), keys, policy.salt)
            if policy.mode == "hash":
                chosen = _by_luck_alone(pool, held, policy.amounts[held])
            else:
                ask = Ask(policy.amounts[held], policy.minimum[held], policy.salt, held in first)
                chosen = drawn(ask, _turnout(columns, takes_part, side, held), columns.tags, pool)
            member = np.isin(of, pool.part[chosen])
            side[member & (columns.standing | _movable(side, fixed))] = held
    side[columns.standing & (fresh >= 0) & (side == NONE)] = TRAIN
    side[out] = NONE
    return Placement(side, conflicts)


def _ledger(columns: Columns, release: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The sides that rows have before anything is decided, and which of them nothing may change.

    An image that a conflict took from its side has it again, until the conflict is found anew.
    """
    import numpy as np

    side = np.where((columns.said == NONE) & (columns.was != NONE), columns.was, columns.said)
    side[np.isin(side, list(release)) & ~columns.by_person] = NONE
    side = np.where((columns.given > side) & ~columns.by_person, columns.given, side)
    fixed = (columns.by_person | (columns.given == side)) & (side >= 0)
    return side, fixed


def _movable(side: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Rows in train that may be drawn into a side that is new."""
    movable: np.ndarray = (side == TRAIN) & ~fixed
    return movable


def _bits(side: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    import numpy as np

    bits = np.where(side >= 0, 1 << np.maximum(side, 0), 0) | np.where(fixed & (side > TRAIN), GIVEN, 0)
    return bits.astype(np.uint8)


def _joined(columns: Columns, loose: Parts, side: np.ndarray, *, bridges_join: bool) -> np.ndarray:
    """Give the rows of parts that touch one side that side; standing rows of parts that bridge sides are returned."""
    import numpy as np

    sides = loose.touched & (GIVEN - 1)
    goes = np.full(len(sides), NONE, np.int8)
    for number in (TRAIN, VALIDATION, TEST):
        goes[(sides == 1 << number) | (bridges_join & (sides >= 1 << number))] = number
    given = (loose.touched & GIVEN > 0) & (not bridges_join)
    goes[given] = NONE
    concerned = np.flatnonzero(columns.standing & (loose.of >= 0))
    side[concerned] = goes[loose.of[concerned]]
    bridging_part = (loose.touched > 0) & (goes == NONE)
    stay_out: np.ndarray = concerned[bridging_part[loose.of[concerned]]]
    return stay_out


def _untouched(loose: Parts) -> np.ndarray:
    """The part of every row whose part touches nothing that is placed, -1 for the others."""
    import numpy as np

    return np.where(np.append(loose.touched, 1)[loose.of] == 0, loose.of, -1)


def _without(of: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """`of` without the parts of which a row is placed by now."""
    import numpy as np

    return np.where(np.isin(of, of[placed & (of >= 0)]), -1, of)


def _turnout(columns: Columns, takes_part: np.ndarray, side: np.ndarray, held: int) -> Turnout:
    import numpy as np

    tags = columns.tags

    def count(rows: np.ndarray) -> tuple[int, np.ndarray]:
        return int(rows.sum()), np.bincount(tags.label[rows[tags.row]], minlength=len(tags.names)).astype(np.int64)

    free = takes_part & ((side <= TRAIN) | (side == held))
    return Turnout(*count(takes_part), *count(takes_part & (side == held)), *count(free))


def _by_luck_alone(pool: Candidates, held: int, amount: float) -> np.ndarray:
    """From both ends, so that asking for more of one side changes nothing of the other."""
    chosen: np.ndarray = pool.luck < amount if held == TEST else pool.luck >= 1 - amount
    return chosen
