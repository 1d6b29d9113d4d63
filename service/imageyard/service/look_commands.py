"""`imageyard log`, `show`, `explain` and `diff`: what versions say, printed."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.diff import diff
from imageyard.manifests.errors import StoreError, VersionError
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.caption_text import is_prose, pieces_of
from imageyard.ray_jobs.origin import called, names_of
from imageyard.ray_jobs.state import REJECTION
from imageyard.ray_jobs.statistics import statistics
from imageyard.ray_jobs.summary import tags_of
from imageyard.service.console import pairs, say, say_json, table

LONGEST = 160
"""Characters of a value in a table of differences; `--json` has all of it."""


def show_log(url: str, *, as_json: bool) -> None:
    """The versions of a dataset, newest first."""
    dataset = opened(url)
    versions = [dataset.version(number) for number in reversed(dataset.numbers())]
    if as_json:
        say_json([_brief(version) for version in versions])
    elif not versions:
        say(f"{url} has no version yet; upload images to {url}/drop/ and run a recipe")
    else:
        rows = [
            (
                version.number,
                version.created[:19],
                version.recipe.get("name", ""),
                sum(entry.lines for role, entry in version.manifests.items() if role != "rejected"),
                ", ".join(f"{role} {entry.lines:,}" for role, entry in version.manifests.items()),
                version.job,
            )
            for version in versions
        ]
        table("", ("version", "created (UTC)", "recipe", "kept", "by role", "job"), rows)


def show_version(url: str, number: int | None, *, role: str | None, limit: int, as_json: bool) -> None:
    """One version, or the first samples of one of its roles."""
    dataset = opened(url)
    version = version_of(dataset, number)
    if role is not None:
        samples = list(islice(dataset.read(version, _role(role)), limit))
        if as_json:
            say_json([dict(sample.data) for sample in samples])
            return
        rows = [(called(s), ", ".join(tag for tag, _ in tags_of(s)[:8]), s.value("caption")) for s in samples]
        table(f"{role} of version {version.number}", ("image", "tags", "caption"), rows)
        return
    if as_json:
        say_json(version.model_dump(mode="json"))
        return
    said = {"version": version.number, "parent": version.parent, "created": version.created, "job": version.job}
    pairs(url, {**said, "recipe": version.recipe.get("name"), "transaction": version.transaction})
    lines = [(name, entry.lines, entry.bytes) for name, entry in version.manifests.items()]
    table("roles", ("role", "samples", "manifest bytes"), lines)
    pairs("manifests", {name: f"{url}/{entry.key}" for name, entry in version.manifests.items()})
    table("counts", ("what", "images"), list(version.counts.items()))
    models = [(name, *_model(said)) for name, said in version.models.items()]
    if models:
        table("models", ("facts", "model", "asked for", "sha256 of the files"), models)


def _model(said: dict[str, Any]) -> tuple[str, str, str]:
    files = ", ".join(f"{name} {digest[:12]}…" for name, digest in said["files"].items())
    asked = f"{said['repo']}@{said['revision']}" if "repo" in said else ""
    return said["parameters"].get("model", ""), asked, files


def show_statistics(url: str, number: int | None, *, as_json: bool) -> None:
    """What a version holds in numbers."""
    dataset = opened(url)
    found = statistics(dataset, version_of(dataset, number))
    if as_json:
        say_json(found.model_dump(mode="json"))
        return
    pairs(f"version {found.version}", {"images": found.images, **found.roles, "manifest bytes": found.manifest_bytes})
    for name, label in found.labels.items():
        rows = [(one.name, one.images, one.by_people) for one in label.classes]
        table(f"label {name}", ("class", "images", "by people"), rows)
    tags = found.tags
    if tags.images:
        said = {"images with tags": tags.images, "tags": tags.total, "different": tags.vocabulary}
        pairs("tags", {**said, "most frequent": ", ".join(f"{tag} {count:,}" for tag, count in tags.top[:10])})
    words = found.captions
    if words.images:
        pairs("captions", {"images": words.images, "by people": words.by_people, "mean length": words.mean_chars})
    if found.rejected:
        table("rejected", ("check", "images"), list(found.rejected.items()))
    if found.verdicts:
        table("people have said", ("what", "images"), list(found.verdicts.items()))


def show_image(url: str, image: str, number: int | None, *, as_json: bool) -> None:
    """Everything known about one image."""
    dataset = opened(url)
    version = version_of(dataset, number)
    role, sample = find_sample(dataset, version, image)
    known = {name: _fact(dataset, identity, sample.key) for name, identity in version.extractors.items()}
    if as_json:
        say_json({"image": called(sample), "role": role, "facts": known, "sample": dict(sample.data)})
        return
    said = {"image": called(sample), "role": role, "source-ref": sample.source_ref, "sha256": sample.key}
    pairs(f"version {version.number}", {**said, "names": ", ".join(names_of(sample))})
    rejection = sample.value(REJECTION)
    if isinstance(rejection, dict):
        pairs("why it was rejected", rejection)
    for name, values in known.items():
        if name == "tags":
            scored = zip(values.get("tag") or (), values.get("score") or (), strict=True)
            values = {"scores": ", ".join(f"{tag} {score:.2f}" for tag, score in islice(scored, 20))}
        pairs(f"facts: {name}", {key: value for key, value in values.items() if value is not None})
    for label in sample.label_names:
        if label != REJECTION:
            metadata = dict(sample.metadata(label) or {})
            metadata.pop("confidence-map", None)
            pairs(f"decision: {label}", {"value": sample.value(label), **metadata})


def show_diff(url: str, older: int, newer: int, *, limit: int, as_json: bool) -> None:
    """What differs between two versions."""
    dataset = opened(url)
    counts: Counter[str] = Counter()
    shown: list[Any] = []
    for change in diff(dataset, dataset.version(older), dataset.version(newer)):
        counts[change.kind] += 1
        if len(shown) < limit:
            shown.append(change)
    if as_json:
        changes = [
            {"image": called(c.sample), "sha256": c.key, "kind": c.kind, "before": c.before, "after": c.after}
            | {"members": {name: {"before": old, "after": new} for name, (old, new) in c.members.items()}}
            for c in shown
        ]
        say_json({"older": older, "newer": newer, "counts": dict(counts), "changes": changes})
        return
    if not counts:
        say(f"versions {older} and {newer} say the same")
        return
    rows = [(called(c.sample), c.kind, c.before, c.after, _told(c.members)) for c in shown]
    table(f"version {older} to {newer}", ("image", "what", "before", "after", "members"), rows)
    say(", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items())))


def _told(members: dict[str, tuple[Any, Any]]) -> str:
    parts = []
    for name, (old, new) in members.items():
        if isinstance(old, str) and isinstance(new, str) and not (is_prose(old) or is_prose(new)):
            old, new = pieces_of(old), pieces_of(new)
        if isinstance(old, list) and isinstance(new, list):
            gone, come = [x for x in old if x not in new], [x for x in new if x not in old]
            parts.append(f"{name}: " + " ".join([*(f"-{x}" for x in gone), *(f"+{x}" for x in come)] or ["reordered"]))
        else:
            parts.append(f"{name}: {_short(old)} → {_short(new)}")
    return "; ".join(parts)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value.get("check", value) if isinstance(value, dict) else value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _brief(version: Version) -> dict[str, Any]:
    said = version.model_dump(mode="json", include={"number", "parent", "created", "job", "counts", "recipe"})
    return {**said, "roles": {role: entry.lines for role, entry in version.manifests.items()}}


def opened(url: str) -> Dataset:
    """The dataset at `url`; to look is not to make, so a folder that is not there is an error."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not Path(unquote(parts.path)).is_dir():
        raise StoreError(f"{url}: there is no such folder")
    return Dataset.open(url)


