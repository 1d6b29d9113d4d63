"""Which of the candidates a held-out side gets: iterative stratification (Sechidis et al. 2011) over whole groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from imageyard.ray_jobs.splitting.candidates import Candidates, by_rarity
from imageyard.ray_jobs.splitting.columns import Tags
from imageyard.ray_jobs.splitting.exchanging import exchanged
from imageyard.ray_jobs.splitting.targets import Ask, Turnout, Want, least, want

if TYPE_CHECKING:
    import numpy as np


def drawn(ask: Ask, turnout: Turnout, tags: Tags, new: Candidates) -> np.ndarray:
    """Which candidates the side gets: bool of shape (candidates,).

    First what a minimum asks for. Then, the rarest label first and in the order of luck, groups that fit into what is
    lacking of every label they have; what is lacking still comes from groups that fit their classes and bring all
    labels nearer to their shares, from any that fit their classes, and from any that bring the labels nearer. The
    last one may overshoot, if that is nearer than to fall short. At last groups of the same size and classes change
    places, where that suits the tags.
    """
    import numpy as np

    taken = np.zeros(len(new), np.bool_)
    if len(new):
        taken[_at_least(ask, turnout, new)] = True
        first = new.select(taken)
        held = turnout.held_labels + first.having(len(turnout.labels))
        turnout = replace(turnout, held=turnout.held + int(first.size.sum()), held_labels=held)
        rest = new.select(~taken)
        taken[np.flatnonzero(~taken)[_filled(rest, want(ask, turnout, tags, rest), turnout, tags.hard)]] = True
    return taken


def _at_least(ask: Ask, turnout: Turnout, new: Candidates) -> list[int]:
    """Candidates for the labels that have fewer than their minimum, the rarest first."""
    import numpy as np

    minimum, have = least(ask.minimum, turnout.free_labels), turnout.held_labels.copy()
    owner = np.repeat(np.arange(len(new)), np.diff(new.start))
    taken: dict[int, None] = {}

    def take(group: int) -> None:
        taken[group] = None
        here = slice(int(new.start[group]), int(new.start[group + 1]))
        have[new.label[here]] += new.count[here]

    for label in sorted(ask.minimum, key=lambda label: (int(turnout.labels[label]), label)):
        pairs = np.flatnonzero(new.label == label)
        pairs = pairs[np.argsort(new.luck[owner[pairs]], kind="stable")]
        members = list(zip(owner[pairs].tolist(), new.count[pairs].tolist(), strict=True))
        for group, count in members:
            if group not in taken and count <= minimum[label] - have[label]:
                take(group)
        lacking = int(minimum[label] - have[label])
        room = int(turnout.free_labels[label]) // 2 - int(have[label])
        enough = [(count, group) for group, count in members if group not in taken and lacking <= count <= room]
        if lacking > 0 and enough:
            take(min(enough)[1])
    return list(taken)


def _filled(new: Candidates, wanted: Want, turnout: Turnout, hard: np.ndarray) -> list[int]:
    """Plain Python over plain lists: each group is looked at a few times, and most have one label."""
    import numpy as np

    start, label, count, size = new.start.tolist(), new.label.tolist(), new.count.tolist(), new.size.tolist()
    need = np.where(wanted.planned, wanted.need, np.iinfo(np.int64).max).tolist()
    lack = wanted.lack.tolist()
    weight = np.where(wanted.planned, 1 / np.maximum(1, wanted.share), 0).tolist()
    is_hard = hard.tolist()
    left, of_size = wanted.size, 1 / max(1, wanted.size + turnout.held)
    taken: list[int] = []

    def fits(at: int) -> bool:
        return all(count[pair] <= need[label[pair]] for pair in range(start[at], start[at + 1]))

    def fits_classes(at: int) -> bool:
        pairs = range(start[at], start[at + 1])
        return all(count[pair] <= need[label[pair]] for pair in pairs if is_hard[label[pair]])

    def strays(at: int) -> float:
        """How much farther from the shares all labels are with this group: chi-square, negative where nearer."""
        change = size[at] * (size[at] - 2 * left) * of_size
        for pair in range(start[at], start[at + 1]):
            change += count[pair] * (count[pair] - 2 * lack[label[pair]]) * weight[label[pair]]
        return float(change)

    def take(at: int) -> None:
        nonlocal left
        taken.append(at)
        left -= size[at]
        for pair in range(start[at], start[at + 1]):
            need[label[pair]] -= count[pair]
            lack[label[pair]] -= count[pair]

    rounds: tuple[Callable[[int], bool], ...] = (
        fits,
        lambda at: fits_classes(at) and strays(at) < 0,
        fits_classes,
        lambda at: strays(at) < 0,
    )
    rest = by_rarity(new, np.where(wanted.planned, turnout.labels, 0)).tolist()
    for suits in rounds:
        passed = []
        for at in rest:
            if size[at] <= left and suits(at):
                take(at)
            else:
                passed.append(at)
        rest = passed
    over = [(strays(at), at) for at in rest if left < size[at] < 2 * left]
    if over and min(over)[0] < 0:
        take(min(over)[1])
    if not any(planned and not fixed for planned, fixed in zip(wanted.planned.tolist(), is_hard, strict=True)):
        return taken
    pairs = [[(label[pair], count[pair]) for pair in range(start[at], start[at + 1])] for at in range(len(size))]
    kinds = [(size[at], *(pair for pair in pairs[at] if is_hard[pair[0]])) for at in range(len(size))]
    tags = [{tag: number for tag, number in pairs[at] if not is_hard[tag] and weight[tag]} for at in range(len(size))]
    gone = set(taken)
    return exchanged(taken, [at for at in rest if at not in gone], kinds, tags, lack, weight)
