"""How a training set covers what a model must see, as a section of a report: axes, gaps, and what to shoot next."""

from imageyard.ray_jobs.analysis.axes import Axis, Cross, Seen
from imageyard.ray_jobs.analysis.coverage import Coverage
from imageyard.ray_jobs.analysis.looks import Looks
from imageyard.ray_jobs.report_analysis import some
from imageyard.ray_jobs.report_charts import bar
from imageyard.ray_jobs.report_plots import against, heat
from imageyard.ray_jobs.report_sections import Section, panel
from imageyard.ray_jobs.report_text import number, plural, share, text

_VALUES, _CROSSES, _SHOTS, _OUTLIERS, _LOOKS = 14, 4, 20, 8, 12


def coverage(found: Coverage | None) -> Section:
    """The section; empty where too little is known to say what is missing."""
    key, name = "coverage", "Shot list"
    if found is None or not found.usable:
        return panel(key, name, "")
    shots = "".join(f'<li class="u">{text(shot.sentence)}</li>' for shot in found.next_shots[:_SHOTS])
    left = len(found.next_shots) - _SHOTS
    rest = f'<p class="soft">and {number(left)} more</p>' if left > 0 else ""
    wanted = f'<div><h3>Shoot or find next</h3><ol class="shots">{shots}</ol>{rest}</div>' if shots else ""
    beside = f'<div class="pieces">{wanted}{_size(found)}{_looks(found.looks)}</div>'
    aimed = any(one.wanted for axis in found.axes for one in axis.values)
    legend = '<p class="soft">Pale: as many as are wanted, from the black line on.</p>' if aimed else ""
    axes = "".join(_axis(axis) for axis in found.axes if axis.known)
    unknown = ", ".join(text(axis.name) for axis in found.axes if not axis.known)
    blank = f'<p class="soft u">Of these axes nothing is known: {unknown}.</p>' if unknown else ""
    crosses = "".join(_cross(cross) for cross in found.crosses[:_CROSSES])
    parts = (
        beside
        + (f'<div>{legend}<div class="axes">{axes}</div></div>' if axes else "")
        + blank
        + (f'<div class="pieces">{crosses}</div>' if crosses else "")
    )
    by = f" by {text(found.model)}" if found.model else ""
    lead = f"For a {text(found.profile)}, read from {found.source or 'nothing'}{by}. {text(found.reason)}"
    return panel(key, name, f'<div class="parts">{parts}</div>', lead=lead, size="full")


def _size(found: Coverage) -> str:
    severity = found.size.severity
    mark = f'<span class="severity {text(severity)}">{text(severity)}</span> ' if severity else ""
    removed = "".join(
        f'<p class="u">{text(what)}: {plural(affected.images, "image")} <span class="soft">{some(affected)}</span></p>'
        for what, affected in found.remove
    )
    out = f"<h3>Perhaps to take out</h3>{removed}" if removed else ""
    return f'<div><h3>How many</h3><p class="u">{mark}{text(found.size.reason)}</p>{out}</div>'


def _looks(looks: Looks | None) -> str:
    if looks is None:
        return ""
    parts = [("c-kept", size) for size in looks.sizes[:_LOOKS]]
    said = (
        f"{plural(looks.clusters, 'different look')} among {plural(looks.images, 'image')}; the largest has "
        f"{share(looks.largest.images, looks.images)} of them"
    )
    far = "".join(
        f'<li class="u">{text(one.name)} <span class="soft">{one.distance:.2f}</span></li>'
        for one in looks.outliers[:_OUTLIERS]
    )
    outliers = f'<p class="soft">Unlike the rest:</p><ul class="chips">{far}</ul>' if far else ""
    return f"<div><h3>Looks</h3><p>{said}.</p>{bar(parts, max(looks.images, 1))}{outliers}</div>"


def _axis(axis: Axis) -> str:
    excess = {one.value: one for one in axis.excess}
    shown = axis.values[:_VALUES]
    most = max([1, *(max(one.images, one.wanted[1] if one.wanted else 0) for one in shown)])
    rows = "".join(_seen(one, most, over=one.value in excess) for one in shown)
    distinct = f"{number(axis.distinct)} different"
    if axis.wanted_distinct is not None:
        distinct += f" of {number(axis.wanted_distinct)} wanted"
    notes = [
        f"{text(one.value)}: {100 * one.share:.0f} % of the images, {100 * one.threshold:.0f} % is much"
        for one in axis.excess
    ]
    notes += [text(note) for note in axis.notes]
    notes += [f"other ones: {some(axis.strays)}"] if axis.strays.names else []
    left = len(axis.values) - len(shown)
    notes += [f"and {plural(left, 'value')} more"] if left > 0 else []
    said = "".join(f'<p class="u soft">{note}</p>' for note in notes)
    table = (
        '<table class="bars"><thead class="quiet"><tr><th scope="col">Value</th><td></td><th scope="col">Images</th>'
        f'<th scope="col">Wanted</th></tr></thead><tbody>{rows}</tbody></table>'
        if rows
        else ""
    )
    return (
        f'<div><h3 class="u">{text(axis.name)}</h3>'
        f'<p class="soft">{distinct}, known of {plural(axis.said, "image")}</p>'
        f"{table}{said}</div>"
    )


def _seen(one: Seen, most: int, *, over: bool) -> str:
    style = "c-duplicate" if over else "c-lack" if one.missing else "c-kept"
    wanted = ""
    if one.wanted is not None:
        low, high = one.wanted
        wanted = f"of {number(low)}" if low == high else f"of {number(low)}–{number(high)}"
    if not one.tellable:
        wanted += " (no tag says it)"
    if over:
        wanted = f'<span class="over-much">too many</span> {wanted}'
    elif one.missing:
        wanted = f"{wanted} <b>+{number(one.missing)}</b>"
    return (
        f'<tr><th scope="row"><span class="u">{text(one.value)}</span></th>'
        f'<td class="grow">{against(one.images, one.wanted, most, style=style)}</td>'
        f'<td class="num">{number(one.images)}</td><td class="num soft">{wanted}</td></tr>'
    )


def _cross(cross: Cross) -> str:
    if not cross.rows or not cross.columns:
        return ""
    label = f"{cross.first} against {cross.second}"
    rows, columns = cross.rows[:_VALUES], cross.columns[:_VALUES]
    cells = [line[: len(columns)] for line in cross.images[: len(rows)]]
    return f'<div class="broad"><h3 class="u">{text(label)}</h3>{heat(rows, columns, cells, label=label)}</div>'
