"""What tags and captions say in sum, as figures of a report: lengths, frequencies, what stands together, findings."""

from collections.abc import Sequence

from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.analysis.caption_numbers import CaptionNumbers, TriggerCoverage
from imageyard.ray_jobs.analysis.findings import Finding
from imageyard.ray_jobs.analysis.tag_numbers import TagNumbers
from imageyard.ray_jobs.report_charts import bar
from imageyard.ray_jobs.report_data import Report
from imageyard.ray_jobs.report_plots import Bar, heat, histogram
from imageyard.ray_jobs.report_sections import Section, panel
from imageyard.ray_jobs.report_text import number, plural, share, text
from imageyard.ray_jobs.state import TAGS

CHUNKS = (75, 150, 225)
"""Tokens of one, two and three windows of CLIP, without begin and end: what trainers read of a caption."""
_TOGETHER, _LISTED, _NAMES, _MOST_BARS, _FINDINGS = 20, 12, 3, 40, 40
_UNITS = {"clip": "CLIP tokens", "approx": "tokens, roughly"}


def figures(report: Report) -> tuple[Section, ...]:
    """The sections, in the order in which they are read."""
    return (
        _per_image(report),
        _lengths(report.caption_numbers),
        _together(report.tag_numbers),
        _triggers(report.caption_numbers),
        _caption_findings(report.caption_numbers),
        _tag_findings(report.tag_numbers),
    )


def some(affected: Affected) -> str:
    """The first names of the images, and how many there are more, as HTML."""
    names = ", ".join(text(name) for name in affected.names[:_NAMES])
    more = affected.images - min(len(affected.names), _NAMES)
    return f"{names} and {number(more)} more" if names and more > 0 else names


def _facts(said: Sequence[tuple[str, str]]) -> str:
    listed = "".join(f"<div><dt>{name}</dt><dd>{words}</dd></div>" for name, words in said)
    return f'<dl class="said">{listed}</dl>'


def _per_image(report: Report) -> Section:
    key, name = "per-image", "Tags per image"
    if not report.per_image:
        return panel(key, name, "")
    bars = _binned(report.per_image)
    images = sum(count for _, count in report.per_image)
    low, high = report.per_image[0][0], report.per_image[-1][0]
    label = f"Tags per image of {plural(images, 'image')}: {number(low)} to {number(high)}"
    numbers, facts = report.tag_numbers, ""
    if numbers is not None:
        facts = _facts(
            (
                ("images with tags", f"{number(numbers.tagged)} of {number(numbers.images)}"),
                ("different tags", number(numbers.vocabulary)),
                ("tags an image, median", f"{numbers.per_image.median:g}"),
                ("bits of entropy", f"{numbers.entropy:.1f}"),
            )
        )
    lead = (
        f"Here and below, of {number(report.counted)} of {number(report.shown.kept)} pictures, evenly spread."
        if report.counted is not None and report.counted < report.shown.kept
        else ""
    )
    return panel(key, name, facts + histogram(bars, label=label, unit="tags", of="images"), lead=lead)


