"""`imageyard tags`: how often each tag of a version stands, which together, which twice under two spellings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from imageyard.manifests.errors import VersionError
from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.analysis.said import reading
from imageyard.ray_jobs.analysis.tag_numbers import Source, TagCount, TagNumbers, TagPair, tag_numbers
from imageyard.ray_jobs.report_text import number, plural, share
from imageyard.ray_jobs.summary_numbers import triggers_of
from imageyard.service.analysis_text import condition_of, plain, roles_of, some, times, told
from imageyard.service.console import pairs, say, say_json, table
from imageyard.service.look_commands import opened, version_of

SOURCES: tuple[Source, ...] = ("tags", "captions")
TOLD = 10
"""Rows of the lesser tables."""


@dataclass(frozen=True)
class Asked:
    """What of a version is to be counted, and how much of it shown."""

    role: str | None = None
    where: str | None = None
    """A condition on samples; see `selecting`."""
    source: str | None = None
    triggers: tuple[str, ...] = ()
    top: int = 30


def show_tags(url: str, number: int | None, asked: Asked, *, as_json: bool) -> None:
    """The numbers of the tags of a version."""
    dataset = opened(url)
    version = version_of(dataset, number)
    samples = reading(dataset, version, roles_of(asked.role), condition_of(asked.where))
    triggers = asked.triggers or triggers_of(version, samples())
    found = tag_numbers(samples, source=_source(asked.source), triggers=triggers)
    if as_json:
        say_json({"dataset": url, "version": version.number, **asdict(found)})
        return
    of = told(version, asked.role, asked.where)
    if not found.vocabulary:
        where = "tags" if found.source == "tags" else "tags, and no caption that is a list of tags"
        say(f"{of} has no {where}; write `- tag: {{model: …}}` among the steps of the recipe and run it again")
        return
    _show_sums(of, found)
    _show_tags(found, asked.top)
    _show_pairs("stand together most often", found.pairs_by_count)
    _show_pairs("stand together more often than by chance", found.pairs_by_lift)
    if found.near:
        near = [
            (str(group.why), plain(group.forms[0][0]), group.forms[0][1], times(group.forms[1:], shown=6))
            for group in found.near[:TOLD]
        ]
        table(_title("probably one tag", len(near), len(found.near)), ("by", "tag", "images", "also written"), near)
    if found.conflicts:
        rows = [
            (one.axis, " + ".join(map(plain, one.tags)), one.affected.images, some(one.affected))
            for one in found.conflicts[:TOLD]
        ]
        title = _title("tags that contradict each other", len(rows), len(found.conflicts))
        table(title, ("on", "tags", "images", "such as"), rows)
    _show_completeness(found)


def _source(source: str | None) -> Source | None:
    if source is None:
        return None
    for known in SOURCES:
        if known == source:
            return known
    raise VersionError(f"there is no source {source!r}; sources are {', '.join(SOURCES)}")


def _show_sums(of: str, found: TagNumbers) -> None:
    each = found.per_image
    pairs(
        f"tags of {of}",
        {
            "taken from": "the pair tags" if found.source == "tags" else "captions that are lists of tags",
            "images": f"{found.images:,}, {found.tagged:,} with tags",
            "tags": f"{found.total:,} written, {found.vocabulary:,} different, {found.entropy:.2f} bits of entropy",
            "tags an image": f"{each.minimum} to {each.maximum}, median {number(each.median)}, mean {each.mean:.1f}",
            "on one image only" if found.rare_below == 2 else f"on fewer than {found.rare_below} images": _some_tags(
                found.rare
            ),
            "on almost all images": _some_tags(found.always),
        },
    )


def _some_tags(tags: Sequence[TagCount]) -> str | None:
    return some(Affected(len(tags), tuple(tag.tag for tag in tags[:20])), shown=8) or None


def _show_tags(found: TagNumbers, top: int) -> None:
    rows = [
        (
            plain(tag.tag),
            tag.images,
            share(tag.images, found.images),
            tag.total,
            _score(tag),
        )
        for tag in found.tags[:top]
    ]
    table(_title("tags", len(rows), found.vocabulary), ("tag", "images", "share", "times", "mean score"), rows)


def _score(tag: TagCount) -> str | None:
    return None if tag.score is None else f"{tag.score:.3f}"


def _show_pairs(title: str, found: Sequence[TagPair]) -> None:
    rows = [(plain(one.first), plain(one.second), one.images, f"{one.lift:.2f}") for one in found[:TOLD]]
    if rows:
        table(title, ("tag", "and", "images", "lift"), rows)


def _show_completeness(found: TagNumbers) -> None:
    complete = found.complete
    lacking = [("no tags", complete.without_tags), ("no caption", complete.without_caption)]
    lacking += [(f"no trigger {plain(trigger)}", without) for trigger, without in complete.without_trigger]
    rows = [(what, affected.images, some(affected)) for what, affected in lacking if affected.images]
    if rows:
        table("images that lack something", ("what", "images", "such as"), rows)
    else:
        say(f"all {plural(found.images, 'image')} have tags and a caption")


def _title(words: str, shown: int, whole: int) -> str:
    return words if shown == whole else f"{words}, {shown:,} of {whole:,}"
