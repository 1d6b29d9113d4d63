"""The report of a version: read back from what was committed, so that it can be written at any time after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.origin import names_of
from imageyard.ray_jobs.report import render
from imageyard.ray_jobs.report_data import Picture, Rejection, Report
from imageyard.ray_jobs.state import CAPTION, REJECTION, TAGS, class_of
from imageyard.ray_jobs.work import Tally

T = TypeVar("T")

KEPT_SHOWN, REJECTED_SHOWN, GROUPS_SHOWN, SIZES_SHOWN = 60, 48, 40, 2000


@dataclass(frozen=True)
class _Line:
    key: str
    role: Role
    sample: Sample


def report_of(dataset: Dataset, version: Version, tally: Tally, waiting: Sequence[tuple[str, str]]) -> bytes:
    """The HTML report of `version`; `tally` is the work of the run that made it, `waiting` what it left behind."""
    lines = [_Line(s.key, role, s.forget()) for role in ROLES for s in dataset.read(version, role)]
    lines.sort(key=lambda line: line.key)
    kept = [line for line in lines if line.role != "rejected"]
    reasons = {line.key: _rejection(line.sample) for line in lines if line.role == "rejected"}
    copies: dict[str, list[_Line]] = {}
    refused: list[_Line] = []
    for line in lines:
        reason = reasons.get(line.key)
        if reason is not None and reason.kept is not None:
            copies.setdefault(reason.kept, []).append(line)
        elif reason is not None:
            refused.append(line)
    by_key = {line.key: line for line in lines}
    groups = [(by_key[witness], dropped) for witness, dropped in sorted(copies.items()) if witness in by_key]
    shown_kept, shown_refused = _spread(kept, KEPT_SHOWN), _spread(refused, REJECTED_SHOWN)
    shown_groups = _spread(groups, GROUPS_SHOWN)
    shown = [*shown_kept, *shown_refused, *(line for witness, more in shown_groups for line in (witness, *more))]
    looks = _looks(dataset, version, [line.key for line in shown])
    sizes = _columns(dataset, version, "probe", [line.key for line in _spread(kept, SIZES_SHOWN)], ["width", "height"])

    def picture(line: _Line) -> Picture:
        return _picture(line, looks.get(line.key, {}), reasons.get(line.key))

    checks = Counter(reason.check for reason in reasons.values())
    stages = Counter(reason.step for reason in reasons.values())
    readable = len(lines) - stages["ingest"]
    passed = readable - sum(count for step, count in stages.items() if step not in ("ingest", "dedup"))
    unique = passed - stages["dedup"]
    funnel = (("images", len(lines)), ("readable", readable), ("passed", passed), ("unique", unique))
    return render(
        Report(
            dataset=dataset.url,
            version=version.number,
            parent=version.parent,
            job=version.job,
            created=version.created,
            recipe=_recipe_text(version.recipe),
            counts=_tiles(version, len(lines), len(kept), stages),
            rejected_by_check=tuple(sorted(checks.items(), key=lambda found: (-found[1], found[0]))),
            roles=tuple((role, version.manifests[role].lines) for role in ROLES if role in version.manifests),
            tags=_tag_counts(kept),
            labels=_label_counts(kept),
            sizes=tuple((w, h) for w, h in zip(sizes["width"], sizes["height"], strict=True) if w and h),
            distances=tuple(sorted(r.distance for r in reasons.values() if r.distance is not None)),
            work=tuple((name.replace("_", " "), float(count)) for name, count in asdict(tally).items()),
            kept=tuple(map(picture, shown_kept)),
            rejected=tuple(map(picture, shown_refused)),
            duplicates=tuple((picture(witness), tuple(map(picture, more))) for witness, more in shown_groups),
            waiting=tuple(waiting),
            shown=(len(kept), len(refused), len(groups)),
            within=_within(version.recipe),
            funnel=funnel,
        )
    )


def _tiles(version: Version, images: int, kept: int, stages: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    refused = sum(count for step, count in stages.items() if step != "dedup")
    return (
        ("found in the drop folder", version.counts.get("found", 0)),
        ("exact copies", version.counts.get("exact-copies", 0)),
        ("images in the dataset", images),
        ("rejected", refused),
        ("near duplicates", stages.get("dedup", 0)),
        ("kept", kept),
    )


def _picture(line: _Line, look: Mapping[str, Any], rejection: Rejection | None) -> Picture:
    sample = line.sample
    names, caption = names_of(sample), sample.value(CAPTION)
    classes = class_of(sample).split("\n")[0]
    return Picture(
        name=names[0] if names else sample.source_ref.rsplit("/", 1)[-1],
        sha256=line.key,
        source_ref=sample.source_ref,
        thumbnail=look.get("jpeg"),
        width=look.get("width"),
        height=look.get("height"),
        role=line.role,
        caption=caption if isinstance(caption, str) else None,
        tags=tags_of(sample),
        label=classes.partition("=")[2] or None,
        rejection=rejection,
    )


def tags_of(sample: Sample) -> tuple[tuple[str, float], ...]:
    """(tag, score) of a sample's tags, by falling score."""
    metadata = sample.metadata(TAGS) or {}
    names, scores = metadata.get("class-map"), metadata.get("confidence-map", {})
    if not isinstance(names, dict):
        return ()
    found = [(str(name), float(scores.get(index, 0))) for index, name in names.items()]
    return tuple(sorted(found, key=lambda tag: (-tag[1], tag[0])))


