"""A line of a manifest as a picture of the report: its names, tags, rating, boxes, and how it looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Json, Sample
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.caption_text import same_as
from imageyard.ray_jobs.likeness import Dropped
from imageyard.ray_jobs.origin import names_of
from imageyard.ray_jobs.report_data import Box, Picture, Rejection
from imageyard.ray_jobs.state import CAPTION, MANY_LABELS, RATING, REJECTION, TAGS, by_person, class_of
from imageyard.ray_jobs.steps.detect import BOXES
from imageyard.ray_jobs.tagging.existing import pieces_said

BOXES_SHOWN = 24
"""Boxes drawn over one picture."""


@dataclass(frozen=True)
class Line:
    key: str
    role: Role
    sample: Sample


def picture_of(line: Line, look: Mapping[str, Any], rejection: Rejection | None) -> Picture:
    """The picture of `line`; `look` is its row of `looks`."""
    sample = line.sample
    names, caption = names_of(sample), sample.value(CAPTION)
    classes = class_of(sample).split("\n")[0]
    width, height = look.get("width"), look.get("height")
    tags, people = _all_tags(sample)
    boxes = boxes_of(sample, (width, height))
    return Picture(
        name=names[0] if names else sample.source_ref.rsplit("/", 1)[-1],
        sha256=line.key,
        source_ref=sample.source_ref,
        thumbnail=look.get("jpeg"),
        width=width,
        height=height,
        role=line.role,
        caption=caption if isinstance(caption, str) else None,
        tags=tags,
        label=classes.partition("=")[2] or None,
        rejection=rejection,
        also=tuple(names[1:]),
        people=people,
        rating=rating_of(sample),
        boxes=tuple(boxes[:BOXES_SHOWN]),
        boxes_more=max(0, len(boxes) - BOXES_SHOWN),
    )


def tags_of(sample: Sample, name: str = TAGS) -> tuple[tuple[str, float], ...]:
    """(tag, score) of a sample's tags, by falling score, 0 where none is said; `name` is another multi-label pair."""
    metadata = sample.metadata(name) or {}
    names, scores = metadata.get("class-map"), metadata.get("confidence-map")
    if not isinstance(names, dict):
        return ()
    scores = scores if isinstance(scores, dict) else {}
    found = [(str(said), _number(scores.get(index)) or 0.0) for index, said in names.items()]
    return tuple(sorted(found, key=lambda tag: (-tag[1], tag[0])))


def _all_tags(sample: Sample) -> tuple[tuple[tuple[str, float], ...], frozenset[str]]:
    """The tags of a sample, those of people's other multi-label pairs among them, and which of them people gave.

    What a person's caption lists are tags of people, whatever a model says of them too.
    """
    found = dict(tags_of(sample))
    people = set(found) if by_person(sample, TAGS) else set()
    for name in sample.label_names:
        kind = str((sample.metadata(name) or {}).get("type", "")).lower()
        if name != TAGS and kind == MANY_LABELS and by_person(sample, name):
            given = dict(tags_of(sample, name))
            people |= given.keys()
            found = given | found
    listed = {same_as(piece) for piece in pieces_said(sample)}
    people |= {tag for tag in found if same_as(tag) in listed} if listed else set()
    return tuple(sorted(found.items(), key=lambda tag: (-tag[1], tag[0]))), frozenset(people)


def rating_of(sample: Sample) -> tuple[str, float] | None:
    """The rating and its score, 0 where none is said."""
    metadata = sample.metadata(RATING) or {}
    name = metadata.get("class-name")
    return None if name is None else (str(name), _number(metadata.get("confidence")) or 0.0)


def boxes_of(sample: Sample, size: tuple[int | None, int | None]) -> list[Box]:
    """The boxes of all pairs of type object-detection, as far as they lie inside the picture.

    Pixels are those of the pair's `image_size`, or where it has none, of a picture of `size` (width, height).
    """
    found: list[Box] = []
    for name in sample.label_names:
        metadata, value = sample.metadata(name) or {}, sample.value(name)
        if str(metadata.get("type", "")).lower() != BOXES or not isinstance(value, dict):
            continue
        frame = _frame(value.get("image_size"), size)
        annotations = value.get("annotations")
        objects = metadata.get("objects") if metadata.get("scored") != "no" else None
        if frame is None or not isinstance(annotations, list):
            continue
        classes = metadata.get("class-map")
        for at, said in enumerate(annotations):
            about = objects[at] if isinstance(objects, list) and at < len(objects) else None
            box = _box(said, frame, classes if isinstance(classes, dict) else {}, about)
            if box is not None:
                found.append(box)
    return found


def _frame(said: Json, size: tuple[int | None, int | None]) -> tuple[float, float] | None:
    """Width and height of the picture that boxes are measured in."""
    one = said[0] if isinstance(said, list) and said else said
    width, height = (one.get("width"), one.get("height")) if isinstance(one, dict) else size
    across, down = _number(width), _number(height)
    return (across, down) if across and down and across > 0 and down > 0 else None


def _box(said: Json, frame: tuple[float, float], classes: Mapping[str, Json], about: Json) -> Box | None:
    if not isinstance(said, dict):
        return None
    left, top, width, height = (_number(said.get(side)) for side in ("left", "top", "width", "height"))
    if left is None or top is None or width is None or height is None:
        return None
    right, bottom = min(1.0, (left + width) / frame[0]), min(1.0, (top + height) / frame[1])
    left, top = max(0.0, left / frame[0]), max(0.0, top / frame[1])
    if right <= left or bottom <= top:
        return None
    label = classes.get(str(said.get("class_id")), said.get("class_id"))
    score = _number(about.get("confidence")) if isinstance(about, dict) else None
    return Box("?" if label is None else str(label), left, top, right - left, bottom - top, score)


def _number(said: Json) -> float | None:
    """A finite JSON number, or None."""
    good = isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said)
    return float(said) if good else None


def rejection_of(sample: Sample, copy: Dropped | None) -> Rejection:
    """Why a rejected sample is out, and as which copy of another one, if it is one."""
    said: Any = sample.value(REJECTION)
    said = said if isinstance(said, dict) else {}
    why = Rejection(str(said.get("check", "unknown")), str(said.get("reason", "")), str(said.get("step", "")))
    return why if copy is None else replace(why, kept=copy.witness, apart=copy.apart, because=copy.because)


def looks(dataset: Dataset, version: Version, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By key the picture's own `width` and `height` in pixels, and its thumbnail, `jpeg`; None where unknown."""
    sizes = columns_of(dataset, version, "probe", keys, ["width", "height"])
    pictures = columns_of(dataset, version, "thumbnail", keys, ["jpeg"])
    rows = zip(keys, sizes["width"], sizes["height"], pictures["jpeg"], strict=True)
    return {key: {"width": width, "height": height, "jpeg": jpeg} for key, width, height, jpeg in rows}


def columns_of(
    dataset: Dataset, version: Version, extractor: str, keys: Sequence[str], names: Sequence[str]
) -> dict[str, list[Any]]:
    """Facts of a version as lists aligned with `keys`; None where there are none."""
    identity = version.extractors.get(extractor)
    if identity is None:
        return {name: [None] * len(keys) for name in names}
    table = facts.read(dataset.store, identity, keys, names)
    return {name: table.column(name).to_pylist() for name in names}
