"""Ingest: drop-folder objects become samples named by their content; what cannot be read is rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from imageyard.manifests.sample import CONTENT, Json, Sample
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.extractors.thumbnail import Thumbnail
from imageyard.ray_jobs.ingest_facts import image_key
from imageyard.ray_jobs.state import (
    CAPTION,
    CUSTOM,
    ONE_LABEL,
    ORIGIN,
    REJECTION,
    Rejection,
    Stamp,
    State,
    World,
    labelled,
)
from imageyard.ray_jobs.steps.base import Step

DROP = "drop/"
LOOKOUT_LABEL = "anomaly-label"
FOLDER_LABEL = "label"
LOOKOUT_CLASSES = ("normal", "anomaly")
"""Lookout for Vision's classes; their places are the label values its exports write."""


class Ingest(Step):
    """Take in what lies in the drop folder."""

    kind: ClassVar[str] = "ingest"

    labels: Literal["lookout", "folder", "none"] = "lookout"
    """Which first-level folders of the drop folder are class labels: `normal` and `anomaly`, all, or none."""
    thumbnail: int = Field(default=160, ge=32, le=1024)
    """The longest side, in pixels, of the small pictures that reports show."""

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (Probe(), Thumbnail(side=self.thumbnail))

    def decide(self, state: State, world: World) -> State:
        """Reject what could not be decoded, with the reason that was measured."""
        errors = world.columns(Probe.name, state.keys, ["bytes"])
        rejections = list(state.rejections)
        for row, error in enumerate(errors[facts.ERROR]):
            if rejections[row] is not None or state.samples[row].value(CONTENT) is None:
                continue
            if error is not None:
                check, _, reason = str(error).partition(": ")
                rejections[row] = Rejection(self.kind, check, reason)
            elif errors["bytes"][row] is None:
                rejections[row] = Rejection(self.kind, "missing", "the object is no longer in the store")
        return replace(state, rejections=rejections)

    def take_in(self, state: State, events: Sequence[Mapping[str, Any]], world: World) -> State:
        """The state with a sample for every new content; `events` are rows of ingest facts, in order of key."""
        by_key: dict[str, Sample] = dict(zip(state.keys, state.samples, strict=True))
        rejected: dict[str, Rejection | None] = dict(zip(state.keys, state.rejections, strict=True))
        classes = _classes(state.samples, events) if self.labels == "folder" else {}
        for event in events:
            sample = self._sample(event, by_key, world)
            sample = _named(sample, event["key"], event["etag"], world.stamp)
            sample = self._labelled(sample, event["key"], classes, world.stamp)
            if event["caption"]:
                source = (event["caption_key"], event["caption_etag"])
                sample = captioned(sample, event["caption"], source, world.stamp)
            key = sample.key
            by_key[key] = sample
            refused = event["check"] is not None
            rejected.setdefault(key, Rejection(self.kind, event["check"], event["reason"]) if refused else None)
        keys = sorted(by_key)
        return State(
            keys=keys,
            samples=[by_key[key].forget() for key in keys],
            rejections=[rejected[key] for key in keys],
            groups=range(len(keys)),
        )

    def _sample(self, event: Mapping[str, Any], known: Mapping[str, Sample], world: World) -> Sample:
        if event["content"] is None:
            return Sample.of(world.store.address(event["key"]))
        if event["content"] in known:
            return known[event["content"]]
        key = image_key(event["content"], event["extension"])
        return Sample.of(world.store.address(key), **{CONTENT: event["content"]})

    def _labelled(self, sample: Sample, key: str, classes: Mapping[str, int], stamp: Stamp) -> Sample:
        folder = folder_of(key)
        if folder is None or self.labels == "none":
            return sample
        if self.labels == "lookout":
            name = folder.lower()
            if name not in LOOKOUT_CLASSES:
                return sample
            attribute, value = LOOKOUT_LABEL, LOOKOUT_CLASSES.index(name)
        else:
            attribute, name, value = FOLDER_LABEL, folder, classes[folder]
        if sample.metadata(attribute) is not None:  # a person's label, or an earlier name's: the first stays
            return sample
        said = {"class-name": name, "confidence": 1, "human-annotated": "yes"}
        return labelled(sample, attribute, value, stamp.metadata(ONE_LABEL, self.kind, **said))


def folder_of(key: str) -> str | None:
    """The first folder below the drop folder, or None for an object that lies in it directly."""
    parts = key.removeprefix(DROP).split("/")
    return parts[0] if len(parts) > 1 and parts[0] else None


def captioned(sample: Sample, text: str, source: tuple[str, str], stamp: Stamp) -> Sample:
    """`sample` with a person's caption, from the drop-folder object `source`, a (key, ETag)."""
    key, etag = source
    said: dict[str, Json] = {"human-annotated": "yes", ORIGIN: {"name": key.removeprefix(DROP), "etag": etag}}
    return labelled(sample, CAPTION, text, stamp.metadata(CUSTOM, Ingest.kind, **said))


def names_of(sample: Sample) -> list[str]:
    """The names under which an image was dropped, relative to the drop folder; the first is the eldest."""
    return [str(origin["name"]) for origin in _origins(sample)]


def ledger(sample: Sample) -> Iterator[tuple[str, str]]:
    """The drop-folder objects, as (key, ETag), that a sample was made from: its images and its caption."""
    origins = _origins(sample)
    caption = (sample.metadata(CAPTION) or {}).get(ORIGIN)
    for origin in [*origins, caption] if isinstance(caption, dict) else origins:
        yield DROP + str(origin["name"]), str(origin["etag"])


def _origins(sample: Sample) -> list[dict[str, Json]]:
    value = sample.value(ORIGIN)
    return [dict(origin) for origin in value] if isinstance(value, list) else []


def _named(sample: Sample, key: str, etag: str, stamp: Stamp) -> Sample:
    """Record under which name, and as which object, the content came."""
    name = key.removeprefix(DROP)
    origins = _origins(sample)
    known = next((origin for origin in origins if origin["name"] == name), None)
    if known is None:
        origins.append({"name": name, "etag": etag})
    else:
        known["etag"] = etag
    return labelled(sample, ORIGIN, origins, stamp.metadata(CUSTOM, Ingest.kind))


def _classes(samples: Sequence[Sample], events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Class indices: those in use stay, new names follow in alphabetical order."""
    classes: dict[str, int] = {}
    for sample in samples:
        metadata = sample.metadata(FOLDER_LABEL)
        if metadata is not None and isinstance(sample.value(FOLDER_LABEL), int):
            classes[str(metadata.get("class-name"))] = sample.value(FOLDER_LABEL)
    following = max(classes.values(), default=-1) + 1
    names = {folder for event in events if (folder := folder_of(event["key"])) is not None}
    for offset, name in enumerate(sorted(names - classes.keys())):
        classes[name] = following + offset
    return classes


def undecided(sample: Sample, steps: set[str]) -> tuple[Sample, Rejection | None]:
    """A sample of the parent with the rejection that stays: one of a step that will not decide again."""
    value = sample.value(REJECTION)
    if not isinstance(value, dict):
        return sample, None
    again = value.get("step") in steps and sample.value(CONTENT) is not None
    if again:
        return sample, None
    evidence = {key: said for key, said in value.items() if key not in ("step", "check", "reason")}
    return sample, Rejection(str(value.get("step")), str(value.get("check")), str(value.get("reason")), evidence)