def _rejection(sample: Sample) -> Rejection:
    value = sample.value(REJECTION)
    said: dict[str, Any] = value if isinstance(value, dict) else {}
    return Rejection(
        check=str(said.get("check", "unknown")),
        reason=str(said.get("reason", "")),
        step=str(said.get("step", "")),
        kept=said.get("kept"),
        distance=said.get("measured") if said.get("kept") else None,
    )


def _tag_counts(kept: Sequence[_Line]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for line in kept:
        counts.update(name for name, _ in tags_of(line.sample))
        line.sample.forget()
    return tuple(sorted(counts.items(), key=lambda found: (-found[1], found[0])))


def _label_counts(kept: Sequence[_Line]) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    counts: dict[str, Counter[str]] = {}
    for line in kept:
        name = class_of(line.sample).split("\n")[0].partition("=")[2]
        if name:
            counts.setdefault(name, Counter())[line.role] += 1
        line.sample.forget()
    return tuple((name, tuple(sorted(found.items()))) for name, found in sorted(counts.items()))


def _looks(dataset: Dataset, version: Version, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    sizes = _columns(dataset, version, "probe", keys, ["width", "height"])
    pictures = _columns(dataset, version, "thumbnail", keys, ["jpeg"])
    rows = zip(keys, sizes["width"], sizes["height"], pictures["jpeg"], strict=True)
    return {key: {"width": width, "height": height, "jpeg": jpeg} for key, width, height, jpeg in rows}


def _columns(
    dataset: Dataset, version: Version, extractor: str, keys: Sequence[str], names: Sequence[str]
) -> dict[str, list[Any]]:
    identity = version.extractors.get(extractor)
    if identity is None:
        return {name: [None] * len(keys) for name in names}
    table = facts.read(dataset.store, identity, keys, names)
    return {name: table.column(name).to_pylist() for name in names}


def _within(recipe: Mapping[str, Any]) -> int | None:
    return next((step["dedup"]["within"] for step in recipe.get("steps", ()) if "dedup" in step), None)


def _recipe_text(recipe: Mapping[str, Any]) -> str:
    """The recipe as YAML, a step a line; JSON values are YAML."""
    lines = [f"dataset: {recipe.get('dataset')}", "steps:"]
    for step in recipe.get("steps", ()):
        for kind, parameters in step.items():
            lines.append(f"  - {kind}: {json.dumps(parameters, ensure_ascii=False)}")
    return "\n".join(lines)


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly from the whole."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]
