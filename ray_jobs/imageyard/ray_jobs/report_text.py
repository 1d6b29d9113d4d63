"""How a report writes words and numbers, so that nothing a person named can become markup."""

import html
import re
from datetime import UTC, datetime

# Control characters, bidirectional overrides (a name could pose as another), lone surrogates (they have no UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text(words: str) -> str:
    """`words` safe in element content and in a double-quoted attribute; characters that cannot be shown are U+FFFD."""
    return html.escape(_UNPRINTABLE.sub("\ufffd", words), quote=True)


def number(value: float) -> str:
    """`value` with thousands separators: whole when it is whole, else two decimals, or three digits below one."""
    if value != value or value in (float("inf"), float("-inf")):
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def plural(count: int, noun: str) -> str:
    """`count` and `noun`, which takes a plain s."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """`part` as a percentage of `whole`: never 0 % for something, never 100 % for less than all."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %"


def moment(created: str) -> str:
    """ISO 8601 `created` as a `<time>` in UTC; a text that is not a date stands as it is."""
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return text(created)
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%Y-%m-%d %H:%M:%S} UTC</time>'
