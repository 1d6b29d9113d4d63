"""What is found wrong with captions: each rule with the images that break it, and the consistency that leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from imageyard.ray_jobs.analysis.affected import Affected, Tally

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
DETAILS = 20

SEVERITY: dict[str, Severity] = {
    "CAP-MISSING": "error",
    "CAP-EMPTY": "error",
    "CAP-TRIGGER": "error",
    "CAP-MULTILINE": "warning",
    "CAP-SHORT": "warning",
    "CAP-LONG": "warning",
    "CAP-RANGE": "info",
    "CAP-CUT": "warning",
    "CAP-FORMAT": "warning",
    "CAP-DUPTAG": "warning",
    "CAP-VARIANTS": "warning",
    "CAP-CONFLICT": "warning",
    "CAP-REPEAT": "info",
    "CAP-BOILER": "info",
    "CAP-RESERVED": "warning",
    "CAP-STYLE-MIX": "warning",
    "CAP-LANG": "info",
}
"""Every rule and how bad it is to break it; a trigger that is there, but twice or not first, is a warning."""

CONSISTENCY = (
    "CAP-MISSING",
    "CAP-EMPTY",
    "CAP-MULTILINE",
    "CAP-FORMAT",
    "CAP-DUPTAG",
    "CAP-VARIANTS",
    "CAP-CONFLICT",
    "CAP-RESERVED",
    "CAP-STYLE-MIX",
    "CAP-LANG",
)
"""Rules of form, which make up consistency; CAP-TRIGGER joins them where triggers are asked for."""


@dataclass(frozen=True)
class Finding:
    """One rule that some images break."""

    rule: str
    """Such as `CAP-SHORT`."""
    severity: Severity
    reason: str
    """A sentence that says what is wrong, with its numbers."""
    affected: Affected
    share: float
    """Of the images counted, 0 to 1."""
    details: tuple[tuple[str, int], ...] = ()
    """What exactly, and on how many images, the most frequent first: spellings, phrases, conflicting tags."""


@dataclass(frozen=True)
class Broken:
    """One rule that one image breaks."""

    rule: str
    what: str
    """What is wrong, the same words for all images that break it in the same way."""
    details: tuple[str, ...] = ()
    """What exactly, in this image."""
    severity: Severity | None = None
    """Unset, the rule's own."""


@dataclass(frozen=True)
class Part:
    """What one rule says of consistency."""

    rule: str
    affected: int
    value: float
    """1 - affected / images."""


@dataclass(frozen=True)
class Consistency:
    """How alike captions are in form; never to be shown without its parts."""

    score: float
    """1 - images that break at least one of the rules / images; 1 where there are no images."""
    parts: tuple[Part, ...]
    """One for each consistency rule, kept or broken."""


class Findings:
    """What is found while samples pass."""

    def __init__(self, consistency: Sequence[str]) -> None:
        self._found: dict[tuple[str, Severity, str], tuple[Tally, Counter[str]]] = {}
        self._consistency = consistency
        self._broken: Counter[str] = Counter()
        self._any = 0

    def add(self, name: str, broken: Iterable[Broken]) -> None:
        """One image and all that is wrong with it."""
        rules: set[str] = set()
        for one in broken:
            rules.add(one.rule)
            key = (one.rule, one.severity or SEVERITY[one.rule], one.what)
            tally, details = self._found.setdefault(key, (Tally(), Counter()))
            tally.add(name)
            details.update(set(one.details))
        counted: Set[str] = rules & set(self._consistency)
        self._broken.update(counted)
        self._any += bool(counted)

    def done(self, images: int) -> tuple[Finding, ...]:
        """All findings among `images`: errors first, then the most images."""
        found = [
            Finding(
                rule,
                severity,
                _sentence(tally.images, images, what),
                tally.done(),
                tally.images / images,
                _top(details),
            )
            for (rule, severity, what), (tally, details) in self._found.items()
        ]
        rules = list(SEVERITY)
        found.sort(
            key=lambda one: (SEVERITIES.index(one.severity), -one.affected.images, rules.index(one.rule), one.reason)
        )
        return tuple(found)

    def consistency(self, images: int) -> Consistency:
        """The same as a score with its parts."""
        whole = max(images, 1)
        parts = tuple(Part(rule, self._broken[rule], 1 - self._broken[rule] / whole) for rule in self._consistency)
        return Consistency(1 - self._any / whole, parts)


def _sentence(affected: int, images: int, what: str) -> str:
    return f"{affected:,} of {images:,} image{'' if images == 1 else 's'}: {what}"


def _top(details: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(details.items(), key=lambda found: (-found[1], found[0]))[:DETAILS])
