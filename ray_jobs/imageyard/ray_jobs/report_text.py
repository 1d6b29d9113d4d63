"""How a report writes words and numbers, so that nothing a person named can become markup."""

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Control characters, bidirectional overrides (a name could pose as another), lone surrogates (they have no UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SHA256 = re.compile("(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LOOKED_FOR = {
    "mirrored": "bits, in every turn,",
    "variant": "bits of 64 of its small hashes",
    "semantic": "bits of 256 of its signs",
}
_LONGEST = 400
"""Characters of a value that is shown in one cell."""


def printable(words: str) -> str:
    """`words` with U+FFFD for every character that cannot be shown, or that would change how others are."""
    return _UNPRINTABLE.sub("\ufffd", words)


def text(words: str) -> str:
    """`words` safe in element content and in a double-quoted attribute, all of it printable."""
    return html.escape(printable(words), quote=True)


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


def value(said: Any) -> str:
    """A JSON value of any shape in words, not yet safe in HTML: numbers for people, digests cut, no brackets."""
    if said is None:
        return "–"
    if isinstance(said, bool):
        return "yes" if said else "no"
    if isinstance(said, int | float):
        return number(said)
    if isinstance(said, Mapping):
        words = ", ".join(f"{key} {value(one)}" for key, one in said.items())
    elif isinstance(said, list | tuple):
        words = ", ".join(value(one) for one in said)
    else:
        words = _SHA256.sub(lambda digest: digest[0][:12], str(said))
    words = words or "none"
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def promises(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """What the searches of a dedup certificate promise, a sentence a tier."""
    return tuple(_promise(tier, said) for tier, said in certificate.get("search", {}).items())


def _promise(tier: str, said: Mapping[str, Any]) -> str:
    if "mode" not in said:
        return f"{tier}: every pair was compared"
    how = "all with all" if said["mode"] == "all" else said["mode"]
    up_to, exact_to = said["distance"], said["exact_to"]
    words = f"{tier}: every pair up to {min(up_to, exact_to)} {_LOOKED_FOR.get(tier, 'bits')} was compared ({how})"
    if exact_to < up_to:
        words += f", and up to {up_to} at least {min(said['recall'].values(), default=0):.1%}"
    if said["sampled_pairs"]:
        words += f"; {number(said['sampled_found'])} of {number(said['sampled_pairs'])} sampled pairs found"
    return words
