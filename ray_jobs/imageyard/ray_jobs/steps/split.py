"""Split: every sample that stands goes to train, validation or test, and stays there as the dataset grows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from pydantic import Field, model_validator

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.state import CUSTOM, SPLIT, State, World, class_of, labelled
from imageyard.ray_jobs.steps.base import Step

HELD_OUT = ("test", "validation")
TRAIN = "train"


class Split(Step):
    """By duplicate group, by class, and for ever: an image once in test is never in train."""

    kind: ClassVar[str] = "split"

    test: float = Field(default=0.0, ge=0, lt=1)
    validation: float = Field(default=0.0, ge=0, lt=1)
    salt: str = "imageyard"
    """Another salt draws other images."""

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation together leave nothing to train on; their sum must be below 1")
        return self

    def decide(self, state: State, world: World) -> State:
        """Groups with a member already placed follow it; new ones fill, class by class, what each split lacks.

        A group that has members in both train and a held-out split gets no new members: what would bridge them
        stays unsplit.
        """
        standing = state.standing
        placed = {row: split for row, sample in enumerate(state.samples) if (split := _placed(sample)) is not None}
        bound: dict[int, set[str]] = {}
        for row, split in placed.items():
            bound.setdefault(state.groups[row], set()).add(split)
        of_group: dict[int, list[int]] = {}
        for row in standing:
            of_group.setdefault(state.groups[row], []).append(row)

        decided = {row: placed[row] for row in standing if row in placed}
        for group, splits in bound.items():
            for row in of_group.get(group, ()):
                if row not in decided and len(splits) == 1:
                    decided[row] = next(iter(splits))
        fresh = [self._group(state, group, rows) for group, rows in of_group.items() if group not in bound]
        decided |= self._fill(state, standing, decided, fresh)
        metadata = world.stamp.metadata(CUSTOM, self.kind)
        samples = list(state.samples)
        for row in standing:
            if row in decided:
                samples[row] = labelled(samples[row], SPLIT, decided[row], metadata).forget()
        return replace(state, samples=samples)

    def _group(self, state: State, group: int, rows: Sequence[int]) -> _Group:
        said = f"{self.salt}\0{state.keys[group]}".encode()
        return _Group(tuple(rows), class_of(state.samples[rows[0]]), hashlib.blake2b(said, digest_size=8).digest())

    def _fill(
        self, state: State, standing: Sequence[int], decided: Mapping[int, str], fresh: Sequence[_Group]
    ) -> dict[int, str]:
        """A split for every row of the `fresh` groups, rarest class first, then in the order of their draws."""
        totals: dict[str, int] = {}
        have: dict[tuple[str, str], int] = {}
        for row in standing:
            name = class_of(state.samples[row])
            totals[name] = totals.get(name, 0) + 1
            if row in decided:
                have[name, decided[row]] = have.get((name, decided[row]), 0) + 1
        shares = {"test": _shares(totals, self.test), "validation": _shares(totals, self.validation)}
        filled: dict[int, str] = {}
        for group in sorted(fresh, key=lambda group: (totals[group.label], group.label, group.draw)):
            for split in HELD_OUT:
                lacking = shares[split][group.label] - have.get((group.label, split), 0)
                if len(group.rows) <= lacking:
                    break
            else:
                split = TRAIN
            have[group.label, split] = have.get((group.label, split), 0) + len(group.rows)
            filled |= dict.fromkeys(group.rows, split)
        return filled


@dataclass(frozen=True)
class _Group:
    rows: tuple[int, ...]
    label: str
    draw: bytes


def _placed(sample: Sample) -> str | None:
    split = sample.value(SPLIT)
    return split if split in (TRAIN, *HELD_OUT) else None


def _shares(totals: Mapping[str, int], fraction: float) -> dict[str, int]:
    """Samples that a split of `fraction` has of each class, by largest remainder.

    Together they are `fraction` of all, rounded, however small the classes are.
    """
    exact = {name: fraction * total for name, total in totals.items()}
    shares = {name: math.floor(share) for name, share in exact.items()}
    left = math.floor(sum(exact.values()) + 0.5) - sum(shares.values())
    for name in sorted(exact, key=lambda name: (shares[name] - exact[name], name))[:left]:
        shares[name] += 1
    return shares
