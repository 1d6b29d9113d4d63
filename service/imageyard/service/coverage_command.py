"""`imageyard coverage`: what a training set shows, what it shows too much of, and what to shoot or find next."""

from __future__ import annotations

from dataclasses import asdict

from imageyard.ray_jobs.analysis.coverage import Axis, Coverage, Cross, Looks, coverage, profile_of
from imageyard.ray_jobs.analysis.said import reading
from imageyard.ray_jobs.report_text import plural, share
from imageyard.service.analysis_text import plain, roles_of, some
from imageyard.service.console import pairs, say, say_json, table
from imageyard.service.look_commands import opened, version_of


def show_coverage(url: str, number: int | None, *, profile: str, role: str | None, as_json: bool) -> None:
    """How a version covers a profile."""
    wanted = profile_of(profile)
    dataset = opened(url)
    version = version_of(dataset, number)
    samples = reading(dataset, version, roles_of(role))
    found = coverage(dataset, version, samples=samples, profile=wanted)
    if as_json:
        say_json({"dataset": url, "version": version.number, **asdict(found)})
        return
    of = f"version {version.number}" + (f", role {role}" if role else "")
    size = f"{found.size.severity}: {found.size.reason}" if found.size.severity else found.size.reason
    known = f"{found.matched:,} of {found.images:,} images"
    pairs(f"coverage of {of} as a {found.profile}", {"size": size, "something is known of": known})
    say(plain(found.reason))
    if found.looks is not None:
        _show_looks(found.looks)
    if not found.usable:
        return
    for axis in found.axes:
        _show_axis(axis, found)
    for one in found.crosses:
        _show_cross(one)
    if found.remove:
        rows = [(what, affected.images, some(affected)) for what, affected in found.remove]
        table("look at these: crop or take out", ("what", "images", "such as"), rows)
    _show_next(found)


def _show_looks(looks: Looks) -> None:
    said = {
        "different looks": f"{looks.clusters:,} of {looks.images:,} images (cosine {looks.threshold:g})",
        "the most frequent look": f"{share(looks.largest.images, looks.images)}: {some(looks.largest)}",
    }
    if looks.outliers:
        said["unlike the rest"] = ", ".join(f"{plain(one.name)} {one.distance:.3f}" for one in looks.outliers)
    pairs("looks, by embeddings", said)


def _show_axis(axis: Axis, found: Coverage) -> None:
    excess = {one.value: one.threshold for one in axis.excess}
    rows = []
    for seen in axis.values:
        remark = f"{seen.missing} missing" if seen.missing else "" if seen.tellable else "cannot be counted"
        if seen.value in excess:
            remark = f"too many: at most {excess[seen.value]:.0%}"
        wanted = f"{seen.wanted[0]} to {seen.wanted[1]}" if seen.wanted else None
        examples = ", ".join(map(plain, seen.examples))
        rows.append((seen.value, seen.images, share(seen.images, found.images), wanted, remark, examples))
    if rows and axis.known:
        wanted_kinds = f", {axis.wanted_distinct} wanted" if axis.wanted_distinct else ""
        title = f"{axis.name}: {plural(axis.distinct, 'kind')}{wanted_kinds}; known of {plural(axis.said, 'image')}"
        table(title, (axis.name, "images", "share", "wanted", "", "such as"), rows)
    for note in axis.notes:
        say(plain(note))
    if axis.strays.images and any("disagree" in note for note in axis.notes):
        say(f"  the odd ones: {some(axis.strays, shown=8)}")


def _show_cross(one: Cross) -> None:
    if one.rows and one.columns:
        rows = [(row, *counts) for row, counts in zip(one.rows, one.images, strict=True)]
        table(f"{one.first} and {one.second}", (one.first, *one.columns), rows)


def _show_next(found: Coverage) -> None:
    if not found.next_shots:
        say("nothing is missing from the shot list")
        return
    say("what to shoot or find next, most needed first:")
    for at, shot in enumerate(found.next_shots, start=1):
        say(f"{at:>3}. {plain(shot.sentence)}")
