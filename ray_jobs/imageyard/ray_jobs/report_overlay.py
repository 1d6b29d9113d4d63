"""What lies over a picture of a report: its tags with their scores, and boxes around what is seen."""

from collections.abc import Sequence

from imageyard.ray_jobs.report_data import Box, Picture
from imageyard.ray_jobs.report_text import number, plural, printable, text

TAGS_IN_VIEW = 3
_LABEL = 20
"""Letters of a label that are drawn; a wide one is about _LETTER units wide where they are largest."""
_UNITS = 1000.0
"""Of the longer side of a picture, in the frame that boxes are drawn in: so letters are as large on any picture."""
_LETTER, _LINE = 38.0, 58.0
_HUES = 6


def tags(picture: Picture, most: int) -> str:
    """The first `most` tags of `picture`, over its lower part; all but the most certain ones open on demand."""
    if not picture.tags:
        return ""
    first, rest = picture.tags[:TAGS_IN_VIEW], picture.tags[TAGS_IN_VIEW:most]
    left = len(picture.tags) - len(first) - len(rest)
    unseen = f"<p>and {number(left)} that are not here</p>" if left else ""
    listed = f"{_list(rest, picture)}{unseen}"
    count = number(len(rest) + left)
    more = f"<details><summary>{count} more</summary>{listed}</details>" if rest or left else ""
    return f'<div class="over">{_list(first, picture)}{more}</div>'


def _list(shown: Sequence[tuple[str, float]], picture: Picture) -> str:
    rows = "".join(_tag(tag, score, person=tag in picture.people) for tag, score in shown)
    return f'<ul class="tags">{rows}</ul>'


def _tag(tag: str, score: float, *, person: bool) -> str:
    """A row that is tinted as far as the tag is certain; short, since a page has thousands of them."""
    part = 100 if person and not score else round(100 * min(max(score, 0.0), 1.0))
    style = ' class="given"' if person else ""
    who = "<b>person</b>" if person else ""
    said = f"<i>{score:.2f}</i>" if score and not (person and score == 1) else ""
    return f'<li{style} style="--s:{part}%"><span class="u">{text(tag)}</span>{who}{said}</li>'


def boxes(picture: Picture) -> str:
    """The boxes of `picture` as a drawing that fits over it exactly, whatever size it is shown in."""
    if not picture.boxes or not picture.width or not picture.height:
        return ""
    scale = _UNITS / max(picture.width, picture.height)
    width, height = picture.width * scale, picture.height * scale
    hues = {label: index % _HUES for index, label in enumerate(dict.fromkeys(box.label for box in picture.boxes))}
    drawn = "".join(_box(box, width, height, hues[box.label]) for box in picture.boxes)
    names = ", ".join(dict.fromkeys(box.label for box in picture.boxes))
    more = f", and {number(picture.boxes_more)} more" if picture.boxes_more else ""
    said = f"{plural(len(picture.boxes), 'box').replace('boxs', 'boxes')}: {names}{more}"
    return (
        f'<svg class="boxes" viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-label="{text(said)}">{drawn}</svg>'
    )


def _box(box: Box, width: float, height: float, hue: int) -> str:
    x, y, across, down = box.left * width, box.top * height, box.width * width, box.height * height
    place = f'x="{x:.1f}" y="{y:.1f}" width="{across:.1f}" height="{down:.1f}"'
    said = printable(box.label)
    short = said if len(said) <= _LABEL else said[: _LABEL - 1] + "…"
    score = f"<tspan> {box.score:.2f}</tspan>" if box.score is not None else ""
    left = max(8.0, min(x + 8, width - _LETTER * len(short)))
    base = y - 14 if y >= _LINE else min(y + _LINE - 10, height - 8)
    title = f"<title>{text(box.label)}</title>"
    return (
        f'<g class="hue-{hue}">{title}<rect class="under" {place}/><rect {place}/>'
        f'<text x="{left:.1f}" y="{base:.1f}">{text(short)}{score}</text></g>'
    )
