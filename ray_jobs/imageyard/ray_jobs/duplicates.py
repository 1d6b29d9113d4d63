"""Duplicates: what a version says is alike, read from its lines into groups that a person can judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs.edges import TIERS
from imageyard.ray_jobs.likeness import Apart, Dropped, Duplicates, Foreign, Group, Member, Pair
from imageyard.ray_jobs.origin import folders_of, names_of
from imageyard.ray_jobs.state import REJECTION, class_of
from imageyard.ray_jobs.steps.dedup import Dedup
from imageyard.ray_jobs.steps.flags import ALIKE, standing_pairs
from imageyard.ray_jobs.steps.ranking import BECAUSE

MEANT = "semantic"
"""The tier that never joins groups: by chains of likenesses a whole dataset would be one."""
TORN = ("anomaly", "normal")
"""Folders that say the opposite of each other; a picture that came in both is a finding."""


def duplicates(dataset: Dataset, version: Version) -> Duplicates:
    """The duplicates of `version`, from its manifests alone, of which only the lines that matter stay in memory."""
    return gathered(version, lambda role: dataset.read(version, role))


def gathered(version: Version, read: Callable[[Role], Iterable[Sample]]) -> Duplicates:
    """The same from lines that somebody has read; `read` gives those of a role, and is asked for each role once."""
    most, asked = _thresholds(version), _dedup(version) is not None
    certified: Any = version.certificates.get(Dedup.kind, {})
    findings = certified.get("label_conflicts_named", ())
    named = [(str(found["group"]), str(image["sha256"])) for found in findings for image in found["images"]]
    wanted = {key for link in named for key in link}
    members: dict[str, Member] = {}
    foreign: list[Foreign] = []
    alike: list[tuple[str, Any]] = []
    torn: set[str] = set()
    for role in reversed(ROLES):  # the rejected first: they name their witnesses
        for sample in read(role):
            key, said = sample.key, sample.value(REJECTION if role == "rejected" else ALIKE)
            if asked and set(TORN) <= {folder.lower() for folder in folders_of(sample)}:
                torn.add(key)
            if said or key in wanted or key in torn:
                member = _member(sample, role, said)
                foreign += _foreign(member, said, most)
                if member.dropped is not None:
                    wanted.add(member.dropped.witness)
                if member.dropped is not None or role != "rejected" or key in wanted or key in torn:
                    members[key] = member
                if role != "rejected":
                    alike += [(key, one) for one in said or () if "in" not in one]
            sample.forget()
    pairs = {}
    for key, one in alike:
        first, second = sorted((key, str(one["sha256"])))
        if first in members and second in members:
            pairs[first, second, str(one["tier"])] = Pair(first, second, _apart(one, most))
    links = [(pair.first, pair.second) for pair in pairs.values() if pair.apart.tier != MEANT]
    links += [(key, member.dropped.witness) for key, member in members.items() if member.dropped is not None]
    links += [*named, *((key, key) for key in torn)]
    groups = _groups(members, list(pairs.values()), _joined(links), torn)
    conflicts = sum(bool(group.classes) for group in groups)
    counted = int(certified.get("label_conflicts", 0))
    return Duplicates(
        tuple(sorted(groups, key=_order)),
        tuple(sorted(foreign, key=lambda one: (one.version, -one.apart.distance, one.member.key))),
        asked,
        max(conflicts, counted) if counted > len(findings) else conflicts,
    )


def measured(dataset: Dataset, version: Version, keys: Sequence[str]) -> tuple[Pair, ...]:
    """All that was ever measured between images, also what lies beyond the recipe's threshold and so did not count.

    The surest tier first, then the nearest. Raises StoreError if a part of the index is gone.
    """
    from imageyard.ray_jobs.matching.index import opened

    found: dict[tuple[str, int, int], float] = {}
    most = _thresholds(version)
    for identity, runs in version.index.items():
        tier = identity.rpartition("-")[0]
        layer = opened(dataset.store, tier, identity, runs).layer(keys)
        for one, other, distance in standing_pairs(layer, list(range(len(keys))), len(keys)):
            found[tier, one, other] = distance
    rows = sorted((TIERS.index(tier), distance, one, other) for (tier, one, other), distance in found.items())
    return tuple(
        Pair(keys[one], keys[other], Apart(TIERS[tier], distance, most[TIERS[tier]]))
        for tier, distance, one, other in rows
    )


def classes_of(label: str) -> str:
    """The names alone of what `class_of` says."""
    return ", ".join(line.partition("=")[2] for line in label.split("\n") if line)


def _dedup(version: Version) -> dict[str, Any] | None:
    """The parameters of the recipe's dedup step; None if it has none."""
    steps: Any = version.recipe.get("steps", ())
    return next((step[Dedup.kind] for step in steps if Dedup.kind in step), None)


