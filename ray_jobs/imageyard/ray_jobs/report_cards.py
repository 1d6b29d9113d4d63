"""The pictures of a report: a card for each, and the sheets that they lie on."""

import base64
from collections.abc import Sequence

from imageyard.ray_jobs.report_charts import tone
from imageyard.ray_jobs.report_data import Picture
from imageyard.ray_jobs.report_text import number, plural, text

_TAGS_IN_VIEW = 4


def _tags(tags: Sequence[tuple[str, float]]) -> str:
    if not tags:
        return ""
    chips = "".join(f'<li class="u">{text(tag)}<span>{score:.2f}</span></li>' for tag, score in tags)
    return f'<ul class="tags">{chips}</ul>'


def _details(picture: Picture) -> str:
    rows = [("source", text(picture.source_ref), "u"), ("sha256", text(picture.sha256), "u hex")]
    if picture.rejection and picture.rejection.kept:
        rows.append(("kept in its place", text(picture.rejection.kept), "u hex"))
    if picture.rejection:
        rows.append(("step", text(picture.rejection.step), "u"))
    listed = "".join(f'<div><dt>{name}</dt><dd class="{style}">{value}</dd></div>' for name, value, style in rows)
    more = _tags(picture.tags[_TAGS_IN_VIEW:])
    return f"<details><summary>Details</summary>{more}<dl>{listed}</dl></details>"


def _verdict(picture: Picture) -> str:
    out = picture.rejection
    if out is None:
        return ""
    apart = f' <span class="soft">{plural(out.distance, "bit")}</span>' if out.distance is not None else ""
    return (
        f'<p class="check"><span class="dot"></span><b class="u">{text(out.check)}</b>{apart}</p>'
        f'<p class="why u">{text(out.reason)}</p>'
    )


def card(picture: Picture, *, key: str, mark: str = "") -> str:
    """One picture as a list item with the id `key`: how it looks, what it is called, what was said about it.

    `mark` is one more id there, for links that should not enlarge the picture.
    """
    name = text(picture.name)
    said = text(picture.caption or ", ".join(tag for tag, _ in picture.tags[:_TAGS_IN_VIEW]))
    if picture.thumbnail:
        data = base64.b64encode(picture.thumbnail).decode()
        shown = f'<img src="data:image/jpeg;base64,{data}" alt="{name}{": " if said else ""}{said}" decoding="async">'
    else:
        shown = "<span>no preview</span>"
    mini = []
    if picture.rejection is None:
        mini.append(f'<span><span class="dot {tone(picture.role)}"></span>{text(picture.role)}</span>')
    if picture.width is not None and picture.height is not None:
        mini.append(f"<span>{number(picture.width)} × {number(picture.height)}</span>")
    if picture.label is not None:
        mini.append(f'<span class="u">{text(picture.label)}</span>')
    place = f'<span class="mark" id="{mark}"></span>' if mark else ""
    caption = f'<p class="caption u">{text(picture.caption)}</p>' if picture.caption else ""
    return (
        f'<li class="card" id="{key}">{place}<a class="thumb" href="#{key}">{shown}</a>'
        f'<div class="about"><p class="name u" title="{name}">{name}</p>'
        + (f'<p class="mini">{"".join(mini)}</p>' if mini else "")
        + f"{_verdict(picture)}{caption}{_tags(picture.tags[:_TAGS_IN_VIEW])}{_details(picture)}</div></li>"
    )


def contact_sheet(pictures: Sequence[Picture], *, key: str) -> str:
    """`pictures` in the order given, as a grid."""
    cards = "".join(card(picture, key=f"{key}-{index}") for index, picture in enumerate(pictures))
    return f'<ul class="cards">{cards}</ul>'


def duplicate_pairs(groups: Sequence[tuple[Picture, Sequence[Picture]]]) -> str:
    """Each kept witness beside what was dropped for it."""
    pairs = []
    for index, (kept, dropped) in enumerate(groups):
        out = "".join(card(picture, key=f"dropped-{index}-{nth}") for nth, picture in enumerate(dropped))
        pairs.append(
            f'<li class="pair"><div class="side kept"><p class="label">Kept</p>'
            f"<ul>{card(kept, key=f'witness-{index}')}</ul></div>"
            f'<div class="side out"><p class="label">Dropped, {number(len(dropped))}</p><ul>{out}</ul></div></li>'
        )
    return f'<ul class="pairs">{"".join(pairs)}</ul>'


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
