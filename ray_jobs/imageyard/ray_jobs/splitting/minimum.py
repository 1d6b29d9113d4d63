"""How many images of a label a side must have, by a recipe's own words or by Lookout for Vision's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.splitting.census import Census
from imageyard.ray_jobs.splitting.labels import Kind, is_called
from imageyard.ray_jobs.splitting.sides import SIDES

Profile = Literal["lookout"]


class Rules(NamedTuple):
    """What Lookout for Vision asks of one dataset of a project (its developer guide, "Limits")."""

    classes: Mapping[str, int]
    """Images labelled so, at least."""
    types: int
    """Images of each anomaly type, at least, if there are masks; only images with exactly one type count."""
    most: int
    """Images, at most."""
    most_masks: int
    """Images whose masks show an anomaly, at most."""


ALONE = Rules({"normal": 20, "anomaly": 10}, 20, 16_000, 8_000)
"""Of a project with one dataset, which Lookout splits itself."""
TRAINING = Rules({"normal": 10}, 10, 16_000, 8_000)
TEST = Rules({"normal": 10, "anomaly": 10}, 10, 4_000, 800)


def rules_of(profile: Profile | None, side: str, *, alone: bool) -> Rules | None:
    """The profile's rules for a side; `alone` where there is no test set. Lookout knows no validation set."""
    if profile is None:
        return None
    return ({"train": ALONE} if alone else {"train": TRAINING, "test": TEST}).get(side)


def least_of(kinds: Mapping[str, Kind], minimum: Mapping[str, int], rules: Rules | None) -> dict[str, int]:
    """How many images are asked for at least, by label; a name that no image has stands for itself.

    `kinds` are those of the labels there are.
    """
    asked: dict[str, int] = {}
    for names, meant in ((minimum, ("class", "type", "tag")), (rules.classes if rules else {}, ("class",))):
        for name, number in names.items():
            labels = [label for label, kind in kinds.items() if kind in meant and is_called(label, name)]
            asked |= {label: max(number, asked.get(label, 0)) for label in labels or [name]}
    if rules is not None:
        types = (label for label, kind in kinds.items() if kind == "type")
        asked |= {label: max(rules.types, asked.get(label, 0)) for label in types}
    return asked


def shortages(census: Census, minimum: Mapping[str, int], profile: Profile | None, held_out: set[str]) -> list[Json]:
    """What a side has too few of, or too many, one finding a label; `held_out` are the sides that are asked for."""
    findings: list[Json] = []
    alone = "test" not in held_out and not census.images["test"]
    for side in SIDES:
        rules = rules_of(profile, side, alone=alone)
        for label, number in sorted(least_of(census.kinds, minimum if side in held_out else {}, rules).items()):
            have = census.labels[side, label]
            if have < number:
                findings.append({"split": side, "label": label, "images": have, "at-least": number})
        if rules is not None:
            for what, have, most in (
                ("images", census.images[side], rules.most),
                ("images with masks", census.masks[side], rules.most_masks),
            ):
                if have > most:
                    findings.append({"split": side, "label": what, "images": have, "at-most": most})
    return findings
