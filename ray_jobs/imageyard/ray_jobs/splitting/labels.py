"""What a split is stratified by: the classes of a sample, its anomaly types and its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.state import MANY_LABELS, ONE_LABEL, class_of

MASK = "groundtruth/semantic-segmentation"
BACKGROUND = "background"
"""What masks call that which is no anomaly, in any case."""

AMONG = " among others"
"""What follows a type's name where an image shows several."""

Kind = Literal["class", "type", "tag"]
"""Of classes a sample has at most one an attribute, of types at most one; of tags as many as it likes."""


def labels_of(sample: Sample) -> dict[str, Kind]:
    """The labels of a sample, as `attribute=name`.

    Classes are the single labels that a person gave, tags those of multi-label attributes. A type is what the colour
    map of a mask lists besides the background; as in Lookout's counts only an image with exactly one type counts, so
    several are tags, `attribute=name among others`.
    """
    labels: dict[str, Kind] = {}
    types: dict[str, str] = {}
    classified = False
    for member, metadata in sample.data.items():
        if not member.endswith("-metadata") or not isinstance(metadata, dict):
            continue
        attribute, kind = member.removesuffix("-metadata"), str(metadata.get("type", "")).lower()
        by_person = metadata.get("human-annotated") == "yes"
        if kind == MASK:
            colours = metadata.get("internal-color-map")
            entries = colours.values() if isinstance(colours, dict) else ()
            names = sorted(str(entry.get("class-name")) for entry in entries if isinstance(entry, dict))
            types |= {name: f"{attribute}={name}" for name in names if name.lower() != BACKGROUND}
        elif kind == MANY_LABELS and by_person:
            chosen = metadata.get("class-map")
            if isinstance(chosen, dict):
                labels |= dict.fromkeys([f"{attribute}={name}" for name in chosen.values()], "tag")
        classified |= kind == ONE_LABEL and by_person
    if classified and (classes := class_of(sample)):
        labels |= dict.fromkeys(classes.split("\n"), "class")
    if len(types) == 1:
        labels |= dict.fromkeys(types.values(), "type")
    else:
        labels |= dict.fromkeys((name + AMONG for name in types.values()), "tag")
    return labels


def shows_anomaly(labels: Mapping[str, Kind]) -> bool:
    """Whether a mask shows any anomaly type."""
    return any(kind == "type" or label.endswith(AMONG) for label, kind in labels.items())


def is_called(label: str, name: str) -> bool:
    """Whether a person who writes `name` means `label`: its class alone, or attribute and class."""
    return name in (label, label.partition("=")[2])
