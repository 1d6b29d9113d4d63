"""The report of one job: one self-contained HTML page by which a curator judges what the job did."""

from imageyard.ray_jobs.report_analysis import figures
from imageyard.ray_jobs.report_cards import contact_sheet, duplicates, rejections, switches
from imageyard.ray_jobs.report_charts import ROLES, bar, distances, ranked, scatter, shapes, short_sides, stacked, tone
from imageyard.ray_jobs.report_coverage import coverage
from imageyard.ray_jobs.report_data import Alike, Apart, Picture, Rejection, Report, Totals
from imageyard.ray_jobs.report_script import POLICY, SCRIPT
from imageyard.ray_jobs.report_sections import Section, html, panel, panels, sheet, stack
from imageyard.ray_jobs.report_style import STYLE
from imageyard.ray_jobs.report_text import moment, number, plural, share, text
from imageyard.ray_jobs.report_texts import texts

__all__ = ["Alike", "Apart", "Picture", "Rejection", "Report", "Totals", "render"]

_STAGES = {
    "found": "objects in the drop folder",
    "new": "not taken in before",
    "readable": "decode as a picture",
    "passed": "meet every threshold",
    "unique": "no better copy is kept",
}
_TOP_TAGS = 30
_TOP_LABELS = 40


def render(report: Report) -> bytes:
    """The page of `report` as UTF-8: equal reports give equal bytes, and nothing in it loads from anywhere.

    Every text of `report` is shown as it is, never read as markup. Sections with nothing to say are left out. About
    8 KB a thumbnail: the caller samples the pictures.
    """
    happened = (_funnel(report), _checks(report))
    measured = (_roles(report), _distances(report))
    counted = (_tags(report), _sizes(report), _split(report))
    said = (*figures(report), coverage(report.coverage))
    sheets = (texts(report), _kept(report), _duplicates(report), _rejected(report))
    ends = (_waiting(report), _work(report), _recipe(report))
    drawn = [section for section in (*happened, *measured, *counted, *said, *sheets, *ends) if section[2]]
    contents = "".join(f'<li><a href="#{key}">{name}</a></li>' for key, name, _ in drawn)
    title = f"{text(report.dataset)}, {_version(report)}"
    body = (
        _header(report),
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>' if drawn else "",
        '<main id="main">',
        _tiles(report),
        panels(html(happened) + stack(measured) + html(counted + said)),
        switches(report),
        _FIND if any(section[2] for section in sheets) else "",
        *(section[2] for section in sheets),
        panels(html(ends)),
        "</main>",
        "<footer>Written by Imageyard at the end of the job. This page is complete in itself: it loads nothing "
        "and sends nothing.</footer>",
    )
    content = "\n".join(part for part in body if part)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<meta name="color-scheme" content="light dark"><title>{title}: job report</title>'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head>\n<body>'
        f'<a class="skip" href="#main">Skip to the report</a>\n{content}\n'
        f"<script>{SCRIPT}</script></body></html>\n"
    )
    return page.encode()


_FIND = (
    '<div class="find" role="search" hidden><input type="search" aria-label="Filter the pictures" '
    'placeholder="Filter pictures by name, tag, class, role or reason"><output aria-live="polite"></output></div>'
)


def _version(report: Report) -> str:
    return f"version {number(report.version)}" if report.version is not None else "no version"


def _header(report: Report) -> str:
    facts = [("Version", number(report.version) if report.version is not None else "none committed")]
    if report.parent is not None:
        facts.append(("from version", number(report.parent)))
    facts += [("Job", f'<span class="u">{text(report.job)}</span>'), ("Created", moment(report.created))]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f'<header><p class="brand">Imageyard job report</p><h1 class="u">{text(report.dataset)}</h1>'
        f'<dl class="facts">{listed}</dl></header>'
    )


def _tiles(report: Report) -> str:
    tiles = "".join(f"<div><dt>{text(name)}</dt><dd>{number(count)}</dd></div>" for name, count in report.counts)
    return f'<dl class="tiles">{tiles}</dl>' if tiles else ""


