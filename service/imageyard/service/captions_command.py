"""`imageyard captions`: how long the captions of a version are, which rules they break, who has the trigger words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import get_args

from imageyard.manifests.errors import VersionError
from imageyard.ray_jobs.analysis.caption_numbers import (
    Bin,
    Bounds,
    CaptionNumbers,
    LengthUnit,
    Spread,
    TriggerCoverage,
    caption_numbers,
)
from imageyard.ray_jobs.analysis.said import reading
from imageyard.ray_jobs.report_text import number, share
from imageyard.ray_jobs.summary_numbers import triggers_of
from imageyard.service.analysis_text import condition_of, plain, roles_of, some, times, told
from imageyard.service.console import pairs, say, say_json, table
from imageyard.service.look_commands import opened, version_of

BAR = 40
"""Characters of the longest bar of the histogram."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the captions of a version."""

    role: str | None = None
    where: str | None = None
    """A condition on samples; see `selecting`."""
    triggers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    unit: str = "tokens"


def show_captions(url: str, number: int | None, asked: Asked, *, as_json: bool) -> None:
    """The numbers of the captions of a version."""
    dataset = opened(url)
    version = version_of(dataset, number)
    samples = reading(dataset, version, roles_of(asked.role), condition_of(asked.where))
    triggers = asked.triggers or triggers_of(version, samples())
    bounds = Bounds(unit=_unit(asked.unit))
    found = caption_numbers(samples, triggers=triggers, limits=asked.limits, bounds=bounds)
    if as_json:
        say_json({"dataset": url, "version": version.number, **asdict(found)})
        return
    of = told(version, asked.role, asked.where)
    if not found.captioned:
        say(f"{of} has no captions and no tags to make any of; upload .txt files beside the images, or add a step")
        return
    _show_lengths(of, found)
    _show_limits(found)
    _show_triggers(found.triggers)
    _show_findings(found)
    _show_consistency(found)


def _unit(unit: str) -> LengthUnit:
    for known in get_args(LengthUnit):
        if known == unit:
            return known  # type: ignore[no-any-return]  # one of its own values
    raise VersionError(f"there is no unit {unit!r}; units are {', '.join(get_args(LengthUnit))}")


def _show_lengths(of: str, found: CaptionNumbers) -> None:
    kinds = f"lists of tags {found.tag_lists:,}, sentences {found.prose:,}"
    said = {"images": f"{found.images:,}, {found.captioned:,} with a text", "texts": kinds}
    said["taken from"] = times(found.sources, shown=len(found.sources))
    if found.further:
        said["further captions"] = times(found.further, shown=8)
    pairs(f"captions of {of}", said)
    tokens = "tokens of CLIP" if found.unit == "clip" else "tokens, approximately (CLIP's vocabulary is not installed)"
    rows = [
        _row(tokens, found.tokens),
        _row("words", found.words),
        _row("characters", found.characters),
        *([_row("tags", found.pieces)] if found.tag_lists else []),
    ]
    table("length of a text", ("in", "least", "median", "mean", "95 % have at most", "most"), rows)
    most = max((one.images for one in found.histogram), default=1)
    bars = [(_span(one), one.images, "█" * round(BAR * one.images / most)) for one in found.histogram]
    table("tokens", ("tokens", "images", ""), bars)


def _span(one: Bin) -> str:
    return f"{one.lower}" if one.lower == one.upper else f"{one.lower}–{one.upper}"


def _row(name: str, spread: Spread) -> tuple[object, ...]:
    return name, spread.minimum, number(spread.median), f"{spread.mean:.1f}", number(spread.p95), spread.maximum


def _show_limits(found: CaptionNumbers) -> None:
    rows = [
        (one.name, one.tokens, one.encoder, one.cut.images, share(one.cut.images, found.images), some(one.cut))
        for one in found.limits
    ]
    table("what models read", ("model", "tokens", "encoder", "cut", "share", "such as"), rows)


def _show_triggers(triggers: tuple[TriggerCoverage, ...]) -> None:
    for trigger in triggers:
        rows = [
            (what, affected.images, some(affected))
            for what, affected in (
                ("as given", trigger.exact),
                ("… first", trigger.first),
                ("… not first", trigger.not_first),
                ("… more than once", trigger.twice),
                ("another spelling only", trigger.variant),
                ("missing", trigger.missing),
            )
        ]
        table(f"trigger {plain(trigger.trigger)}", ("", "images", "such as"), rows)


def _show_findings(found: CaptionNumbers) -> None:
    rows = [
        (one.severity, one.rule, plain(one.reason), times(one.details), some(one.affected)) for one in found.findings
    ]
    if rows:
        table("findings", ("severity", "rule", "what", "in detail", "such as"), rows)
    else:
        say("no rule is broken")


def _show_consistency(found: CaptionNumbers) -> None:
    rows = [(part.rule, part.affected, f"{part.value:.3f}") for part in found.consistency.parts]
    say(f"consistency {found.consistency.score:.3f}: the share of images that break none of these rules")
    table("", ("rule", "images that break it", "1 - share"), rows)