def version_of(dataset: Dataset, number: int | None) -> Version:
    if number is not None:
        return dataset.version(number)
    newest = dataset.newest()
    if newest is None:
        raise VersionError(f"{dataset.url}: has no version yet; run a recipe first")
    return newest


def _role(role: str) -> Role:
    for known in ROLES:
        if known == role:
            return known
    raise VersionError(f"there is no role {role!r}; roles are {', '.join(get_args(Role))}")


def find_sample(dataset: Dataset, version: Version, image: str) -> tuple[Role, Sample]:
    """The one sample that `image` names; VersionError if it names none or several."""
    found: list[tuple[Role, Sample]] = []
    for role in ROLES:
        for sample in dataset.read(version, role):
            if image in (sample.source_ref, *names_of(sample)):
                return role, sample
            if (len(image) >= 6 and sample.key.startswith(image.lower())) or any(
                name.rsplit("/", 1)[-1] == image for name in names_of(sample)
            ):
                found.append((role, sample))
    if not found:
        raise VersionError(
            f"{dataset.url}: no image {image!r} in version {version.number}; `imageyard show` lists them"
        )
    if len(found) > 1:
        names = ", ".join(f"{called(sample)} ({sample.key[:12]})" for _, sample in found[:5])
        raise VersionError(
            f"{dataset.url}: {image!r} may be any of {len(found)} images: {names}; name one by its sha256"
        )
    return found[0]


def _fact(dataset: Dataset, identity: str, key: str) -> dict[str, Any]:
    """One image's row of an extractor's facts; bytes as hex, pictures as their size."""
    columns = [name for name in facts.column_names(dataset.store, identity) if name not in (facts.KEY, facts.ERROR)]
    (row,) = facts.read(dataset.store, identity, [key], columns).to_pylist()
    return {name: _readable(name, value) for name, value in row.items()}


def _readable(name: str, value: Any) -> Any:
    """Hashes as hex, pictures as their size, 32-bit floats without the noise of their last digits."""
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 64 else f"{len(value):,} bytes"
    if isinstance(value, int) and name.endswith("hash"):
        return f"{value:016x}"
    return float(f"{value:.6g}") if isinstance(value, float) else value
