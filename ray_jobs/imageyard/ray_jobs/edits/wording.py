"""The words of a sample that edits change: its tags, its captions, its composed text, each as pieces in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.caption_text import is_prose, joined, pieces_of, same_as
from imageyard.ray_jobs.state import CAPTION, CUSTOM, MANY_LABELS, TAGS, TEXT
from imageyard.ray_jobs.tagging.classes import class_index

FURTHER = "caption-"
"""What the names of further captions begin with."""
EDITED = "edited-by"
UNEDITED = "unedited"
"""Members of a pair's metadata: the kinds of the steps that changed it, and what it said before them."""
PASSING = ("compose", "trigger")
"""Steps whose own words go whenever a recipe makes words."""
TRIGGERS = "triggers"
"""Member of a pair's metadata: the trigger words in it, which other edits leave where they are."""


@dataclass(frozen=True)
class Piece:
    """A tag, or what stands between two commas of a caption."""

    text: str
    score: float | None = None
    """Of a tag; None in a caption."""
    index: int | None = None
    """The class of a tag; None in a caption, and for a tag that an edit brings."""


@dataclass(frozen=True)
class Wording:
    """One attribute's words."""

    attribute: str
    pieces: tuple[Piece, ...]
    prose: bool
    """Whether it is sentences, whose pieces keep their order."""
    triggers: tuple[str, ...] = ()

    def held(self, piece: Piece) -> bool:
        """Whether a piece is a trigger word."""
        return bool(self.triggers) and same_as(piece.text) in self._held

    @cached_property
    def _held(self) -> frozenset[str]:
        return frozenset(map(same_as, self.triggers))

    def with_triggers(self, words: Sequence[str]) -> Wording:
        """The same with these trigger words besides, which are no reason to take sentences for tags."""
        held = tuple(dict.fromkeys([*self.triggers, *words]))
        prose = self.attribute != TAGS and _is_prose([piece.text for piece in self.pieces], held)
        return replace(self, prose=prose, triggers=held)

    def having(self, pieces: Sequence[Piece]) -> Wording:
        """The same attribute with other pieces."""
        return replace(self, pieces=tuple(pieces))


def attributes_of(sample: Sample, on: Collection[str]) -> list[str]:
    """The attributes of words that a sample has and `on` names; `caption` stands for further captions too."""
    return [
        name
        for name in sample.label_names
        if name in on or (name.startswith(FURTHER) and CAPTION in on)
        if name == TAGS or isinstance(sample.value(name), str)
    ]


def wordings(sample: Sample, attribute: str) -> list[Wording]:
    """The words of one of a sample's attributes: of a caption of several lines, which are variants, those of each."""
    metadata = sample.metadata(attribute) or {}
    triggers = metadata.get(TRIGGERS)
    held = tuple(str(word) for word in triggers) if isinstance(triggers, list) else ()
    value = sample.value(attribute)
    if attribute == TAGS:
        return [Wording(TAGS, tuple(_tags(value, metadata)), False, held)]
    lines = [pieces for line in str(value).splitlines() if (pieces := pieces_of(line))] or [[]]
    return [Wording(attribute, tuple(map(Piece, pieces)), _is_prose(pieces, held), held) for pieces in lines]


def _is_prose(pieces: Sequence[str], triggers: Sequence[str]) -> bool:
    """Whether they are sentences; trigger words beside them make none a list of tags."""
    held = frozenset(map(same_as, triggers))
    return is_prose([piece for piece in pieces if same_as(piece) not in held] if held else pieces)


def _tags(value: Json, metadata: Mapping[str, Json]) -> Iterator[Piece]:
    names, scores = metadata.get("class-map") or {}, metadata.get("confidence-map") or {}
    for index in value if isinstance(value, list) else ():
        yield Piece(str(names.get(str(index), index)), scores.get(str(index)), index)


def written(sample: Sample, words: Sequence[Wording], step: str, *, keeping: bool = True) -> Sample:
    """`sample` with one attribute's `words`, which `step` made of what it said.

    If `keeping`, what was said is kept beside it, so that the edit can be taken back.
    """
    attribute = words[0].attribute
    metadata = edited(sample, attribute, step, keeping=keeping)
    metadata |= {TRIGGERS: list(words[0].triggers)} if words[0].triggers else {}
    if attribute != TAGS:
        return sample.with_label(attribute, text_of(words), metadata)
    indices: dict[int, str] = {}
    scores: dict[str, float] = {}
    for piece in words[0].pieces:
        index = class_index(piece.text, indices) if piece.index is None else piece.index
        indices[index] = piece.text
        scores[str(index)] = 1.0 if piece.score is None else piece.score
    metadata |= {"class-map": {str(index): name for index, name in indices.items()}, "confidence-map": scores}
    return sample.with_label(TAGS, list(indices), metadata)


def text_of(words: Sequence[Wording]) -> str:
    """A caption of these words, a line each; one of which nothing is left is no variant."""
    return "\n".join(joined(piece.text for piece in line.pieces) for line in words if line.pieces)


def edited(sample: Sample, attribute: str, step: str, *, keeping: bool = True) -> dict[str, Json]:
    """The metadata of an attribute that `step` changes: who has edited it and, if `keeping`, what it said before."""
    metadata = dict(sample.metadata(attribute) or {"type": MANY_LABELS if attribute == TAGS else CUSTOM})
    by = metadata.get(EDITED)
    kinds = [*by] if isinstance(by, list) else []
    if keeping and UNEDITED not in metadata:
        metadata[UNEDITED] = {"value": sample.value(attribute), "metadata": dict(metadata)}
    metadata[EDITED] = kinds if step in kinds else [*kinds, step]
    return metadata


def unedited(sample: Sample) -> Sample:
    """`sample` as people and models described it, before what recipes made of it."""
    if UNEDITED.encode() not in sample.line:
        return sample
    for name in sample.label_names:
        metadata = sample.metadata(name) or {}
        original = metadata.get(UNEDITED)
        if isinstance(original, dict):
            sample = sample.with_label(name, original["value"], original["metadata"])
    return sample


WORDS = (TAGS, CAPTION, TEXT)
"""The attributes that hold words; further captions count as captions."""
