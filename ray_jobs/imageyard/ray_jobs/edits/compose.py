"""Compose: tags, captions and labels become one text by a template, which is what a trainer reads."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar

from pydantic import Field, field_validator

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.analysis.said import tags_in_order
from imageyard.ray_jobs.caption_text import is_prose, joined, pieces_of, same_as, unique
from imageyard.ray_jobs.edits.base import Edit
from imageyard.ray_jobs.edits.wording import FURTHER, TRIGGERS, WORDS, attributes_of
from imageyard.ray_jobs.origin import folders_of, names_of
from imageyard.ray_jobs.selecting import classes_of
from imageyard.ray_jobs.state import CAPTION, CUSTOM, RATING, TAGS, TEXT, State, World, labelled

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_MARKS = " ,;.:|-"
"""What separates parts of a template, and goes with a part that is empty."""
_ENDS = (".", "!", "?")
_FIXED = ("tags", "caption", "class", "folder", "name", "rating")


class Compose(Edit):
    """Writes the attribute `text` anew from what the others say; it never reads it, so it can be run again.

    A tag that a caption before it in the template says already, as a piece of its own, is not said again, nor is a
    trigger word.
    """

    kind: ClassVar[str] = "compose"
    shorthand: ClassVar[str] = "template"

    template: str = Field(default="{caption}, {tags}", min_length=1, max_length=1_000)
    """Plain text with {tags}, {caption} and {caption-…} (of several lines the first), {class}, {folder}, {name}
    (without its ending), {rating}, {label.<attribute>}. Commas and spaces around what is empty go."""
    most_tags: int | None = Field(default=None, ge=1)
    """Of the tags, the first so many."""

    @field_validator("on")
    @classmethod
    def _text_alone(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != WORDS:
            raise ValueError("compose writes the attribute `text` alone; leave it out")
        return value

    @field_validator("template")
    @classmethod
    def _variables_exist(cls, value: str) -> str:
        for name in _VARIABLE.findall(value):
            if name not in _FIXED and not name.startswith((FURTHER, "label.")):
                there = ", ".join(f"{{{one}}}" for one in (*_FIXED, "caption-…", "label.…"))
                raise ValueError(f"there is no {{{name}}}; there are {there}")
        for literal in _VARIABLE.split(value)[::2]:
            if "{" in literal or "}" in literal:
                raise ValueError(f"a brace of {value!r} has no other one; write {{tags}}, {{caption}} and the like")
        if "\n" in value:
            raise ValueError("a text is one line, since trainers read the first alone; write it without line breaks")
        return value

    def decide(self, state: State, world: World) -> State:
        samples = list(state.samples)
        for row in self.chosen(state):
            sample = samples[row]
            triggers = _triggers(sample)
            said: dict[str, Json] = {"template": self.template}
            said |= {TRIGGERS: triggers} if triggers else {}
            text = self._text(sample, frozenset(map(same_as, triggers)))
            if text:
                sample = labelled(sample, TEXT, text, world.stamp.metadata(CUSTOM, self.kind, **said))
            else:
                sample = sample.without(TEXT)
            samples[row] = sample.forget()
        return replace(state, samples=samples)

    def _text(self, sample: Sample, triggers: frozenset[str]) -> str:
        parts = _VARIABLE.split(self.template)  # literal, name, literal, name, …, literal
        text, said, ended = "", set[str](), False
        for at, part in enumerate(parts):
            if at % 2 == 0:
                literal = part.lstrip(_MARKS) if not text else part
                text += literal.removeprefix(",") if ended else literal
                continue
            value = self._value(sample, part)
            if part == TAGS:
                value = joined(tag for tag in pieces_of(value) if same_as(tag) not in said)
            elif part.startswith(CAPTION) and said & triggers:
                value = joined(piece for piece in pieces_of(value) if same_as(piece) not in said & triggers)
            said |= {same_as(piece) for piece in pieces_of(value)}
            text = text + value if value else text.rstrip(_MARKS)
            ended = part.startswith(CAPTION) and value[-1:] in _ENDS and is_prose(value)
        return " ".join(text.split())

    def _value(self, sample: Sample, name: str) -> str:
        if name == "tags":
            return joined(unique(tags_in_order(sample))[: self.most_tags])
        if name == "class":
            return joined(dict.fromkeys(classes_of(sample)))
        if name == "folder":
            return joined(folders_of(sample))
        if name == "name":
            file = next(iter(names_of(sample)), "").rpartition("/")[2]
            return file.rpartition(".")[0] or file
        attribute = RATING if name == RATING else name.removeprefix("label.")
        value = (sample.metadata(attribute) or {}).get("class-name", sample.value(attribute))
        said = str(value) if isinstance(value, str | int | float) else ""
        if name.startswith(CAPTION):  # lines are variants
            said = next((line for line in said.splitlines() if line.strip()), "")
        return " ".join(said.split())


def _triggers(sample: Sample) -> list[str]:
    """The trigger words of what a text is composed of."""
    found: dict[str, None] = {}
    for name in attributes_of(sample, (TAGS, CAPTION)):
        held = (sample.metadata(name) or {}).get(TRIGGERS)
        found |= dict.fromkeys(map(str, held) if isinstance(held, list) else ())
    return list(found)
