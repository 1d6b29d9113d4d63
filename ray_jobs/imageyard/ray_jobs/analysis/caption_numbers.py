"""What the captions of a version are in numbers: their lengths, what breaks a rule, who has the trigger words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from imageyard.ray_jobs.analysis.affected import Affected, Tally
from imageyard.ray_jobs.analysis.caption_limits import DEFAULT, LIMITS, limit_of
from imageyard.ray_jobs.analysis.caption_set import CaptionSet, caption_set
from imageyard.ray_jobs.analysis.clip_tokens import Unit, chunks, tokens
from imageyard.ray_jobs.analysis.findings import CONSISTENCY, Broken, Consistency, Finding, Findings, Part
from imageyard.ray_jobs.analysis.said import Reading, further_captions, training_text
from imageyard.ray_jobs.analysis.spread import Bin, Spread, bins, spread
from imageyard.ray_jobs.analysis.text_findings import broken_rules
from imageyard.ray_jobs.analysis.trigger_words import Presence, Trigger
from imageyard.ray_jobs.caption_text import is_prose, pieces_of
from imageyard.ray_jobs.origin import called

__all__ = [
    "Bin",
    "Bounds",
    "CaptionNumbers",
    "Consistency",
    "Finding",
    "LengthUnit",
    "Limit",
    "Part",
    "Spread",
    "TriggerCoverage",
    "caption_numbers",
]


LengthUnit = Literal["tokens", "words", "tags"]


@dataclass(frozen=True)
class Bounds:
    """How long a caption should be; the numbers of LoRA guides, which say tokens and mean those of CLIP."""

    unit: LengthUnit = "tokens"
    """What is counted; 20 tokens are some 7 tags."""
    short: int = 20
    """Fewer are too short (CAP-SHORT)."""
    low: int = 50
    high: int = 150
    """From `low` to `high` is best (CAP-RANGE outside of it)."""
    long: int = 200
    """More are too long (CAP-LONG)."""


@dataclass(frozen=True)
class Limit:
    """What a text encoder reads of a caption, and how many have more."""

    name: str
    """A model, such as `sdxl`, or the number itself where one was given."""
    tokens: int
    """It reads so many, without begin and end."""
    encoder: str
    """Which text encoder reads them; tokens of T5 are estimated by CLIP's."""
    asked: bool
    """Whether CAP-CUT is asked of it: the caller named it, or nobody named any and it is what trainers read unless told
    otherwise. The others are for information."""
    cut: Affected
    """Images whose training text is longer, so that its end is cut silently."""


@dataclass(frozen=True)
class TriggerCoverage:
    """Who has a trigger word. `exact`, `variant` and `missing` are disjoint and make up all images."""

    trigger: str
    exact: Affected
    """It stands in the training text as given."""
    first: Affected
    """Of these: at the beginning."""
    not_first: Affected
    """Of these: anywhere else only."""
    twice: Affected
    """Of these: more than once."""
    variant: Affected
    """Only another spelling of it stands there: other case, underscores, hyphens, escapes."""
    missing: Affected


@dataclass(frozen=True)
class CaptionNumbers:
    """All of it, of the images of the roles that were asked for."""

    images: int
    """Images counted."""
    captioned: int
    """Those with a training text that is not blank."""
    sources: tuple[tuple[str, int], ...]
    """Which member training texts are of (`text`, else `caption`, else `tags` joined), and how many."""
    tag_lists: int
    """Training texts that are tags between commas."""
    prose: int
    """Training texts that are sentences."""
    further: tuple[tuple[str, int], ...]
    """Other captions of the same images (`caption-…`), and how many images have each."""
    unit: Unit
    tokens: Spread
    """Of training texts, in `unit`, without begin and end."""
    words: Spread
    characters: Spread
    pieces: Spread
    """Pieces between commas, of tag lists alone."""
    histogram: tuple[Bin, ...]
    """Tokens of training texts in bins of equal width, rising, without gaps."""
    chunks: tuple[tuple[int, int], ...]
    """(chunks of 75 tokens that a text takes, images), rising."""
    limits: tuple[Limit, ...]
    """Rising by tokens."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then information; in each the most images first."""
    consistency: Consistency
    triggers: tuple[TriggerCoverage, ...]
    """One for each trigger asked for."""


def caption_numbers(
    samples: Reading, *, triggers: Sequence[str] = (), limits: Sequence[str] = (), bounds: Bounds | None = None
) -> CaptionNumbers:
    """The numbers of `samples`, which are read up to three times and not held.

    `limits` are names of `caption_limits.LIMITS`, or numbers; unset, captions that a trainer cuts unless it is told
    otherwise (75 tokens) are found. Raises VersionError for a limit that is neither.
    """
    whole = caption_set(samples)
    found = _Found([Trigger(word) for word in triggers], _limits(limits), bounds or Bounds())
    for sample in samples():
        name = called(sample)
        found.further.update(further_captions(sample))
        found.add(name, training_text(sample).member, training_text(sample).text, whole)
    return found.done(whole)


def _limits(asked: Sequence[str]) -> list[tuple[str, int, str, bool]]:
    """(name, tokens, encoder, asked) of the limits that are asked for, then of one for each other length."""
    wanted = [(*limit_of(name), True) for name in asked] or [(*limit_of(DEFAULT), True)]
    lengths = {tokens for _, tokens, _, _ in wanted}
    others = []
    for name, (most, encoder) in LIMITS.items():
        if most not in lengths:
            lengths.add(most)
            others.append((name, most, encoder, False))
    return sorted([*wanted, *others], key=lambda limit: (limit[1], limit[0]))


