"""What must be known of all training texts before one can be judged: their kinds, spellings, scripts, repetitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from imageyard.ray_jobs.analysis.caption_rules import phrases, script_of
from imageyard.ray_jobs.analysis.heavy import Heavy
from imageyard.ray_jobs.analysis.near_tags import near_tags
from imageyard.ray_jobs.analysis.said import Reading, form_of, from_a_model, tags_of, training_text
from imageyard.ray_jobs.caption_text import bare, is_prose, pieces_of

REPEATED = 0.2
"""A text or a phrase is repeated if more than this share of the texts have it."""
PHRASE = 5
"""Words of a phrase."""
LEAST_TEXTS, LEAST_PHRASES = 2, 3
"""What fewer images than these have is no repetition."""
_TEXTS, _PHRASES = 16, 4096
"""Candidates that are held: enough for every text on a fifth of the images, and for every phrase as long as sentences
have 800 words on average."""


@dataclass(frozen=True)
class CaptionSet:
    """All training texts together."""

    tag_lists: int
    prose: int
    script: str | None
    """That of most texts."""
    preferred: Mapping[str, str]
    """By a spelling that is in the minority, the one that most use."""
    repeated: frozenset[str]
    """Texts, with single spaces, that more than REPEATED of the images have."""
    phrases: frozenset[str]
    """Phrases that more than REPEATED of the sentences have."""

    @property
    def minority_is_prose(self) -> bool | None:
        """Which kind is the odd one out; None where all texts are of one kind."""
        if not self.tag_lists or not self.prose:
            return None
        return self.prose <= self.tag_lists


def caption_set(samples: Reading) -> CaptionSet:
    """Read `samples` twice: once for what may be repeated, once to count that."""
    kinds: Counter[bool] = Counter()
    scripts: Counter[str] = Counter()
    written: Counter[str] = Counter()
    known: set[str] = set()
    texts, runs = Heavy[str](_TEXTS), Heavy[str](_PHRASES)
    for sample in samples():
        text = training_text(sample).text
        if not text.strip():
            continue
        prose = is_prose(text)
        kinds[prose] += 1
        script = script_of(text)
        if script is not None:
            scripts[script] += 1
        texts.add([" ".join(text.split())])
        if prose:
            runs.add(phrases(text, PHRASE))
        else:
            written.update({bare(piece) for piece in pieces_of(text)})
        if from_a_model(sample):
            known.update(form_of(tag.name) for tag in tags_of(sample))
    counts: Counter[str] = Counter()
    often: Counter[str] = Counter()
    for sample in samples():
        text = training_text(sample).text
        counts.update({" ".join(text.split())} & texts.candidates)
        if runs.candidates and is_prose(text):
            often.update(phrase for phrase in phrases(text, PHRASE) if phrase in runs.candidates)
    return CaptionSet(
        tag_lists=kinds[False],
        prose=kinds[True],
        script=min(scripts, key=lambda script: (-scripts[script], script)) if scripts else None,
        preferred={
            form: group.forms[0][0] for group in reversed(near_tags(written, known)) for form, _ in group.forms[1:]
        },
        repeated=_over(counts, kinds.total(), LEAST_TEXTS),
        phrases=_over(often, kinds[True], LEAST_PHRASES),
    )


def _over(counts: Counter[str], whole: int, least: int) -> frozenset[str]:
    return frozenset(thing for thing, times in counts.items() if times >= least and times > REPEATED * whole)
