"""What all edits share: which attributes of which samples, piece by piece, and a record of what was changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.attribute_names import made_up
from imageyard.ray_jobs.caption_text import same_as
from imageyard.ray_jobs.edits.wording import (
    FURTHER,
    PASSING,
    UNEDITED,
    WORDS,
    Piece,
    Wording,
    attributes_of,
    text_of,
    wordings,
    written,
)
from imageyard.ray_jobs.selecting import condition
from imageyard.ray_jobs.state import TAGS, State, World, by_person
from imageyard.ray_jobs.steps.base import Step


def listed(value: object) -> object:
    """A single word where a list of them is asked for; numbers are words too, as there is a tag `3`."""
    words = value if isinstance(value, list | tuple) else [value] if isinstance(value, str | int) else None
    if words is None:
        return value
    return tuple(str(word) if isinstance(word, int) and not isinstance(word, bool) else word for word in words)


Words = Annotated[tuple[str, ...], BeforeValidator(listed), Field(strict=False)]


@dataclass(frozen=True)
class About:
    """What an edit may know besides the words it changes."""

    key: str
    counts: Counter[str] = field(default_factory=Counter)
    """By piece, as `same_as` has it: how many samples have it in this attribute; empty unless `counting`."""


class Edit(Step):
    """A change of words: the same words changed again by it stay as they are."""

    repeats: ClassVar[bool] = True
    counting: ClassVar[bool] = False
    """Whether it needs to know how frequent pieces are."""
    restyling: ClassVar[bool] = False
    """Whether a caption is written anew even if its pieces are what they were."""

    on: Words = WORDS
    """Which attributes: tags, caption (further captions too), text, or one further caption by its name."""
    where: str | None = None
    """A condition on samples; see `selecting`."""

    @field_validator("on")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in WORDS and not name.startswith(FURTHER):
                raise ValueError(f"`{name}` holds no words; there are {', '.join(WORDS)} and {FURTHER}…")
            if name not in WORDS:
                made_up(name)
        return value

    @field_validator("where")
    @classmethod
    def _understood(cls, value: str | None) -> str | None:
        if value is not None:
            condition(value)
        return value

    def decide(self, state: State, world: World) -> State:
        rows = list(self.chosen(state))
        counts = self._counts(state, rows) if self.counting else {}
        samples = list(state.samples)
        for row in rows:
            sample = samples[row]
            for name in attributes_of(sample, self.on):
                about = About(state.keys[row], counts.get(name, Counter()))
                sample = self._on(sample, name, about, makes=world.makes, by_hand=world.by_hand)
            samples[row] = sample.forget()
        return replace(state, samples=samples)

    def _on(self, sample: Sample, name: str, about: About, *, makes: Set[str], by_hand: bool) -> Sample:
        """`sample` with one attribute edited; by hand, what it said before other edits is edited too.

        Otherwise that is kept, but of what is made anew by every run of the recipe.
        """
        before = wordings(sample, name)
        after = [self.edited(words, about) for words in before]
        if after == before and not (self.restyling and name != TAGS and text_of(after) != sample.value(name)):
            return sample
        metadata = sample.metadata(name) or {}
        said = metadata.get(UNEDITED)
        anew = not by_person(sample, name) and (name in makes or metadata.get("step") in PASSING)
        changed = written(sample, after, self.kind, keeping=not (by_hand or anew))
        if not by_hand or not isinstance(said, dict):
            return changed
        original = Sample.of(sample.source_ref).with_label(name, said["value"], said["metadata"])
        original = self._on(original, name, about, makes=makes, by_hand=True)
        kept = {"value": original.value(name), "metadata": dict(original.metadata(name) or {})}
        return changed.with_label(name, changed.value(name), {**(changed.metadata(name) or {}), UNEDITED: kept})

    def edited(self, words: Wording, about: About) -> Wording:
        """The words after this edit; editing them again changes nothing."""
        raise NotImplementedError

    def chosen(self, state: State) -> Iterator[int]:
        """The rows of standing samples that the condition is true of."""
        matches = condition(self.where).matches if self.where is not None else None
        for row in state.standing:
            if matches is None or matches(state.samples[row]):
                yield row
            state.samples[row].forget()

    def _counts(self, state: State, rows: Sequence[int]) -> dict[str, Counter[str]]:
        counts: dict[str, Counter[str]] = {}
        for row in rows:
            sample = state.samples[row]
            for name in attributes_of(sample, self.on):
                forms = {same_as(piece.text) for words in wordings(sample, name) for piece in words.pieces}
                counts.setdefault(name, Counter()).update(forms)
            state.samples[row].forget()
        return counts


def unique_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """`pieces` without those that an earlier one says already."""
    first: dict[str, Piece] = {}
    for piece in pieces:
        first.setdefault(same_as(piece.text), piece)
    return list(first.values())


def refuse_unclear(parameter: str, names: Iterable[str]) -> None:
    """Raises ValueError if one of `names` is empty, or stands in two spellings."""
    said: dict[str, str] = {}
    for name in names:
        form = same_as(name)
        if not form:
            raise ValueError(f"{parameter} has the empty name {name!r}; write {{old: new}}")
        if form in said:
            raise ValueError(f"{parameter} has `{said[form]}` and `{name}`, which are one tag; write it once")
        said[form] = name
