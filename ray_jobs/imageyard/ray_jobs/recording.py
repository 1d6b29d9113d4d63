"""What of the final state is recorded: a line for every sample, by role, and the counts of the version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role
from imageyard.ray_jobs.state import CAPTION, CUSTOM, REJECTION, SPLIT, TAGS, State, World, labelled


def lines_of(state: State, world: World, before: Mapping[str, Sample]) -> Iterator[tuple[Role, Sample]]:
    """Every sample with its role, in order of key; one that says what it said `before` is that one, byte for byte."""
    for sample, rejection in zip(state.samples, state.rejections, strict=True):
        if rejection is not None:
            metadata = world.stamp.metadata(CUSTOM, rejection.step)
            yield "rejected", labelled(sample, REJECTION, rejection.value(), metadata)
        else:
            split = sample.value(SPLIT)
            kept, old = sample.without(REJECTION), before.get(sample.key)
            yield split if split in ROLES else "unsplit", settled(kept, old) if old else kept
        sample.forget()


def settled(sample: Sample, old: Sample) -> Sample:
    """`sample`, where a pair that says what it said in `old` has that one's date and job; `old` if that makes it the
    same."""
    if sample.line == old.line:
        return old
    for name in sample.label_names:
        now, then = dict(sample.metadata(name) or {}), old.metadata(name)
        if then is None or now == then or sample.value(name) != old.value(name):
            continue
        if {**now, **{member: then.get(member) for member in _PROVENANCE}} == then:
            sample = sample.with_label(name, old.value(name), then)
    old.forget()
    return old if old.data == sample.data else sample


_PROVENANCE = ("creation-date", "job-name")


def counts_of(state: State, events: Sequence[Mapping[str, Any]], known: Set[str]) -> dict[str, int]:
    """What the version record says of the job: of the drop folder, then of the whole version."""
    contents = {event["content"] or event["key"] for event in events}
    captions = sum(bool(state.samples[row].value(CAPTION)) for row in state.standing)
    checks = Counter(rejection.check for rejection in state.rejections if rejection is not None)
    return {
        "found": len(events),
        "new": sum(key not in known for key in state.keys),
        "exact-copies": len(events) - len(contents),
        "tags": sum(len(state.samples[row].value(TAGS) or ()) for row in state.standing),
        **({"captions": captions} if captions else {}),
        **{f"rejected-{check}": count for check, count in sorted(checks.items())},
    }
