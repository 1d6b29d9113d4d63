"""The pictures of a report: a card for each, and the sheets that they lie on."""

import base64
from collections.abc import Sequence

from imageyard.ray_jobs.report_charts import bar, tone
from imageyard.ray_jobs.report_data import Alike, Apart, Picture, Report
from imageyard.ray_jobs.report_overlay import TAGS_IN_VIEW, boxes, tags
from imageyard.ray_jobs.report_text import number, text

_NAMES_IN_VIEW = 3
TAGS_ON_SHEET, TAGS_BESIDE = 40, 10
"""Tags that are told of a picture on a contact sheet, and of one that is there for another reason."""
UNSAFE = "not-safe"
"""The check of pictures that are blurred until somebody asks to see them."""


def _details(picture: Picture) -> str:
    rows = [("source", text(picture.source_ref), "u"), ("sha256", text(picture.sha256), "u hex")]
    if picture.rejection and picture.rejection.kept:
        rows.append(("kept in its place", text(picture.rejection.kept), "u hex"))
    if picture.rejection:
        rows.append(("step", text(picture.rejection.step), "u"))
        if picture.rejection.because:
            rows.append(("reason", text(picture.rejection.reason), "u"))
    if picture.boxes_more:
        rows.append(("boxes not drawn", number(picture.boxes_more), ""))
    listed = "".join(f'<div><dt>{name}</dt><dd class="{style}">{value}</dd></div>' for name, value, style in rows)
    return f"<details><summary>Details</summary><dl>{listed}</dl></details>"


def _near(apart: Apart) -> str:
    """How far two pictures are apart, in words, over a bar that is full for a pair that only just counts."""
    part = round(1000 * min(max(apart.doubt, 0.0), 1.0))
    drawn = bar((("c-duplicate", part), ("c-lost", 1000 - part)), 1000)
    return f'<div class="near"><p>{text(apart.words)}</p>{drawn}</div>'


def _verdict(picture: Picture) -> str:
    out = picture.rejection
    if out is None:
        return ""
    tier = f' <span class="soft u">{text(out.apart.tier)}</span>' if out.apart and out.apart.tier != out.check else ""
    check = f'<p class="check"><span class="dot"></span><b class="u">{text(out.check)}</b>{tier}</p>'
    apart = _near(out.apart) if out.apart else ""
    reason = f"the other is kept because {out.because}" if out.because else out.reason
    return f'{check}{apart}<p class="why u">{text(reason)}</p>'


def card(picture: Picture, *, key: str, mark: str = "", most: int = TAGS_BESIDE) -> str:
    """One picture as a list item with the id `key`: how it looks, what it is called, what was said about it.

    `mark` is one more id there, for links that should not enlarge the picture; `most` tags are told.
    """
    name = text(picture.name)
    said = text(picture.caption or ", ".join(tag for tag, _ in picture.tags[:TAGS_IN_VIEW]))
    if picture.thumbnail:
        data = base64.b64encode(picture.thumbnail).decode()
        image = f'<img src="data:image/jpeg;base64,{data}" alt="{name}{": " if said else ""}{said}" decoding="async">'
        shown = f'<span class="look">{image}{boxes(picture)}</span>'
    else:
        shown = "<span>no preview</span>"
    veil = ' class="card veiled"' if picture.rejection and picture.rejection.check == UNSAFE else ' class="card"'
    also = ", ".join(picture.also[:_NAMES_IN_VIEW]) + (" …" if len(picture.also) > _NAMES_IN_VIEW else "")
    place = f'<span class="mark" id="{mark}"></span>' if mark else ""
    caption = f'<p class="caption u">{text(picture.caption)}</p>' if picture.caption else ""
    return (
        f'<li{veil} id="{key}">{place}<div class="shot"><a class="thumb" href="#{key}">{shown}</a>'
        f"{tags(picture, most)}</div>"
        f'<div class="about"><p class="name u" title="{name}">{name}</p>'
        + (f'<p class="soft u">also {text(also)}</p>' if also else "")
        + f"{_mini(picture)}{_verdict(picture)}{caption}{_details(picture)}</div></li>"
    )


def _mini(picture: Picture) -> str:
    """Role, size, class and rating, as far as they are known."""
    mini = []
    if picture.rejection is None:
        mini.append(f'<span><span class="dot {tone(picture.role)}"></span>{text(picture.role)}</span>')
    if picture.width is not None and picture.height is not None:
        mini.append(f"<span>{number(picture.width)} × {number(picture.height)}</span>")
    if picture.label is not None:
        mini.append(f'<span class="u">{text(picture.label)}</span>')
    if picture.rating is not None:
        name, score = picture.rating
        mini.append(f'<span class="u rating" title="rating">{text(name)}{f" {score:.2f}" if score else ""}</span>')
    return f'<p class="mini">{"".join(mini)}</p>' if mini else ""


