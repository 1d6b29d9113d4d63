"""What is wrong with one training text, as findings."""

from __future__ import annotations

from collections.abc import Sequence

from imageyard.ray_jobs.analysis import caption_rules as rules
from imageyard.ray_jobs.analysis.caption_set import PHRASE, REPEATED, CaptionSet
from imageyard.ray_jobs.analysis.findings import Broken
from imageyard.ray_jobs.caption_text import bare


def broken_rules(text: str, pieces: Sequence[str], *, prose: bool, whole: CaptionSet) -> list[Broken]:
    """The rules that `text`, which is not blank, breaks; rules of tags are asked of tag lists alone."""
    tags = () if prose else tuple(pieces)
    spelt = [piece for piece in map(bare, tags) if piece in whole.preferred]
    script = rules.script_of(text)
    found = [
        Broken("CAP-FORMAT", "commas, spaces or stops are out of order", tuple(rules.format_faults(text))),
        Broken("CAP-DUPTAG", "a tag stands twice", tuple(rules.repeated_tags(tags))),
        Broken(
            "CAP-VARIANTS",
            "a tag is written otherwise than on most images",
            tuple(f"{piece} → {whole.preferred[piece]}" for piece in spelt),
        ),
        Broken("CAP-CONFLICT", "tags contradict each other", tuple(rules.contradictions(tags))),
        Broken("CAP-RESERVED", "signs that trainers obey", tuple(rules.reserved_signs(text))),
        Broken(
            "CAP-BOILER",
            "words that say nothing of the picture",
            tuple(rules.boilerplate(text, pieces, prose=prose)),
        ),
        Broken(
            "CAP-REPEAT",
            f"the same text as on more than {100 * REPEATED:.0f} % of the images",
            tuple({" ".join(text.split())} & whole.repeated),
        ),
        Broken(
            "CAP-REPEAT",
            f"a phrase of {PHRASE} words that more than {100 * REPEATED:.0f} % of the sentences have",
            tuple(phrase for phrase in rules.phrases(text, PHRASE) if prose and phrase in whole.phrases),
        ),
    ]
    broken = [one for one in found if one.details]
    if rules.lines_of(text) > 1:
        broken.append(Broken("CAP-MULTILINE", "more than one line, of which trainers read the first"))
    if whole.minority_is_prose is not None and whole.minority_is_prose == prose:
        here, there = ("sentences", "tags") if prose else ("tags", "sentences")
        broken.append(Broken("CAP-STYLE-MIX", f"{here}, where most texts are {there}"))
    if script is not None and script != whole.script:
        broken.append(Broken("CAP-LANG", f"another script than {whole.script}, that of most texts", (script,)))
    return broken