def _binned(counts: Sequence[tuple[int, int]]) -> list[Bar]:
    """(value, count) as bins of equal width, no more than _MOST_BARS."""
    low, high = counts[0][0], counts[-1][0]
    width = -(-(high - low + 1) // _MOST_BARS)
    bars = [0] * ((high - low) // width + 1)
    for value, count in counts:
        bars[(value - low) // width] += count
    return [(low + at * width, low + at * width + width - 1, count) for at, count in enumerate(bars)]


def _together(numbers: TagNumbers | None) -> Section:
    key, name = "together", "Tags that stand together"
    if numbers is None or len(numbers.matrix.tags) < 2:
        return panel(key, name, "")
    tags = numbers.matrix.tags[:_TOGETHER]
    cells = [line[: len(tags)] for line in numbers.matrix.images[: len(tags)]]
    label = f"How often the {number(len(tags))} most frequent tags stand together"
    pairs = "".join(
        f'<tr><th scope="row"><span class="u">{text(pair.first)}</span> <span class="soft">and</span> '
        f'<span class="u">{text(pair.second)}</span></th><td class="num">{number(pair.images)}</td>'
        f'<td class="num">{pair.lift:.1f}</td></tr>'
        for pair in numbers.pairs_by_lift[:_LISTED]
    )
    table = (
        '<div><h3>More often together than by chance</h3><table class="rows"><thead><tr><th scope="col">Tags</th>'
        f'<th scope="col" class="num">Images</th><th scope="col" class="num">× chance</th></tr></thead>'
        f"<tbody>{pairs}</tbody></table></div>"
        if pairs
        else ""
    )
    body = (
        f'<div class="pieces"><div class="broad">{heat(tags, tags, cells, label=label, same=True)}</div>{table}</div>'
    )
    lead = "Images that have both; on the diagonal, those that have the one."
    return panel(key, name, body, lead=lead, size="full")


def _lengths(numbers: CaptionNumbers | None) -> Section:
    key, name = "lengths", "Length of training texts"
    if numbers is None or not numbers.histogram:
        return panel(key, name, "")
    bars = [(one.lower, one.upper, one.images) for one in numbers.histogram]
    unit, tokens = _UNITS[numbers.unit], numbers.tokens
    longest = max(bars[-1][1], 1)
    lines = [line for at, line in enumerate(CHUNKS) if at == 0 or longest > CHUNKS[at - 1]]
    label = (
        f"{unit} of {plural(numbers.captioned, 'training text')}: {number(tokens.minimum)} to "
        f"{number(tokens.maximum)}, half of them up to {tokens.median:g}"
    )
    facts = _facts(
        (
            ("training texts", f"{number(numbers.captioned)} of {number(numbers.images)}"),
            ("tag lists", number(numbers.tag_lists)),
            ("prose", number(numbers.prose)),
            ("tokens, median", f"{tokens.median:g}"),
            ("95 % have at most", number(tokens.p95)),
        )
    )
    cut = "".join(
        f'<tr><th scope="row"><span class="u">{text(limit.name)}</span> '
        f'<span class="soft u">{text(limit.encoder)}</span></th><td class="num">{number(limit.tokens)}</td>'
        f'<td class="num">{number(limit.cut.images)}</td><td class="u soft">{some(limit.cut)}</td></tr>'
        for limit in numbers.limits
        if limit.asked or limit.cut.images
    )
    table = (
        '<table class="rows"><thead><tr><th scope="col">Text encoder</th><th scope="col" class="num">Reads</th>'
        f'<th scope="col" class="num">Cuts</th><th scope="col">Such as</th></tr></thead><tbody>{cut}</tbody></table>'
        if cut
        else ""
    )
    drawn = histogram(bars, label=label, unit=unit, of="images", lines=lines)
    lead = "The dashed lines end the windows of 75 tokens; what a text encoder does not read is cut silently."
    return panel(key, name, f"{facts}{drawn}{table}", lead=lead)


def _triggers(numbers: CaptionNumbers | None) -> Section:
    key, name = "triggers", "Trigger words"
    if numbers is None or not numbers.triggers:
        return panel(key, name, "")
    legend = "".join(f'<span><span class="dot {style}"></span>{said}</span>' for style, said in _TRIGGER)
    drawn = "".join(_trigger(one) for one in numbers.triggers)
    return panel(key, name, f'{drawn}<div class="key">{legend}</div>', size="full")


_TRIGGER = (
    ("c-kept", "at the beginning"),
    ("c-train", "elsewhere"),
    ("c-some", "another spelling"),
    ("c-lack", "none"),
)


def _trigger(one: TriggerCoverage) -> str:
    parts = (one.first.images, one.not_first.images, one.variant.images, one.missing.images)
    whole = one.exact.images + one.variant.images + one.missing.images
    styles = (style for style, _ in _TRIGGER)
    said = [f"{number(one.exact.images)} of {number(whole)}, {share(one.exact.images, whole)}"]
    for affected, words in (
        (one.missing, "lack it"),
        (one.variant, "spell it otherwise"),
        (one.twice, "have it twice"),
    ):
        if affected.images:
            names = some(affected)
            said.append(f"{number(affected.images)} {words}{f': {names}' if names else ''}")
    words = "".join(f'<p class="u{" soft" if at else ""}">{line}</p>' for at, line in enumerate(said))
    drawn = bar(list(zip(styles, parts, strict=True)), whole)
    return f'<div class="trigger"><h3 class="u">{text(one.trigger)}</h3>{drawn}{words}</div>'


def _caption_findings(numbers: CaptionNumbers | None) -> Section:
    key, name = "caption-findings", "What to look at in the captions"
    if numbers is None or not numbers.findings or {member for member, _ in numbers.sources} == {TAGS}:
        return panel(key, name, "")
    rows = "".join(_finding(one) for one in numbers.findings[:_FINDINGS])
    body = (
        '<table class="findings"><thead class="quiet"><tr><th scope="col">How bad</th><th scope="col">What</th>'
        f'<th scope="col">Images</th><th scope="col">Share</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    broken = numbers.consistency
    lead = ""
    if broken.parts:
        worst = sorted((part for part in broken.parts if part.affected), key=lambda part: (-part.affected, part.rule))
        parts = ", ".join(f"{text(part.rule)} {number(part.affected)}" for part in worst) or "every rule is kept"
        lead = f"Consistency {broken.score:.2f}: {parts}."
    return panel(key, name, body, lead=lead, size="full")


def _finding(one: Finding) -> str:
    details = ", ".join(f"{text(words)} ({number(count)})" for words, count in one.details[:_LISTED])
    more = f'<p class="u soft">{details}</p>' if details else ""
    names = some(one.affected)
    where = f'<p class="u soft">{names}</p>' if names else ""
    return (
        f'<tr><td><span class="severity {one.severity}">{one.severity}</span></td>'
        f'<th scope="row"><p class="u">{text(one.reason)}</p>{more}{where}<p class="soft u">{text(one.rule)}</p></th>'
        f'<td class="num">{number(one.affected.images)}</td><td class="num soft">{100 * one.share:.1f} %</td></tr>'
    )


def _tag_findings(numbers: TagNumbers | None) -> Section:
    key, name = "tag-findings", "What to look at in the tags"
    if numbers is None:
        return panel(key, name, "")
    rows = [
        *(
            ("contradict each other", " and ".join(one.tags), some(one.affected), one.affected.images)
            for one in numbers.conflicts[:_LISTED]
        ),
        *(
            (
                f"one tag in several forms ({one.why})",
                ", ".join(f"{form} {number(n)}" for form, n in one.forms),
                "",
                sum(n for _, n in one.forms),
            )
            for one in numbers.near[:_LISTED]
        ),
        *(("on nearly every image", one.tag, "", one.images) for one in numbers.always[:_LISTED]),
    ]
    for affected, words in (
        (numbers.complete.without_tags, "no tags"),
        (numbers.complete.without_caption, "no caption"),
    ):
        if 0 < affected.images < numbers.images:
            rows.append((words, "", some(affected), affected.images))
    if numbers.rare:
        tags = ", ".join(one.tag for one in numbers.rare[:_LISTED])
        left = len(numbers.rare) - _LISTED
        said = f"{tags} and {number(left)} more" if left > 0 else tags
        rows.append((f"on fewer than {plural(numbers.rare_below, 'image')}", said, "", len(numbers.rare)))
    body = "".join(
        f'<tr><th scope="row" class="soft">{text(what)}</th><td><p class="u">{text(tags)}</p>'
        f'{f"""<p class="u soft">{names}</p>""" if names else ""}</td><td class="num">{number(count)}</td></tr>'
        for what, tags, names, count in rows
    )
    return panel(key, name, f'<table class="findings"><tbody>{body}</tbody></table>' if body else "", size="full")
