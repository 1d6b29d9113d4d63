"""The report of a version: read back from what was committed, so that it can be written at any time after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.duplicates import Apart, Dropped, Duplicates, Group, gathered
from imageyard.ray_jobs.origin import names_of
from imageyard.ray_jobs.report import render
from imageyard.ray_jobs.report_data import Alike, Picture, Rejection, Report, Totals
from imageyard.ray_jobs.report_text import promises, value
from imageyard.ray_jobs.state import CAPTION, REJECTION, TAGS, class_of
from imageyard.ray_jobs.work import Tally

T = TypeVar("T")

KEPT_SHOWN, REJECTED_SHOWN, SIZES_SHOWN = 60, 48, 2000
FINDINGS_SHOWN, GROUPS_SHOWN, PICTURES_SHOWN = 20, 40, 8
"""Label conflicts, likenesses or pictures of other datasets; groups; pictures of one group."""


@dataclass(frozen=True)
class _Line:
    key: str
    role: Role
    sample: Sample


def report_of(dataset: Dataset, version: Version, tally: Tally, waiting: Sequence[tuple[str, str]]) -> bytes:
    """The HTML report of `version`; `tally` is the work of the run that made it, `waiting` what it left behind."""
    lines = [_Line(s.key, role, s.forget()) for role in ROLES for s in dataset.read(version, role)]
    lines.sort(key=lambda line: line.key)
    by_key = {line.key: line for line in lines}
    by_role: dict[Role, list[Sample]] = {role: [] for role in ROLES}
    for line in lines:
        by_role[line.role].append(line.sample)
    kept = [line for line in lines if line.role != "rejected"]
    found = gathered(version, by_role.__getitem__)
    copies = {m.key: m.dropped for group in found.groups for m in group.dropped if m.dropped is not None}
    aside = copies.keys() | {one.member.key for one in found.foreign}
    reasons = {line.key: _rejection(line.sample, copies.get(line.key)) for line in lines if line.role == "rejected"}
    refused = [line for line in lines if line.role == "rejected" and line.key not in aside]
    shown_kept, shown_refused = _spread(kept, KEPT_SHOWN), _spread(refused, REJECTED_SHOWN)
    alike = _alike(found)
    units = {name: blocks[: GROUPS_SHOWN if name == "duplicates" else FINDINGS_SHOWN] for name, blocks in alike.items()}
    inside = [by_key[key] for blocks in units.values() for block in blocks for key in block.keys]
    looks = _looks(dataset, version, [line.key for line in (*shown_kept, *shown_refused, *inside)])
    sizes = columns_of(
        dataset, version, "probe", [line.key for line in _spread(kept, SIZES_SHOWN)], ["width", "height"]
    )

    def picture(line: _Line) -> Picture:
        return _picture(line, looks.get(line.key, {}), reasons.get(line.key))

    def pictured(name: str) -> tuple[Alike, ...]:
        return tuple(block.shown(lambda key: picture(by_key[key])) for block in units[name])

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
            counts=_tiles(version, len(lines), len(kept), found),
            rejected_by_check=tuple(sorted(checks.items(), key=lambda found: (-found[1], found[0]))),
            roles=tuple((role, version.manifests[role].lines) for role in ROLES if role in version.manifests),
            tags=_tag_counts(kept),
            labels=_label_counts(kept),
            sizes=tuple((w, h) for w, h in zip(sizes["width"], sizes["height"], strict=True) if w and h),
            distances=tuple(sorted(int(c.apart.distance) for c in copies.values() if c.apart.tier == "copy")),
            work=tuple((name.replace("_", " "), float(count)) for name, count in asdict(tally).items()),
            kept=tuple(map(picture, shown_kept)),
            rejected=tuple(map(picture, shown_refused)),
            duplicates=pictured("duplicates"),
            waiting=tuple(waiting),
            shown=Totals(len(kept), len(refused), **{name: len(blocks) for name, blocks in alike.items()}),
            within=_within(version.recipe),
            funnel=funnel,
            conflicts=pictured("conflicts"),
            likenesses=pictured("likenesses"),
            foreign=pictured("foreign"),
            promises=promises(version.certificates.get("dedup", {})),
            split=_facts(version.certificates.get("split", {})),
        )
    )


@dataclass(frozen=True)
class _Block:
    """What becomes an Alike, by the keys of its pictures."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    apart: Apart | None = None
    classes: tuple[str, ...] = ()
    other: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return self.kept[:PICTURES_SHOWN] + self.dropped[:PICTURES_SHOWN]

    def shown(self, picture: Callable[[str], Picture]) -> Alike:
        kept, dropped = (tuple(map(picture, keys[:PICTURES_SHOWN])) for keys in (self.kept, self.dropped))
        return Alike(kept, dropped, len(self.dropped) - len(dropped), self.apart, self.classes, self.other)