def _thresholds(version: Version) -> dict[str, float]:
    """By tier, of the recipe, or of the step's defaults where the recipe has no such step."""
    step = Dedup.model_construct(**(_dedup(version) or {}))
    return {tier: float(step.threshold(tier)) for tier in TIERS}


def _dropped(said: Any) -> Dropped | None:
    """What a rejection says of the image that is kept instead; None if it is for another reason."""
    if not isinstance(said, dict) or not said.get("kept"):
        return None
    tier = str(said.get("tier") or ("copy" if said["check"] == "duplicate" else said["check"]))
    apart = Apart(tier, float(said["measured"]), float(said["threshold"]))
    return Dropped(str(said["kept"]), apart, BECAUSE.get(str(said.get("because")), ""))


def _member(sample: Sample, role: Role, said: Any) -> Member:
    """`said` is the rejection of a rejected image, the likenesses of another one."""
    reason = str(said.get("reason", "")) if isinstance(said, dict) else ""
    names = tuple(names_of(sample)) or (sample.source_ref,)
    return Member(sample.key, names, role, class_of(sample), reason, _dropped(said))


def _foreign(member: Member, said: Any, most: Mapping[str, float]) -> list[Foreign]:
    if member.role == "rejected":
        if not isinstance(said, dict) or "in" not in said:
            return []
        apart = Apart("copy", float(said["measured"]), float(said["threshold"]))
        return [Foreign(member, str(said["in"]), str(said["other"]), apart)]
    return [Foreign(member, str(one["in"]), str(one["sha256"]), _apart(one, most)) for one in said or () if "in" in one]


def _apart(said: Mapping[str, Any], most: Mapping[str, float]) -> Apart:
    """Of a likeness as a sample says it, with the threshold of its tier."""
    tier = str(said["tier"])
    return Apart(tier, float(said["distance"]), most.get(tier, 0.0))


def _joined(links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For every key of a link, the same one of all keys that it is joined with by a chain of links."""
    above: dict[str, str] = {}

    def top(key: str) -> str:
        while above.setdefault(key, key) != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    for one, other in links:
        above[top(one)] = top(other)
    return {key: top(key) for key in list(above)}


def _groups(
    members: Mapping[str, Member], pairs: Sequence[Pair], top: Mapping[str, str], torn: set[str]
) -> list[Group]:
    inside: dict[str, list[Member]] = {}
    for key in sorted(top.keys() & members.keys()):
        inside.setdefault(top[key], []).append(members[key])
    alike: dict[str, list[Pair]] = {}
    groups = []
    for pair in pairs:
        if top.get(pair.first, pair.first) == top.get(pair.second, pair.second):
            alike.setdefault(top[pair.first], []).append(pair)
        else:
            groups.append(_group([members[pair.first], members[pair.second]], [pair], ()))
    for first, found in inside.items():
        labels = {member.label for member in found if member.label}
        names = {classes_of(label) for label in labels}
        classes = tuple(sorted(names if len(names) == len(labels) else labels)) if len(labels) > 1 else ()
        if not classes and any(member.key in torn for member in found):
            classes = TORN
        if len(found) > 1 or classes:
            groups.append(_group(found, alike.get(first, []), classes))
    return groups


def _group(members: Sequence[Member], alike: Sequence[Pair], classes: tuple[str, ...]) -> Group:
    def place(member: Member) -> tuple[bool, float, str, str]:
        out = member.dropped
        return member.role == "rejected", out.apart.doubt if out else 0.0, member.name, member.key

    pairs = sorted(alike, key=lambda pair: (TIERS.index(pair.apart.tier), pair.apart.distance, pair.first, pair.second))
    return Group(tuple(sorted(members, key=place)), tuple(pairs), classes)


def _order(group: Group) -> tuple[bool, bool, float, int, str]:
    meant = all(apart.tier == MEANT for apart in group.aparts) and not group.classes
    return not group.classes, meant, -group.doubt, -len(group.members), group.members[0].key
