"""Merging: what people said about a dropped copy is not lost, the kept one says it too, and says from whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.state import CAPTION, MANY_LABELS, ONE_LABEL, by_person

MERGED = "merged-from"
OWN = "merged-into"
"""Members of a pair's metadata: the sha256 of the images it was taken from, and what the image said by itself."""


def merged(sample: Sample, copies: Sequence[Sample], policy: Collection[str]) -> Sample:
    """`sample` with what people said about its `copies`, the best first, and not about itself.

    `caption`: the longest caption; `labels`: single-label classes; `tags`: multi-label classes, added to its own.
    Model output is never merged: it is measured again.
    """
    if "caption" in policy and not by_person(sample, CAPTION):
        captioned = [copy for copy in copies if by_person(copy, CAPTION) and isinstance(copy.value(CAPTION), str)]
        if captioned:
            sample = _taken(sample, CAPTION, max(captioned, key=lambda copy: len(copy.value(CAPTION))))
    for name in dict.fromkeys(name for copy in copies for name in copy.label_names):
        sayers = [copy for copy in copies if by_person(copy, name)]
        kinds = {str((copy.metadata(name) or {}).get("type", "")).lower() for copy in sayers}
        if kinds == {ONE_LABEL} and "labels" in policy and not by_person(sample, name):
            sample = _taken(sample, name, sayers[0])
        elif kinds == {MANY_LABELS} and "tags" in policy:
            sample = _joined(sample, name, sayers)
    return sample


def unmerged(sample: Sample, names: Collection[str] | None = None) -> Sample:
    """`sample` as it was before any merging, a decision that is taken anew; of these attributes, or of all."""
    if MERGED.encode() not in sample.line:
        return sample
    for name in sample.label_names if names is None else names:
        metadata = sample.metadata(name) or {}
        if MERGED not in metadata:
            continue
        own: Any = metadata.get(OWN)
        sample = sample.without(name)
        if isinstance(own, dict):
            sample = sample.with_label(name, own["value"], own["metadata"])
    return sample


def _own(sample: Sample, name: str) -> dict[str, Json]:
    """What the sample says by itself, to be put back; nothing if it says nothing."""
    metadata = sample.metadata(name)
    return {} if metadata is None else {OWN: {"value": sample.value(name), "metadata": dict(metadata)}}


def _taken(sample: Sample, name: str, copy: Sample) -> Sample:
    metadata = {**(copy.metadata(name) or {}), **_own(sample, name), MERGED: [copy.key]}
    return sample.with_label(name, copy.value(name), metadata)


def _joined(sample: Sample, name: str, sayers: Sequence[Sample]) -> Sample:
    """The union of classes, where the class maps say the same; a copy whose map differs is left out."""
    metadata: dict[str, Any] = dict(sample.metadata(name) or {})
    own = _own(sample, name)
    mine = by_person(sample, name)
    values: list[Any] = list(sample.value(name) or []) if mine else []
    classes: dict[str, Any] = dict(metadata.get("class-map") or {}) if mine else {}
    scores: dict[str, Any] = dict(metadata.get("confidence-map") or {}) if mine else {}
    givers = []
    for copy in sayers:
        theirs: Mapping[str, Any] = copy.metadata(name) or {}
        known: Mapping[str, Any] = theirs.get("class-map") or {}
        agree = all(classes.get(index, said) == said for index, said in known.items())
        new = [value for value in copy.value(name) or [] if value not in values]
        if not agree or not new:
            continue
        values += new
        classes |= {str(value): known[str(value)] for value in new if str(value) in known}
        scores |= {key: score for key, score in (theirs.get("confidence-map") or {}).items() if key not in scores}
        givers.append(copy.key)
        metadata = metadata if mine else {**theirs}
    if not givers:
        return sample
    metadata |= {"class-map": classes, "confidence-map": scores, **own, MERGED: givers}
    return sample.with_label(name, sorted(values), metadata)
