"""Charts of a report: bars inside real tables, and inline SVG where a table cannot show the shape."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from imageyard.ray_jobs.report_text import number, plural, share, text

ROLES = ("train", "validation", "test", "unsplit", "rejected")
_MOST_BARS = 64
_SHORT_SIDES = (1, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144)


def tone(role: str) -> str:
    """The CSS class that colours `role`; strangers are neutral, so no text of theirs reaches a class name."""
    return f"c-{role}" if role in ROLES else "c-unsplit"


def bar(parts: Sequence[tuple[str, int]], whole: int) -> str:
    """One horizontal stacked bar; `parts` are (CSS class, amount) of `whole`. Mute: its row says the numbers."""
    at, drawn = 0.0, []
    for tone_class, amount in parts:
        width = 100 * amount / whole if whole > 0 else 0.0
        if width > 0:
            drawn.append(f'<rect class="{tone_class}" x="{at:.3f}%" width="{width:.3f}%" height="100%"/>')
            at += width
    return f'<svg class="bar" aria-hidden="true" focusable="false">{"".join(drawn)}</svg>'


def ranked(heads: tuple[str, str], rows: Sequence[tuple[str, int]], *, most: int, of: int, tone_class: str) -> str:
    """A table of (name as HTML, amount) with a bar each on the scale 0 to `most`, and the share of `of` where known."""
    body = "".join(
        f'<tr><th scope="row"><span class="u">{name}</span></th>'
        f'<td class="grow">{bar(((tone_class, amount),), most)}</td><td class="num">{number(amount)}</td>'
        + (f'<td class="num soft">{share(amount, of)}</td>' if of else "")
        + "</tr>"
        for name, amount in rows
    )
    last = '<th scope="col" class="num">Share</th>' if of else ""
    return (
        f'<table class="bars"><thead class="quiet"><tr><th scope="col">{text(heads[0])}</th><td></td>'
        f'<th scope="col" class="num">{text(heads[1])}</th>{last}</tr></thead><tbody>{body}</tbody></table>'
    )


def stacked(head: str, rows: Sequence[tuple[str, Sequence[tuple[str, int]]]], roles: Sequence[str]) -> str:
    """A table of classes with one stacked bar each, and one column of counts for each of `roles`."""
    most = max((sum(amount for _, amount in by_role) for _, by_role in rows), default=0)
    heads = "".join(
        f'<th scope="col" class="num"><span class="dot {tone(role)}"></span>{text(role)}</th>' for role in roles
    )
    body = []
    for name, by_role in rows:
        amounts = dict(by_role)
        cells = "".join(f'<td class="num">{number(amounts.get(role, 0))}</td>' for role in roles)
        drawn = bar([(tone(role), amounts.get(role, 0)) for role in roles], most)
        body.append(
            f'<tr><th scope="row"><span class="u">{text(name)}</span></th><td class="grow">{drawn}</td>{cells}</tr>'
        )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(head)} by role"><table class="bars">'
        f'<thead><tr><th scope="col">{text(head)}</th><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def short_sides(sizes: Sequence[tuple[int, int]]) -> list[tuple[str, int]]:
    """How many of `sizes` have their shorter side in each range of pixels, without the empty ranges at either end."""
    counts = [0] * len(_SHORT_SIDES)
    for size in sizes:
        counts[bisect_right(_SHORT_SIDES, max(1, min(size))) - 1] += 1
    filled = [index for index, count in enumerate(counts) if count]
    rows = []
    for index in range(filled[0], filled[-1] + 1) if filled else ():
        low = _SHORT_SIDES[index]
        high = f"–{number(_SHORT_SIDES[index + 1] - 1)}" if index + 1 < len(_SHORT_SIDES) else " and more"
        rows.append((f"{number(low)}{high}", counts[index]))
    return rows


def shapes(sizes: Sequence[tuple[int, int]]) -> list[tuple[str, int]]:
    """How many of `sizes` are tall, portrait, square to a tenth, landscape and wide; shapes nobody has are left out."""
    names = ("taller than 1:2", "portrait", "about square", "landscape", "wider than 2:1")
    counts = [0] * len(names)
    for width, height in sizes:
        ratio = max(1, width) / max(1, height)
        counts[sum((ratio >= 0.5, ratio > 0.9, ratio >= 1 / 0.9, ratio > 2))] += 1
    return [(name, count) for name, count in zip(names, counts, strict=True) if count]


def scatter(sizes: Sequence[tuple[int, int]]) -> str:
    """Widths against heights on equal log scales, where a shape is a diagonal; more pictures make a larger point."""
    logs = [math.log2(max(1, side)) for size in sizes for side in size]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    high += high == low
    side, left, top = 340.0, 52.0, 14.0
    bottom = top + side

    def along(power: float) -> float:
        return side * (power - low) / (high - low)

    marks = []
    for power in range(low, high + 1):
        x, y, name = left + along(power), bottom - along(power), number(2**power)
        marks.append(f'<path class="grid" d="M{x:.1f} {top}V{bottom}M{left} {y:.1f}H{left + side}"/>')
        marks.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{name}</text>')
        marks.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{name}</text>')
    for name, ratio in (("1:1", 1.0), ("16:9", 16 / 9), ("9:16", 9 / 16)):
        lean = math.log2(ratio)
        start, end = max(low, low + lean), min(high, high + lean)
        if start < end:
            x, y = left + along(end), bottom - along(end - lean)
            begin = f"{left + along(start):.1f} {bottom - along(start - lean):.1f}"
            drop = 4 if lean > 0 else 14
            marks.append(
                f'<path class="guide" d="M{begin}L{x:.1f} {y:.1f}"/>'
                f'<text class="on" x="{x - 6:.1f}" y="{y + drop:.1f}" text-anchor="end">{name}</text>'
            )
    cells = Counter(
        (round(along(math.log2(max(1, width))) / 2), round(along(math.log2(max(1, height))) / 2))
        for width, height in sizes
    )
    for (across, up), count in sorted(cells.items()):
        radius = min(3 + 1.3 * math.log2(count), 13)
        marks.append(f'<circle cx="{left + 2 * across}" cy="{bottom - 2 * up}" r="{radius:.1f}"/>')
    widths, heights = [size[0] for size in sizes], [size[1] for size in sizes]
    label = (
        f"Width against height of {plural(len(sizes), 'picture')}: widths {number(min(widths))} to "
        f"{number(max(widths))}, heights {number(min(heights))} to {number(max(heights))} pixels"
    )
    return (
        f'<svg class="chart" viewBox="0 0 410 398" role="img" aria-label="{label}">{"".join(marks)}'
        f'<text x="{left + side / 2}" y="394" text-anchor="middle">width, px (log)</text>'
        f'<text transform="translate(10 {top + side / 2}) rotate(-90)" text-anchor="middle">height, px (log)</text>'
        "</svg>"
    )


def distances(values: Sequence[int], within: int | None) -> str:
    """A histogram of Hamming distances in bits, with a line at the threshold `within`, and the same as a table."""
    top_bit = max(*values, within or 0, 1)
    step = -(-(top_bit + 1) // _MOST_BARS)
    counts = Counter(max(0, value) // step for value in values)
    bins = top_bit // step + 1
    most = max(counts.values())
    left, right, top, bottom = 44.0, 404.0, 26.0, 160.0
    slot = (right - left) / bins
    marks = []
    for level in sorted({most, most // 2} - {0}):
        y = bottom - (bottom - top) * level / most
        marks.append(f'<path class="grid" d="M{left} {y:.1f}H{right}"/>')
        marks.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{number(level)}</text>')
    for index, count in sorted(counts.items()):
        height = (bottom - top) * count / most
        marks.append(
            f'<rect class="c-duplicate" x="{left + slot * index + slot * 0.08:.2f}" y="{bottom - height:.2f}" '
            f'width="{slot * 0.84:.2f}" height="{height:.2f}"/>'
        )
    every = max(1, round(bins / 8))
    marks.extend(
        f'<text x="{left + slot * (index + 0.5):.1f}" y="{bottom + 18}" text-anchor="middle">{index * step}</text>'
        for index in range(0, bins, every)
    )
    if within is not None:
        x = left + slot * ((within + 1) / step)
        marks.append(f'<path class="limit" d="M{x:.1f} {top - 8}V{bottom}"/>')
        marks.append(f'<text class="on" x="{x - 6:.1f}" y="{top - 12}" text-anchor="end">within {within} bits</text>')
    limit = f"; those within {within} count as duplicates" if within is not None else ""
    label = (
        f"Hamming distances of {plural(len(values), 'pair')}, from {min(values)} to {max(values)} bits of 256{limit}"
    )
    rows = "".join(
        f'<tr><th scope="row">{index * step}{f"–{index * step + step - 1}" if step > 1 else ""}</th>'
        f'<td class="num">{number(count)}</td></tr>'
        for index, count in sorted(counts.items())
    )
    return (
        f'<svg class="chart" viewBox="0 0 410 202" role="img" aria-label="{label}">{"".join(marks)}'
        f'<path class="axis" d="M{left} {bottom}H{right}"/>'
        f'<text x="{(left + right) / 2}" y="{bottom + 37}" text-anchor="middle">distance, bits of 256</text></svg>'
        f'<details class="data"><summary>As a table</summary><table><thead><tr><th scope="col">Bits</th>'
        f'<th scope="col" class="num">Pairs</th></tr></thead><tbody>{rows}</tbody></table></details>'
    )