class _Found:
    """What is counted in the last reading."""

    def __init__(
        self, triggers: Sequence[Trigger], limits: Sequence[tuple[str, int, str, bool]], bounds: Bounds
    ) -> None:
        self._counter = tokens()
        self._bounds = bounds
        self._limits = [(limit, Tally()) for limit in limits]
        self._triggers = [(trigger, {kind: Tally() for kind in _KINDS}) for trigger in triggers]
        self._findings = Findings([*CONSISTENCY, "CAP-TRIGGER"] if triggers else CONSISTENCY)
        self._images = 0
        self._sources: Counter[str] = Counter()
        self.further: Counter[str] = Counter()
        self._tokens, self._words, self._characters, self._pieces = (Counter[int]() for _ in range(4))

    def add(self, name: str, member: str | None, text: str, whole: CaptionSet) -> None:
        self._images += 1
        if member is not None:
            self._sources[member] += 1
        if not text.strip():
            rule = Broken("CAP-MISSING", "no training text") if member is None else Broken("CAP-EMPTY", "it is blank")
            self._findings.add(name, [rule, *self._trigger_rules(name, "", prose=False)])
            return
        prose, pieces = is_prose(text), pieces_of(text)
        count = self._counter.count(text)
        words = len(text.split())
        self._tokens[count] += 1
        self._words[words] += 1
        self._characters[len(text)] += 1
        if not prose:
            self._pieces[len(pieces)] += 1
        length = {"tokens": count, "words": words, "tags": len(pieces)}[self._bounds.unit]
        broken = [*self._length_rules(length), *self._cut_rules(name, count)]
        broken += broken_rules(text, pieces, prose=prose, whole=whole)
        self._findings.add(name, [*broken, *self._trigger_rules(name, text, prose=prose)])

    def done(self, whole: CaptionSet) -> CaptionNumbers:
        return CaptionNumbers(
            images=self._images,
            captioned=self._tokens.total(),
            sources=tuple(sorted(self._sources.items(), key=lambda found: (-found[1], found[0]))),
            tag_lists=whole.tag_lists,
            prose=whole.prose,
            further=tuple(sorted(self.further.items())),
            unit=self._counter.unit,
            tokens=spread(self._tokens),
            words=spread(self._words),
            characters=spread(self._characters),
            pieces=spread(self._pieces),
            histogram=bins(self._tokens),
            chunks=_chunks(self._tokens),
            limits=tuple(
                Limit(name, most, encoder, asked, tally.done()) for (name, most, encoder, asked), tally in self._limits
            ),
            findings=self._findings.done(self._images),
            consistency=self._findings.consistency(self._images),
            triggers=tuple(
                TriggerCoverage(trigger.words, **{kind: tally.done() for kind, tally in tallies.items()})
                for trigger, tallies in self._triggers
            ),
        )

    def _length_rules(self, length: int) -> list[Broken]:
        bounds, unit = self._bounds, self._bounds.unit
        if length < bounds.short:
            return [Broken("CAP-SHORT", f"fewer than {bounds.short} {unit}, which may lack detail")]
        if length > bounds.long:
            return [Broken("CAP-LONG", f"more than {bounds.long} {unit}")]
        if not bounds.low <= length <= bounds.high:
            return [Broken("CAP-RANGE", f"outside the best {bounds.low} to {bounds.high} {unit}")]
        return []

    def _cut_rules(self, name: str, count: int) -> list[Broken]:
        broken = []
        for (limit, most, encoder, asked), tally in self._limits:
            if count > most:
                tally.add(name)
                if asked:
                    of = "" if limit.isdecimal() else f" that {limit} reads ({encoder})"
                    broken.append(Broken("CAP-CUT", f"longer than the {most} tokens{of}; the rest is cut"))
        return broken

    def _trigger_rules(self, name: str, text: str, *, prose: bool) -> list[Broken]:
        broken = []
        for trigger, tallies in self._triggers:
            presence = trigger.find(text)
            for kind in _kinds(presence):
                tallies[kind].add(name)
            broken += _trigger_faults(trigger.words, presence, prose=prose)
        return broken


_KINDS = ("exact", "first", "not_first", "twice", "variant", "missing")


def _kinds(presence: Presence) -> list[str]:
    if presence.kind != "exact":
        return [presence.kind]
    return ["exact", "first" if presence.first else "not_first", *(["twice"] if presence.twice else [])]


def _trigger_faults(words: str, presence: Presence, *, prose: bool) -> list[Broken]:
    """A sentence need not begin with the trigger; in a tag list only the beginning is safe from shuffling."""
    if presence.kind == "missing":
        return [Broken("CAP-TRIGGER", f"the trigger {words!r} is missing")]
    if presence.kind == "variant":
        spelt = (presence.spelling or "",)
        return [Broken("CAP-TRIGGER", f"only another spelling of the trigger {words!r} is there", spelt)]
    broken = []
    if presence.twice:
        broken.append(Broken("CAP-TRIGGER", f"the trigger {words!r} stands more than once", severity="warning"))
    if not presence.first and not prose:
        broken.append(Broken("CAP-TRIGGER", f"the trigger {words!r} is not first", severity="warning"))
    return broken


def _chunks(lengths: Counter[int]) -> tuple[tuple[int, int], ...]:
    held: Counter[int] = Counter()
    for count, images in lengths.items():
        held[chunks(count)] += images
    return tuple(sorted(held.items()))