def _funnel(report: Report) -> Section:
    stages = report.funnel or tuple((name, count) for name, count in report.counts if name in _STAGES)
    roles = [(role, count) for role, count in report.roles if role != "rejected" and count]
    if len(stages) < 2:
        return panel("funnel", "What happened", "")
    most = max(count for _, count in stages)
    rows, before = [], stages[0][1]
    for name, count in stages:
        lost = max(0, before - count)
        note = f"<small>{_STAGES[name]}</small>" if name in _STAGES else ""
        drawn = bar((("c-kept", count), ("c-lost", lost)), most)
        fewer = f"−{number(lost)}" if lost else ""
        rows.append(
            f'<tr><th scope="row">{text(name)}{note}</th><td class="grow">{drawn}</td>'
            f'<td class="num"><b>{number(count)}</b></td><td class="num soft">{fewer}</td></tr>'
        )
        before = count
    if roles:
        whole = sum(count for _, count in roles)
        key = "".join(
            f'<span><span class="dot {tone(role)}"></span>{text(role)} {number(count)}</span>' for role, count in roles
        )
        rows.append(
            f'<tr><th scope="row">by role<small>every picture kept</small></th><td class="grow">'
            f'{bar([(tone(role), count) for role, count in roles], whole)}<div class="key">{key}</div></td>'
            f'<td class="num"><b>{number(whole)}</b></td><td></td></tr>'
        )
    body = (
        '<table class="bars stages"><thead class="quiet"><tr><th scope="col">Stage</th><td></td>'
        '<th scope="col">Pictures</th><th scope="col">Fewer than before</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return panel("funnel", "What happened", body, size="wide")


def _checks(report: Report) -> Section:
    rows = [(check, count) for check, count in report.rejected_by_check if count]
    if not rows:
        return panel("checks", "Rejected by reason", "")
    total = sum(count for _, count in rows)
    place = {check: index for index, check in enumerate(dict.fromkeys(check for check, _ in report.rejected_by_check))}
    href: dict[str, str] = {}
    for part, units in (("conflict", report.conflicts), ("copies", report.duplicates), ("foreign", report.foreign)):
        href |= {p.rejection.check: part for unit in units for p in unit.dropped if p.rejection}
    checks = {picture.rejection.check for picture in report.rejected if picture.rejection}
    href |= {check: f"check-{index}" for check, index in place.items() if check in checks}
    named = [
        (f'<a href="#{href[check]}">{text(check)}</a>' if check in href else text(check), count)
        for check, count in rows
    ]
    most = max(count for _, count in rows)
    body = ranked(("Check", "Pictures"), named, most=most, of=total, tone_class="c-rejected")
    return panel("checks", "Rejected by reason", body, lead=f"{plural(total, 'picture')} in all.")


def _roles(report: Report) -> Section:
    name = "Roles"
    if report.labels:
        used = {role for _, by_role in report.labels for role, count in by_role if count}
        given = dict.fromkeys(role for _, by_role in report.labels for role, _ in by_role)
        roles = [role for role in ROLES if role in used] + [role for role in given if role in used - set(ROLES)]
        rows = report.labels[:_TOP_LABELS]
        of = f"{number(len(rows))} of {number(len(report.labels))}" if len(rows) < len(report.labels) else "All"
        lead = f"{of} classes, by role." if len(report.labels) > 1 else ""
        return panel("roles", name, stacked("Class", rows, roles) if roles else "", lead=lead)
    shown = [(role, count) for role, count in report.roles if count]
    if not shown:
        return panel("roles", name, "")
    total, most = sum(count for _, count in shown), max(count for _, count in shown)
    rows_html = "".join(
        f'<tr><th scope="row"><span class="dot {tone(role)}"></span>{text(role)}</th>'
        f'<td class="grow">{bar(((tone(role), count),), most)}</td><td class="num">{number(count)}</td>'
        f'<td class="num soft">{share(count, total)}</td></tr>'
        for role, count in shown
    )
    body = (
        '<table class="bars"><thead class="quiet"><tr><th scope="col">Role</th><td></td><th scope="col">Pictures</th>'
        f'<th scope="col">Share</th></tr></thead><tbody>{rows_html}</tbody></table>'
    )
    return panel("roles", name, body)


def _tags(report: Report) -> Section:
    top = report.tags[:_TOP_TAGS]
    if not top:
        return panel("tags", "Tags", "")
    most = max(count for _, count in top) or 1
    half = len(top) if len(top) <= 8 else -(-len(top) // 2)
    tables = "".join(
        ranked(("Tag", "Pictures"), [(text(tag), n) for tag, n in part], most=most, of=0, tone_class="c-kept")
        for part in (top[:half], top[half:])
        if part
    )
    lead = (
        f"The {number(len(top))} most frequent of {number(len(report.tags))}."
        if len(report.tags) > len(top)
        else f"{plural(len(top), 'tag')} in all."
    )
    return panel(
        "tags",
        "Tags",
        f'<div class="pieces same">{tables}</div>',
        lead=lead,
        size="wide fill" if len(top) > 20 else "wide",
    )


def _sizes(report: Report) -> Section:
    if not report.sizes:
        return panel("sizes", "Picture sizes", "")
    pieces = []
    for title, head, rows in (
        ("Shorter side", "Pixels", short_sides(report.sizes)),
        ("Shape", "Width to height", shapes(report.sizes)),
    ):
        most = max(count for _, count in rows)
        named = [(text(name), count) for name, count in rows]
        table = ranked((head, "Pictures"), named, most=most, of=len(report.sizes), tone_class="c-kept")
        pieces.append(f"<div><h3>{title}</h3>{table}</div>")
    body = f'<div class="pieces"><figure>{scatter(report.sizes)}</figure>{"".join(pieces)}</div>'
    lead = f"Of {plural(len(report.sizes), 'kept picture')}, in pixels."
    return panel("sizes", "Picture sizes", body, lead=lead, size="full")


def _distances(report: Report) -> Section:
    body = f"<figure>{distances(report.distances, report.within)}</figure>" if report.distances else ""
    count = len(report.distances)
    dropped = f"{number(count)} dropped copies lie" if count != 1 else "1 dropped copy lies"
    return panel("distances", "Duplicate distances", body, lead=f"How far {dropped} from the one that is kept.")


def _split(report: Report) -> Section:
    rows = "".join(
        f'<tr><th scope="row">{text(heading)}</th><td><ul>'
        + "".join(f'<li class="u">{text(sentence)}</li>' for sentence in sentences)
        + "</ul></td></tr>"
        for heading, sentences in report.split
    )
    body = f'<table class="rows"><tbody>{rows}</tbody></table>' if rows else ""
    return panel("split", "Split", body, lead="What was counted and checked before the commit.", size="full")


def _kept(report: Report) -> Section:
    body = contact_sheet(report.kept, key="kept") if report.kept else ""
    return sheet("kept", "Kept", body, shown=len(report.kept), total=report.shown.kept, what="pictures")


def _rejected(report: Report) -> Section:
    body = rejections(report.rejected, [check for check, _ in report.rejected_by_check]) if report.rejected else ""
    what = "pictures, each with what was measured"
    return sheet("rejected", "Rejected", body, shown=len(report.rejected), total=report.shown.rejected, what=what)


def _duplicates(report: Report) -> Section:
    drawn, found = duplicates(report), report.shown
    total = found.conflicts + found.duplicates + found.likenesses + found.foreign
    promised = "".join(f'<li class="u">{text(promise)}</li>' for promise in report.promises)
    if not drawn and not promised:
        return "duplicates", "Duplicates", ""
    lead = "" if drawn else '<p class="lead">No picture was found to be like another one.</p>'
    proof = f'<ul class="proof soft">{promised}</ul>' if promised else ""
    html = f'<section class="sheet" id="duplicates"><h2>Duplicates</h2>{lead}{proof}{drawn}</section>'
    return "duplicates", f'Duplicates <span class="soft">{number(total)}</span>', html


def _waiting(report: Report) -> Section:
    rows = "".join(
        f'<tr><th scope="row" class="u">{text(name)}</th><td class="u">{text(why)}</td></tr>'
        for name, why in report.waiting
    )
    table = (
        '<table class="rows"><thead><tr><th scope="col">Object</th><th scope="col">Why it waits</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    lead = f"{plural(len(report.waiting), 'object')} stayed in the drop folder."
    return panel("waiting", "Still waiting", table if rows else "", lead=lead, size="full")


def _work(report: Report) -> Section:
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th><td class="num">{number(amount)}</td></tr>'
        for name, amount in report.work
    )
    table = f'<table class="rows"><tbody>{rows}</tbody></table>' if rows else ""
    return panel("work", "Work done", table, lead="Facts already measured are not measured again.")


def _recipe(report: Report) -> Section:
    body = f"<pre><code>{text(report.recipe)}</code></pre>" if report.recipe.strip() else ""
    return panel("recipe", "Recipe", body, lead="The same recipe over the same images gives the same version.")