def contact_sheet(pictures: Sequence[Picture], *, key: str) -> str:
    """`pictures` in the order given, as a grid."""
    cards = "".join(card(picture, key=f"{key}-{index}", most=TAGS_ON_SHEET) for index, picture in enumerate(pictures))
    return f'<ul class="cards">{cards}</ul>'


def duplicates(report: Report) -> str:
    """What is alike: findings first, then what was dropped for a better one, then what was kept although alike."""
    found = report.shown
    parts = (
        ("conflict", "Label conflicts", "people put copies into different classes", report.conflicts, found.conflicts),
        ("foreign", "In other datasets", "", report.foreign, found.foreign),
        ("copies", "Dropped for a better one", "the most doubtful first", report.duplicates, found.duplicates),
        ("both", "Kept both", "alike, and for a person to judge", report.likenesses, found.likenesses),
    )
    return "".join(_part(key, name, lead, units, total) for key, name, lead, units, total in parts if units)


def _part(key: str, name: str, lead: str, units: Sequence[Alike], total: int) -> str:
    count = number(len(units)) if len(units) >= total else f"{number(len(units))} of {number(total)}"
    shown = "".join(_alike(unit, f"{key}-{index}") for index, unit in enumerate(units))
    said = f'<span class="soft">{count}{f": {lead}" if lead else ""}</span>'
    mark = '<span aria-hidden="true">⚠ </span>' if key in ("conflict", "foreign") else ""
    return (
        f'<section class="part {key}" id="{key}"><h3>{mark}{name} {said}</h3><ul class="pairs">{shown}</ul></section>'
    )


def _alike(unit: Alike, key: str) -> str:
    """Pictures side by side: those kept, then those dropped; above them what it is about."""
    about = " or ".join(unit.classes) + "?" if unit.classes else unit.other
    head = f'<p class="finding u">{text(about)}</p>' if about else ""
    if unit.apart:
        head += f'<p class="check"><b class="u">{text(unit.apart.tier)}</b></p>{_near(unit.apart)}'
    label = "Kept both" if len(unit.kept) == 2 else f"Kept, {number(len(unit.kept))}" if len(unit.kept) > 2 else "Kept"
    sides = _side("kept", label, unit.kept, key) if unit.kept else ""
    if unit.dropped:
        count = number(len(unit.dropped) + unit.more)
        sides += _side("out", f"Dropped, {count}", unit.dropped, f"{key}-out", more=unit.more)
    return f'<li class="pair">{head}<div class="sides">{sides}</div></li>'


def _side(style: str, label: str, pictures: Sequence[Picture], key: str, *, more: int = 0) -> str:
    cards = "".join(card(picture, key=f"{key}-{nth}") for nth, picture in enumerate(pictures))
    rest = f'<p class="label">and {number(more)} more</p>' if more else ""
    return f'<div class="side {style}"><p class="label">{label}</p><ul>{cards}</ul>{rest}</div>'


def rejections(pictures: Sequence[Picture], checks: Sequence[str]) -> str:
    """`pictures` as a grid by the check that each failed, in the order of `checks`; id `check-<n>` is the nth's."""
    groups: dict[str, list[Picture]] = {check: [] for check in checks}
    for picture in pictures:
        groups.setdefault(picture.rejection.check if picture.rejection else "", []).append(picture)
    cards = [
        card(picture, key=f"rejected-{index}-{nth}", mark=f"check-{index}" if nth == 0 else "")
        for index, members in enumerate(groups.values())
        for nth, picture in enumerate(members)
    ]
    return f'<ul class="cards">{"".join(cards)}</ul>'


def switches(report: Report) -> str:
    """Switches for what lies over the pictures, for those that have it."""
    alike = (*report.conflicts, *report.foreign, *report.duplicates, *report.likenesses)
    inside = (picture for unit in alike for picture in (*unit.kept, *unit.dropped))
    retold = (one.picture for one in report.rewordings.shown) if report.rewordings else ()
    tags = boxes = unsafe = False
    for picture in (*report.kept, *report.rejected, *inside, *retold):
        tags |= bool(picture.tags)
        boxes |= bool(picture.boxes)
        unsafe |= picture.rejection is not None and picture.rejection.check == UNSAFE
    switches = (
        ("see-tags", "tags over the pictures", tags, " checked"),
        ("see-boxes", "boxes", boxes, " checked"),
        ("see-unsafe", "pictures that are not safe", unsafe, ""),
    )
    drawn = "".join(
        f'<label><input type="checkbox" id="{key}" autocomplete="off"{state}>{name}</label>'
        for key, name, there, state in switches
        if there
    )
    return f'<div class="see" role="group" aria-label="Show">{drawn}</div>' if drawn else ""