def _alike(found: Duplicates) -> dict[str, list[_Block]]:
    """What is alike, by the part of the report that shows it."""
    whole = [group for group in found.groups if group.classes]
    others = [group for group in found.groups if not group.classes]
    return {
        "conflicts": [
            _Block(
                tuple(member.key for member in group.members if member.dropped is None),
                tuple(member.key for member in group.dropped),
                group.alike[0].apart if group.alike else None,
                group.classes,
            )
            for group in whole
        ],
        "duplicates": [block for group in others for block in _stars(group)],
        "likenesses": [_Block((pair.first, pair.second), apart=pair.apart) for group in others for pair in group.alike],
        "foreign": [
            replace(
                _Block((), (one.member.key,)) if one.member.role == "rejected" else _Block((one.member.key,)),
                apart=one.apart,
                other=one.version,
            )
            for one in found.foreign
        ],
    }


def _stars(group: Group) -> Iterator[_Block]:
    """Each kept image with those that were dropped for it, the most doubtful first."""
    stars: dict[str, list[str]] = {}
    kept = {member.key for member in group.kept}
    for member in sorted(group.dropped, key=lambda one: (-one.dropped.apart.doubt if one.dropped else 0.0, one.name)):
        if member.dropped is not None and member.dropped.witness in kept:
            stars.setdefault(member.dropped.witness, []).append(member.key)
    return (_Block((witness,), tuple(dropped)) for witness, dropped in stars.items())


def _tiles(version: Version, images: int, kept: int, found: Duplicates) -> tuple[tuple[str, int], ...]:
    copies = sum(len(group.dropped) for group in found.groups)
    return (
        ("found in the drop folder", version.counts.get("found", 0)),
        ("exact copies", version.counts.get("exact-copies", 0)),
        ("images in the dataset", images),
        ("rejected", images - kept - copies),
        ("near duplicates", copies),
        *([("label conflicts", found.conflicts)] if found.asked else ()),
        *([("also in other datasets", len(found.foreign))] if found.foreign else ()),
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
        also=tuple(names[1:]),
    )


def tags_of(sample: Sample) -> tuple[tuple[str, float], ...]:
    """(tag, score) of a sample's tags, by falling score."""
    metadata = sample.metadata(TAGS) or {}
    names, scores = metadata.get("class-map"), metadata.get("confidence-map", {})
    if not isinstance(names, dict):
        return ()
    found = [(str(name), float(scores.get(index, 0))) for index, name in names.items()]
    return tuple(sorted(found, key=lambda tag: (-tag[1], tag[0])))


def _rejection(sample: Sample, copy: Dropped | None) -> Rejection:
    said: Any = sample.value(REJECTION)
    said = said if isinstance(said, dict) else {}
    why = Rejection(str(said.get("check", "unknown")), str(said.get("reason", "")), str(said.get("step", "")))
    return why if copy is None else replace(why, kept=copy.witness, apart=copy.apart, because=copy.because)


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
    sizes = columns_of(dataset, version, "probe", keys, ["width", "height"])
    pictures = columns_of(dataset, version, "thumbnail", keys, ["jpeg"])
    rows = zip(keys, sizes["width"], sizes["height"], pictures["jpeg"], strict=True)
    return {key: {"width": width, "height": height, "jpeg": jpeg} for key, width, height, jpeg in rows}


def columns_of(
    dataset: Dataset, version: Version, extractor: str, keys: Sequence[str], names: Sequence[str]
) -> dict[str, list[Any]]:
    identity = version.extractors.get(extractor)
    if identity is None:
        return {name: [None] * len(keys) for name in names}
    table = facts.read(dataset.store, identity, keys, names)
    return {name: table.column(name).to_pylist() for name in names}


def _facts(certificate: Mapping[str, object]) -> tuple[tuple[str, str | tuple[tuple[str, str], ...]], ...]:
    """What a step certified, whatever it is: names with a text, or with named texts of their own."""
    return tuple(
        (
            name,
            tuple((str(key), value(one)) for key, one in said.items())
            if isinstance(said, dict) and said
            else value(said),
        )
        for name, said in certificate.items()
    )


def _within(recipe: Mapping[str, Any]) -> int | None:
    return next((step["dedup"].get("within") for step in recipe.get("steps", ()) if "dedup" in step), None)


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
