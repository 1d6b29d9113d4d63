"""What the lines of standing samples say of the split, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.splitting.columns import CONFLICT, FOLD
from imageyard.ray_jobs.splitting.labels import Kind, labels_of, shows_anomaly
from imageyard.ray_jobs.splitting.sides import SIDES
from imageyard.ray_jobs.splitting.targets import rows_asked
from imageyard.ray_jobs.state import SPLIT, State

MOST_LABELS = 200
"""Labels that are told one by one, the rarest: what is told lies in the version's record, which is read often."""
ELSEWHERE = "unsplit"


@dataclass(frozen=True)
class Census:
    """Counts of images."""

    images: Counter[str] = field(default_factory=Counter)
    """By side."""
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By side and label."""
    kinds: dict[str, Kind] = field(default_factory=dict)
    """Of every label."""
    masks: Counter[str] = field(default_factory=Counter)
    """Images that show an anomaly type or several, by side."""
    folds: Counter[int] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    """Images kept out of all sides: new ones are quarantined, others demoted."""

    def told(self, folds: int | None) -> dict[str, Json]:
        """The counts as JSON values; those of so many folds, if there are any."""
        classes = [label for label, kind in self.kinds.items() if kind != "tag"]
        rarest = sorted(classes, key=lambda label: (sum(self.labels[side, label] for side in self.images), label))
        return {
            "images": {side: self.images[side] for side in (*SIDES, ELSEWHERE)},
            "labels": {
                side: {label: self.labels[side, label] for label in sorted(rarest[:MOST_LABELS])} for side in SIDES
            },
            "labels-not-told": max(0, len(classes) - MOST_LABELS),
            "conflicts": {what: self.conflicts[what] for what in ("quarantined", "demoted")},
            **({"folds": [self.folds[fold] for fold in range(folds)]} if folds else {}),
        }

    def worst(self, amounts: Mapping[str, float]) -> dict[str, Json]:
        """For each side of `amounts` the class or type that is farthest from the share that was asked for.

        `deviation` is relative: 0.1 is a tenth too many. Labels of which the share is below one image do not count.
        """
        total = sum(self.images[side] for side in SIDES)
        told: dict[str, Json] = {}
        for side, amount in amounts.items():
            elsewhere = sum(self.images[other] for other in SIDES[1:] if other != side)
            asked = rows_asked(amount, total, total - elsewhere)
            share = asked / max(1, total) if isinstance(amount, int) else amount
            found: list[tuple[float, str, int, float]] = []
            for label, kind in self.kinds.items():
                due = share * sum(self.labels[other, label] for other in SIDES)
                if kind != "tag" and due >= 1:
                    have = self.labels[side, label]
                    found.append((-abs(have / due - 1), label, have, due))
            if found:
                _, label, have, due = min(found)
                off = round(have / due - 1, 4)
                told[side] = {"label": label, "images": have, "asked": round(due, 2), "deviation": off}
        return told


def counted(state: State) -> Census:
    """The census of the samples that stand."""
    census = Census()
    for sample, rejection in zip(state.samples, state.rejections, strict=True):
        if rejection is None:
            said = sample.value(SPLIT)
            side = said if said in SIDES else ELSEWHERE
            labels = labels_of(sample)
            census.images[side] += 1
            census.kinds.update(labels)
            census.labels.update((side, label) for label in labels)
            census.masks[side] += shows_anomaly(labels)
            conflict, fold = sample.value(CONFLICT), sample.value(FOLD)
            if isinstance(conflict, dict):
                census.conflicts["quarantined" if conflict.get("was") is None else "demoted"] += 1
            if type(fold) is int:
                census.folds[fold] += 1
        sample.forget()
    return census
