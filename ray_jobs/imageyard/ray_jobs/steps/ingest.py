"""Ingest: drop-folder objects become samples named by their content; what cannot be read is rejected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from imageyard.manifests.sample import CONTENT, Sample
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.extractors.thumbnail import Thumbnail
from imageyard.ray_jobs.ingest_facts import image_key
from imageyard.ray_jobs.origin import DROP, captioned, folders_of, held_names, named, overwritten, successor
from imageyard.ray_jobs.state import ONE_LABEL, SUPERSEDED, Rejection, Stamp, State, World, labelled, unmeasured
from imageyard.ray_jobs.steps.base import Step

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
        """Reject what could not be decoded, with the reason that was measured, and what another has superseded."""
        errors = world.columns(Probe.name, state.keys, ["bytes"])
        rejections = list(state.rejections)
        for row, error in enumerate(errors[facts.ERROR]):
            if rejections[row] is not None or state.samples[row].value(CONTENT) is None:
                continue
            rejections[row] = unmeasured(self.kind, error, errors["bytes"][row]) or _superseded(state.samples[row])
        return replace(state, rejections=rejections)

    def take_in(self, state: State, events: Sequence[Mapping[str, Any]], world: World) -> State:
        """The state with a sample for every new content; `events` are rows of ingest facts, in order of key.

        A name belongs to the readable content that came under it last: the one before has lost that name. An
        unreadable one takes nobody's place, so that a broken upload does not cost a good picture.
        """
        holders = _holders(state.samples) if events else {}
        readable = self._readable(events, world)
        by_key: dict[str, Sample] = dict(zip(state.keys, state.samples, strict=True))
        rejected: dict[str, Rejection | None] = dict(zip(state.keys, state.rejections, strict=True))
        for event in events:
            sample = self._sample(event, by_key, world)
            sample = named(sample, event["key"], event["etag"], world.stamp)
            if event["caption"]:
                source = (event["caption_key"], event["caption_etag"])
                sample = captioned(sample, event["caption"], source, world.stamp)
            key = sample.key
            by_key[key] = sample
            if event["check"] is not None:
                rejected[key] = Rejection(self.kind, event["check"], event["reason"], unread=True)
            rejected.setdefault(key, None)
            name = event["key"].removeprefix(DROP)
            for other in holders.get(name, ()) if event["content"] in readable else ():
                if other != key:
                    by_key[other] = overwritten(by_key[other], name, key, world.stamp).forget()
        keys = sorted(by_key)
        classes = _classes(by_key.values()) if self.labels == "folder" else {}
        return State(
            keys=keys,
            samples=[self._labelled(by_key[key], classes, world.stamp).forget() for key in keys],
            rejections=[rejected[key] for key in keys],
            groups=range(len(keys)),
        )

    def _readable(self, events: Sequence[Mapping[str, Any]], world: World) -> set[str]:
        """Of the contents that came, those that could be decoded."""
        contents = sorted({event["content"] for event in events if event["content"] is not None})
        said = world.columns(Probe.name, contents, ["bytes"]) if contents else {facts.ERROR: [], "bytes": []}
        return {
            content
            for content, error, known in zip(contents, said[facts.ERROR], said["bytes"], strict=True)
            if unmeasured(self.kind, error, known) is None
        }

    def _sample(self, event: Mapping[str, Any], known: Mapping[str, Sample], world: World) -> Sample:
        if event["content"] is None:
            return Sample.of(world.store.address(event["key"]))
        if event["content"] in known:
            return known[event["content"]]
        key = image_key(event["content"], event["extension"])
        return Sample.of(world.store.address(key), **{CONTENT: event["content"]})

    def _labelled(self, sample: Sample, classes: Mapping[str, int], stamp: Stamp) -> Sample:
        """`sample` with the class of the first folder it came in that is one, unless it has a class already."""
        attribute = LOOKOUT_LABEL if self.labels == "lookout" else FOLDER_LABEL
        if self.labels == "none" or sample.metadata(attribute) is not None:
            return sample
        for folder in folders_of(sample):
            name = folder.lower() if self.labels == "lookout" else folder
            if self.labels == "lookout" and name not in LOOKOUT_CLASSES:
                continue
            value = LOOKOUT_CLASSES.index(name) if self.labels == "lookout" else classes[name]
            said = {"class-name": name, "confidence": 1, "human-annotated": "yes"}
            return labelled(sample, attribute, value, stamp.metadata(ONE_LABEL, self.kind, **said))
        return sample


def _superseded(sample: Sample) -> Rejection | None:
    """Why a sample is out of which every name has come again with another content."""
    found = successor(sample)
    if found is None:
        return None
    name, newer = found
    reason = f"{name} was overwritten with another picture, {newer[:12]}"
    return Rejection(Ingest.kind, SUPERSEDED, reason, {"name": name, "newer": newer})


def _holders(samples: Iterable[Sample]) -> dict[str, list[str]]:
    """By name, the keys of the samples that hold it; more than one where an unreadable one came last."""
    holders: dict[str, list[str]] = {}
    for sample in samples:
        for name in held_names(sample):
            holders.setdefault(name, []).append(sample.key)
        sample.forget()
    return holders


def _classes(samples: Iterable[Sample]) -> dict[str, int]:
    """Class indices: those in use stay, new names follow in alphabetical order."""
    classes: dict[str, int] = {}
    names: set[str] = set()
    for sample in samples:
        metadata = sample.metadata(FOLDER_LABEL)
        if metadata is not None and isinstance(sample.value(FOLDER_LABEL), int):
            classes[str(metadata.get("class-name"))] = sample.value(FOLDER_LABEL)
        names.update(folders_of(sample))
    following = max(classes.values(), default=-1) + 1
    for offset, name in enumerate(sorted(names - classes.keys())):
        classes[name] = following + offset
    return classes
