"""`imageyard dups`: what a version says is alike, printed so that a person can judge it and overrule it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import VersionError
from imageyard.manifests.version import Version
from imageyard.ray_jobs.duplicates import classes_of, duplicates, measured
from imageyard.ray_jobs.edges import TIERS
from imageyard.ray_jobs.likeness import Duplicates, Foreign, Group, Member, Pair
from imageyard.ray_jobs.report_text import plural, printable, promises
from imageyard.ray_jobs.summary import columns_of
from imageyard.service.console import say, say_json, table
from imageyard.service.look_commands import find_sample, opened, version_of

GROUPS = 20
MEMBERS = 12
"""Groups, and members of one, that are listed unless more are asked for."""

Sizes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Wanted:
    """What is to be shown of all that is alike; None and False for no matter."""

    image: str | None = None
    tier: str | None = None
    kept: bool = False
    """Only what was not dropped: groups of which several images stay."""
    limit: int | None = None


def show_duplicates(url: str, number: int | None, wanted: Wanted, *, as_json: bool) -> None:
    """The groups of a version, or those of one image with all that was measured inside them."""
    if wanted.tier is not None and wanted.tier not in TIERS:
        raise VersionError(f"there is no tier {wanted.tier!r}; tiers are {', '.join(TIERS)}")
    dataset = opened(url)
    version = version_of(dataset, number)
    found = duplicates(dataset, version)
    key = find_sample(dataset, version, wanted.image)[1].key if wanted.image is not None else None
    chosen = _chosen(found, wanted, key)
    shown = chosen.groups[: wanted.limit or (None if as_json else GROUPS)]
    between = [measured(dataset, version, [m.key for m in group.members]) for group in shown if key is not None]
    members = [member for group in shown for member in group.members]
    sizes = _sizes(dataset, version, [*members, *(one.member for one in chosen.foreign)])
    if as_json:
        told = [_group_json(group, sizes) for group in shown]
        for said, pairs in zip(told, between, strict=False):
            said["measured"] = [_pair_json(pair) for pair in pairs]
        foreign = [_foreign_json(one, sizes) for one in chosen.foreign]
        say_json({**_version_json(dataset, version, found), "groups": told, "in_other_datasets": foreign})
        return
    if not found.asked:
        say(
            f"version {version.number} was made without a dedup step, so nothing was compared for it"
            + ("; what follows was found for an earlier one" if shown or chosen.foreign else "")
            + "; write `- dedup: {}` among the steps of the recipe and run it again"
        )
    for at, group in enumerate(shown, start=1):
        of = f"group {at:,} of {len(chosen.groups):,}"
        _show_group(group, sizes, title=of, most=MEMBERS if key is None else None)
    for group, pairs in zip(shown, between, strict=False):
        _show_measured(group, pairs)
    _show_foreign(chosen.foreign, sizes)
    if wanted.image is not None and not chosen.groups and not chosen.foreign:
        say(f"nothing in version {version.number} is said to be like {_plain(wanted.image)}")
    if found.asked:
        _show_summary(version, found, chosen, shown=len(shown))


def _chosen(found: Duplicates, wanted: Wanted, key: str | None) -> Duplicates:
    groups, foreign = found.groups, found.foreign
    if key is not None:
        groups = tuple(group for group in groups if any(member.key == key for member in group.members))
        foreign = tuple(one for one in foreign if one.member.key == key)
    if wanted.tier is not None:
        groups = tuple(group for group in groups if any(apart.tier == wanted.tier for apart in group.aparts))
        foreign = tuple(one for one in foreign if one.apart.tier == wanted.tier)
    if wanted.kept:
        groups = tuple(group for group in groups if len(group.kept) > 1)
        foreign = tuple(one for one in foreign if one.member.role != "rejected")
    return replace(found, groups=groups, foreign=foreign)


def _plain(words: str) -> str:
    """`words` on one line, and without what a terminal would obey."""
    return printable(words).translate(dict.fromkeys(map(ord, "\n\r\t"), "\ufffd"))


def _show_group(group: Group, sizes: Sizes, *, title: str, most: int | None) -> None:
    called = {member.key: _plain(member.name) for member in group.members}
    rows = []
    for member in group.members[:most]:
        alike = [
            f"{pair.apart.tier} of {called[other]}, {pair.apart.words}"
            for pair in group.alike
            for key, other in ((pair.first, pair.second), (pair.second, pair.first))
            if key == member.key
        ]
        if member.dropped is not None:
            alike = [f"{member.dropped.apart.tier}, {member.dropped.apart.words}"]
        rows.append((*_about(member, sizes), "\n".join(alike), _decision(member, group, called)))
    if group.classes:
        title = f"⚠ {title}: label conflict, people say {_plain(' and '.join(group.classes))}"
    table(f"{title}, {plural(len(group.members), 'image')}", (*_HEADS, "alike", "decision"), rows)
    if len(rows) < len(group.members):
        say(f"… and {len(group.members) - len(rows):,} more; --image {group.members[0].key[:12]} shows all")


_HEADS = ("image", "sha256", "role", "class", "size")


def _about(member: Member, sizes: Sizes) -> tuple[object, ...]:
    width, height = sizes.get(member.key, (0, 0))
    return (
        "\n".join(map(_plain, member.names)),
        member.key[:12],
        member.role,
        _plain(classes_of(member.label)) or None,
        f"{width:,} × {height:,}" if width and height else None,
    )


def _decision(member: Member, group: Group, called: Mapping[str, str]) -> str:
    out = member.dropped
    if member.role == "rejected" and (out is None or not out.because):
        return _plain(f"{'dropped' if out else 'rejected'}: {member.reason}")
    if out is not None:
        return f"dropped: {called.get(out.witness, out.witness[:12])} is kept because {out.because}"
    if len(group.kept) == 1:
        return "kept"
    if group.classes and member.label:
        return "kept both: people put them into different classes"
    return "kept both"


def _show_measured(group: Group, pairs: Sequence[Pair]) -> None:
    called = {member.key: _plain(member.name) for member in group.members}
    rows = [
        (called[pair.first], called[pair.second], pair.apart.tier, pair.apart.words, pair.apart.doubt <= 1)
        for pair in pairs
    ]
    if rows:
        table("measured between them", ("image", "image", "tier", "distance", "counts"), rows)
        say("a pair that is not listed was found alike by no tier")


def _show_foreign(foreign: Sequence[Foreign], sizes: Sizes) -> None:
    rows = [
        (
            *_about(one.member, sizes),
            f"{_plain(one.version)}, {one.other[:12]}",
            one.apart.words,
            _plain(f"dropped: {one.member.reason}") if one.member.role == "rejected" else "kept",
        )
        for one in foreign
    ]
    if rows:
        table("⚠ also in other datasets", (*_HEADS, "there", "alike", "decision"), rows)


def _show_summary(version: Version, found: Duplicates, chosen: Duplicates, *, shown: int) -> None:
    groups = chosen.groups
    conflicts = sum(bool(group.classes) for group in groups)
    counts = [
        plural(len(groups), "group"),
        f"{sum(len(group.dropped) for group in groups):,} dropped",
        plural(conflicts, "label conflict"),
        *([f"{len(chosen.foreign):,} also in other datasets"] if chosen.foreign else ()),
    ]
    say(", ".join(counts) + (f"; {plural(shown, 'group')} shown, --limit shows more" if shown < len(groups) else ""))
    if groups == found.groups and found.conflicts > conflicts:
        say(f"{found.conflicts:,} label conflicts were counted; the version names the images of the first alone")
    for promise in promises(version.certificates.get("dedup", {})):
        say(promise)
    pairs = ((kept, out) for group in groups for kept in group.kept for out in group.dropped)
    example = next(((kept, out) for kept, out in pairs if out.dropped and out.dropped.witness == kept.key), None)
    if example is not None:
        one, other = (json.dumps(_naming(member), ensure_ascii=False) for member in example)
        say(
            f"to overrule it, write in the recipe `dedup: {{keep_both: [[{one}, {other}]]}}` to keep both, or "
            f"`dedup: {{prefer: [{other}]}}` to keep the second instead"
        )


def _naming(member: Member) -> str:
    """What a recipe calls the image: its name, or its sha256 where the name cannot be shown."""
    return member.name if _plain(member.name) == member.name else member.key[:16]


def _sizes(dataset: Dataset, version: Version, members: Sequence[Member]) -> Sizes:
    keys = list(dict.fromkeys(member.key for member in members))
    if not keys:
        return {}
    columns = columns_of(dataset, version, "probe", keys, ["width", "height"])
    rows = zip(keys, columns["width"], columns["height"], strict=True)
    return {key: (width, height) for key, width, height in rows if width and height}


def _version_json(dataset: Dataset, version: Version, found: Duplicates) -> dict[str, Any]:
    return {
        "dataset": dataset.url,
        "version": version.number,
        "dedup": found.asked,
        "label_conflicts": found.conflicts,
        "certificate": version.certificates.get("dedup"),
    }


def _member_json(member: Member, sizes: Sizes) -> dict[str, Any]:
    width, height = sizes.get(member.key, (None, None))
    said: dict[str, Any] = {
        "image": member.name,
        "names": list(member.names),
        "sha256": member.key,
        "role": member.role,
    }
    said |= {"class": classes_of(member.label) or None, "width": width, "height": height}
    if member.role == "rejected":
        said["reason"] = member.reason
    out = member.dropped
    return said | ({"kept": out.witness, "because": out.because or None, **asdict(out.apart)} if out else {})


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {"images": [pair.first, pair.second], **asdict(pair.apart), "counts": pair.apart.doubt <= 1}


def _group_json(group: Group, sizes: Sizes) -> dict[str, Any]:
    return {
        "label_conflict": list(group.classes),
        "doubt": round(group.doubt, 4),
        "members": [_member_json(member, sizes) for member in group.members],
        "alike": [_pair_json(pair) for pair in group.alike],
    }


def _foreign_json(one: Foreign, sizes: Sizes) -> dict[str, Any]:
    return {**_member_json(one.member, sizes), **asdict(one.apart), "in": one.version, "other": one.other}
