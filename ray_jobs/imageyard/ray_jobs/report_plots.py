"""Plots of what was counted over texts: histograms, heat maps, and bars against what is wanted."""

from collections.abc import Callable, Sequence

from imageyard.ray_jobs.report_text import number, text

Bar = tuple[int, int, int]
"""First and last value of a bin, and how many are in it."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 388.0, 30.0, 160.0
_CELL, _SIGN = 28.0, 6.6
"""Side of a cell of a heat map, and width of a letter of its labels."""
_STEPS = sorted({size * 10**power for power in range(12) for size in (1, 2, 5)} | {25})
_LONGEST = 24
"""Letters of a label beside a heat map."""


def histogram(bars: Sequence[Bar], *, label: str, unit: str, of: str, lines: Sequence[int] = ()) -> str:
    """Bins of equal width in rising order, with a dashed line after each value of `lines`, and the same as a table.

    `label` says what is shown to those who cannot see it; `unit` and `of` are the names of the values and the counts.
    """
    low, high = min([bars[0][0], *lines]), max([bars[-1][1], *lines]) + 1
    most = max(count for _, _, count in bars) or 1
    scale = (_RIGHT - _LEFT) / (high - low)

    def across(value: float) -> float:
        return _LEFT + scale * (value - low)

    marks = []
    for level in sorted({most, most // 2} - {0}):
        y = _BOTTOM - (_BOTTOM - _TOP) * level / most
        marks.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>')
        marks.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(level)}</text>')
    for first, last, count in bars:
        if count:
            width, height = scale * (last + 1 - first), (_BOTTOM - _TOP) * count / most
            marks.append(
                f'<rect class="c-kept" x="{across(first) + width * 0.04:.2f}" y="{_BOTTOM - height:.2f}" '
                f'width="{width * 0.92:.2f}" height="{height:.2f}"/>'
            )
    for line in lines:
        x = across(line + 1)
        marks.append(f'<path class="limit" d="M{x:.1f} {_TOP - 8}V{_BOTTOM}"/>')
        marks.append(f'<text class="on" x="{x:.1f}" y="{_TOP - 13}" text-anchor="middle">{number(line)}</text>')
    marks += _ticks(low, high, across)
    rows = "".join(
        f'<tr><th scope="row">{number(first)}{f"–{number(last)}" if last > first else ""}</th>'
        f'<td class="num">{number(count)}</td></tr>'
        for first, last, count in bars
        if count
    )
    return (
        f'<figure><svg class="chart" viewBox="0 0 410 202" role="img" aria-label="{text(label)}">{"".join(marks)}'
        f'<path class="axis" d="M{_LEFT} {_BOTTOM}H{_RIGHT}"/>'
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 37}" text-anchor="middle">{text(unit)}</text></svg>'
        f'<details class="data"><summary>As a table</summary><table><thead><tr><th scope="col">{text(unit)}</th>'
        f'<th scope="col" class="num">{text(of)}</th></tr></thead><tbody>{rows}</tbody></table></details></figure>'
    )


def _ticks(low: int, high: int, across: Callable[[float], float]) -> list[str]:
    """Round values below the axis, some six of them, each under the middle of its own unit."""
    step = next(size for size in _STEPS if (high - low) / size <= 7)
    first = -(-low // step) * step
    return [
        f'<text x="{across(value + 0.5):.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{number(value)}</text>'
        for value in range(first, high, step)
    ]


def heat(
    rows: Sequence[str], columns: Sequence[str], amounts: Sequence[Sequence[int]], *, label: str, same: bool = False
) -> str:
    """A grid in which the darker cell has more images, each with its number.

    `same`: rows and columns are the same things, the diagonal is how many each has, and is not coloured.
    """
    most = max(
        (amount for i, line in enumerate(amounts) for j, amount in enumerate(line) if not (same and i == j)), default=0
    )
    side, head = _room(rows), _room(columns)
    width, height = side + _CELL * len(columns) + 8, head + _CELL * len(rows) + 4
    marks = []
    for j, name in enumerate(columns):
        x = side + _CELL * (j + 0.5)
        marks.append(f'<text transform="translate({x + 4:.1f} {head - 6:.1f}) rotate(-90)">{_short(name)}</text>')
    for i, (name, line) in enumerate(zip(rows, amounts, strict=True)):
        y = head + _CELL * i
        marks.append(f'<text x="{side - 6:.1f}" y="{y + 17.5:.1f}" text-anchor="end">{_short(name)}</text>')
        for j, amount in enumerate(line):
            x, own = side + _CELL * j, same and i == j
            depth = 0.08 + 0.5 * amount / most if amount and most else 0.0
            fill = 'class="own"' if own else f'class="c-kept" fill-opacity="{depth:.2f}"' if amount else 'class="none"'
            both = text(name if own else f"{name} and {columns[j]}")
            place = f'x="{x + _CELL / 2 - 1:.1f}" y="{y + 17.5:.1f}"'
            said = f'<text class="in" {place} text-anchor="middle">{_brief(amount)}</text>'
            marks.append(
                f"<g><title>{both}: {number(amount)}</title>"
                f'<rect {fill} x="{x:.1f}" y="{y:.1f}" width="{_CELL - 2}" height="{_CELL - 2}"/>{said}</g>'
            )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}"><svg class="heat" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{text(label)}">{"".join(marks)}</svg></div>'
    )


def _room(names: Sequence[str]) -> float:
    """Units that the longest of the labels takes."""
    return 12 + _SIGN * min(_LONGEST, max((len(name) for name in names), default=0))


def _short(name: str) -> str:
    return text(name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…")


def _brief(amount: int) -> str:
    """A number of at most four signs, below a thousand million."""
    for limit, sign in ((1_000_000, "M"), (10_000, "k")):
        if amount >= limit:
            return f"{amount // (limit if sign == 'M' else 1000)}{sign}"
    return str(amount)


def against(amount: int, wanted: tuple[int, int] | None, most: int, *, style: str) -> str:
    """A bar of `amount` on the scale 0 to `most`, over a frame from the least to the most that are `wanted`."""
    whole = max(most, 1)
    drawn = f'<rect class="{style}" y="20%" width="{100 * amount / whole:.3f}%" height="60%"/>'
    if wanted is not None:
        start, end = (100 * min(bound, whole) / whole for bound in wanted)
        drawn = (
            f'<rect class="goal" x="{start:.3f}%" width="{max(end - start, 0.6):.3f}%" height="100%"/>'
            f'{drawn}<rect class="least" x="{max(0.0, start - 0.5):.3f}%" width="2" height="100%"/>'
        )
    return f'<svg class="bar target" aria-hidden="true" focusable="false">{drawn}</svg>'
