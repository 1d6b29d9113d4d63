"""The report of a version: read back from what was committed, so that it can be written at any time after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs.duplicates import gathered
from imageyard.ray_jobs.likeness import Apart, Duplicates, Group
from imageyard.ray_jobs.report import render
from imageyard.ray_jobs.report_data import Alike, Picture, Report, Totals
from imageyard.ray_jobs.report_split import certified
from imageyard.ray_jobs.report_text import promises
from imageyard.ray_jobs.state import class_of
from imageyard.ray_jobs.summary_numbers import numbers_of
from imageyard.ray_jobs.summary_pictures import Line, columns_of, looks, picture_of, rejection_of, tags_of
from imageyard.ray_jobs.summary_texts import spread, text_changes
from imageyard.ray_jobs.work import Tally

__all__ = ["columns_of", "report_of", "tags_of"]

KEPT_SHOWN, REJECTED_SHOWN, SIZES_SHOWN = 60, 40, 2000
FINDINGS_SHOWN, GROUPS_SHOWN, PICTURES_SHOWN = 20, 40, 8
"""Label conflicts, likenesses or pictures of other datasets; groups; pictures of one group."""
PICTURES_ALIKE = {"conflicts": 20, "foreign": 10, "duplicates": 36, "likenesses": 16}
"""Pictures in each part on what is alike, so that with all other pictures the page stays below 3 MB."""


def report_of(dataset: Dataset, version: Version, tally: Tally, waiting: Sequence[tuple[str, str]]) -> bytes:
    """The HTML report of `version`; `tally` is the work of the run that made it, `waiting` what it left behind."""
    lines = [Line(s.key, role, s.forget()) for role in ROLES for s in dataset.read(version, role)]
    lines.sort(key=lambda line: line.key)
    by_key = {line.key: line for line in lines}
    by_role: dict[Role, list[Sample]] = {role: [] for role in ROLES}
    for line in lines:
        by_role[line.role].append(line.sample)
    kept = [line for line in lines if line.role != "rejected"]
    found = gathered(version, by_role.__getitem__)
    copies = {m.key: m.dropped for group in found.groups for m in group.dropped if m.dropped is not None}
    aside = copies.keys() | {one.member.key for one in found.foreign}
    reasons = {line.key: rejection_of(line.sample, copies.get(line.key)) for line in lines if line.role == "rejected"}
    refused = [line for line in lines if line.role == "rejected" and line.key not in aside]
    shown_kept, shown_refused = spread(kept, KEPT_SHOWN), spread(refused, REJECTED_SHOWN)
    alike = _alike(found)
    units = {name: _first(blocks, name) for name, blocks in alike.items()}
    inside = [by_key[key] for blocks in units.values() for block in blocks for key in block.keys]
    texts = text_changes(dataset, version, ((line.role, line.sample) for line in kept))
    numbers = numbers_of(dataset, version, kept)
    shown = (*shown_kept, *shown_refused, *inside)
    look = looks(
        dataset, version, list(dict.fromkeys((*(one.key for one in shown), *(one.key for one in texts.shown))))
    )
    sizes = columns_of(dataset, version, "probe", [line.key for line in spread(kept, SIZES_SHOWN)], ["width", "height"])

    def picture(line: Line) -> Picture:
        return picture_of(line, look.get(line.key, {}), reasons.get(line.key))

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
            split=certified(version.certificates.get("split", {})),
            rewordings=texts.report(lambda told: picture(Line(told.key, told.role, told.sample))),
            counted=numbers.counted,
            per_image=numbers.per_image,
            tag_numbers=numbers.tags,
            caption_numbers=numbers.captions,
            coverage=numbers.coverage,
        )
    )


def _first(blocks: Sequence[_Block], name: str) -> list[_Block]:
    """The blocks to show: one at least, if there is any, and no more than there is room for their pictures."""
    chosen: list[_Block] = []
    room = PICTURES_ALIKE[name]
    for block in blocks[: GROUPS_SHOWN if name == "duplicates" else FINDINGS_SHOWN]:
        room -= len(block.keys)
        if chosen and room < 0:
            break
        chosen.append(block)
    return chosen


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


def _tag_counts(kept: Sequence[Line]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for line in kept:
        counts.update(name for name, _ in tags_of(line.sample))
        line.sample.forget()
    return tuple(sorted(counts.items(), key=lambda found: (-found[1], found[0])))


def _label_counts(kept: Sequence[Line]) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    counts: dict[str, Counter[str]] = {}
    for line in kept:
        name = class_of(line.sample).split("\n")[0].partition("=")[2]
        if name:
            counts.setdefault(name, Counter())[line.role] += 1
        line.sample.forget()
    return tuple((name, tuple(sorted(found.items()))) for name, found in sorted(counts.items()))


def _within(recipe: Mapping[str, Any]) -> int | None:
    return next((step["dedup"].get("within") for step in recipe.get("steps", ()) if "dedup" in step), None)


def _recipe_text(recipe: Mapping[str, Any]) -> str:
    """The recipe as YAML, a step a line; JSON values are YAML."""
    lines = [f"dataset: {recipe.get('dataset')}", "steps:"]
    for step in recipe.get("steps", ()):
        for kind, parameters in step.items():
            lines.append(f"  - {kind}: {json.dumps(parameters, ensure_ascii=False)}")
    return "\n".join(lines)
