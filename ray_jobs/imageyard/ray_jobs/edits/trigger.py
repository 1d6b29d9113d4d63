"""Trigger: words that call up what is trained stand once in every text, where they are wanted, and stay there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from imageyard.manifests.errors import JobError
from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.caption_text import in_place_of, joined, pieces_of, same_as
from imageyard.ray_jobs.edits.base import About, Edit, Words
from imageyard.ray_jobs.edits.wording import TRIGGERS, WORDS, Piece, Wording, attributes_of, wordings
from imageyard.ray_jobs.origin import called
from imageyard.ray_jobs.state import CAPTION, CUSTOM, State, World, labelled
from imageyard.ray_jobs.tag_text import normal


class Trigger(Edit):
    """Puts the words in, in their order; another spelling of one becomes it, and a repeated one goes.

    An image without any words gets a caption of these alone, unless `on` leaves captions out. In sentences a trigger
    that stands among the words is there already: it is left where it is, spelled as the recipe has it.
    """

    kind: ClassVar[str] = "trigger"
    shorthand: ClassVar[str] = "words"

    words: Words = Field(min_length=1)
    at: Literal["begin", "end", "random"] = "begin"
    """`random`: a place between the others, triggers not counted, that hangs on the image and the seed alone; in
    sentences, the beginning."""
    seed: int = 0

    @field_validator("words")
    @classmethod
    def _pieces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if pieces_of(word) != [word]:
                raise ValueError(
                    f"{word!r} is not one piece; write a word or words without a comma, a list for several"
                )
        if len({same_as(word) for word in value}) < len(value):
            raise ValueError("a trigger word stands twice; write each once")
        return value

    def decide(self, state: State, world: World) -> State:
        rows = frozenset(self.chosen(state))
        state = super().decide(state, world)
        state = replace(state, promised={**state.promised, self.model_dump_json(): rows})
        if CAPTION not in self.on:
            return state
        samples = list(state.samples)
        for row in sorted(rows):
            if not attributes_of(samples[row], WORDS):
                said = world.stamp.metadata(CUSTOM, self.kind, **{TRIGGERS: list(self.words)})
                samples[row] = labelled(samples[row], CAPTION, joined(self.words), said).forget()
        return replace(state, samples=samples)

    def edited(self, words: Wording, about: About) -> Wording:
        """The words with the triggers in them."""
        words = words.with_triggers(self.words)
        inside = [word for word in self.words if words.prose and not _alone(words, word) and _within(words, word)]
        wanted = [word for word in self.words if word not in inside]
        forms = {same_as(word): word for word in wanted}
        found: dict[str, Piece] = {}
        others = []
        for piece in words.pieces:
            form = same_as(piece.text)
            if form in forms:
                found.setdefault(form, replace(piece, text=in_place_of(piece.text, forms[form])))
            else:
                others.append(replace(piece, text=_respelled(piece.text, inside)))
        mine = [found.get(form, Piece(word)) for form, word in forms.items()]
        return words.having(self._placed(mine, others, words, about))

    def _placed(self, mine: list[Piece], others: list[Piece], words: Wording, about: About) -> list[Piece]:
        if self.at == "end":
            return [*others, *mine]
        if self.at == "begin" or words.prose:
            return [*mine, *others]
        free = [at for at, piece in enumerate(others) if not words.held(piece)]
        said = "\0".join([str(self.seed), about.key, *self.words]).encode()
        nth = int.from_bytes(hashlib.sha256(said).digest()[:8]) % (len(free) + 1)
        at = free[nth] if nth < len(free) else free[-1] + 1 if free else len(others)
        return [*others[:at], *mine, *others[at:]]

    def certify(self, state: State, world: World) -> Mapping[str, Json]:
        """That every image it chose has each trigger word once in each of its texts, after all steps.

        Raises JobError for one that has not, naming it.
        """
        images = without = 0
        chosen = state.promised.get(self.model_dump_json())
        for row in state.standing:
            if chosen is not None and row not in chosen:
                continue
            sample = state.samples[row]
            names = attributes_of(sample, self.on)
            images += 1
            without += not names
            for name in names:
                self._refuse_unless_there(sample, name)
            sample.forget()
        which = ", ".join(self.words) + (f" where {self.where}" if self.where is not None else "")
        return {which: {"at": self.at, "images": images, "images_without_any_text": without}}

    def _refuse_unless_there(self, sample: Sample, name: str) -> None:
        for words in wordings(sample, name):
            for word in self.words:
                times = sum(same_as(piece.text) == same_as(word) for piece in words.pieces)
                if times > 1 or (times == 0 and not _within(words, word)):
                    raise JobError(
                        f"{called(sample)}: its {name} has the trigger {word!r} {times} times after all steps, not "
                        "once; a later step changes it: put `trigger` behind that step. Nothing was committed"
                    )


def _respelled(text: str, triggers: Sequence[str]) -> str:
    """A piece of a sentence in which each trigger is spelled as it is here."""
    for word in triggers:
        other = r"[\s_]+".join(map(re.escape, normal(word).split()))
        text = re.sub(rf"(?<!\w){other}(?!\w)", word.replace("\\", "\\\\"), text, flags=re.IGNORECASE)
    return text


def _alone(words: Wording, word: str) -> bool:
    return any(same_as(piece.text) == same_as(word) for piece in words.pieces)


def _within(words: Wording, word: str) -> bool:
    """Whether the word stands in a sentence."""
    return words.prose and holds(words.pieces, word)


def holds(pieces: Sequence[Piece], word: str) -> bool:
    """Whether a piece has `word` among its own, in any spelling of `normal`."""
    found = re.compile(rf"(?<!\w){re.escape(normal(word))}(?!\w)")
    return any(found.search(normal(piece.text)) for piece in pieces)
