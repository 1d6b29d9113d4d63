"""Caption: what a model once said about every picture becomes its caption, beside or after what people said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.attribute_names import made_up
from imageyard.ray_jobs.caption_cleaning import INVENTED_TEXT, OPENERS, clean
from imageyard.ray_jobs.caption_text import is_prose, joined, pieces_of, unique
from imageyard.ray_jobs.edits.base import Words
from imageyard.ray_jobs.edits.wording import FURTHER, edited
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.caption import Captioner
from imageyard.ray_jobs.models.caption_settings import Asked
from imageyard.ray_jobs.selecting import condition
from imageyard.ray_jobs.splitting.patterns import expression
from imageyard.ray_jobs.state import CAPTION, CUSTOM, State, World, by_person, labelled, unmeasured
from imageyard.ray_jobs.steps.base import Step


class Caption(Asked, Step):
    """A caption of every sample that stands, by a captioning model; how it is asked is said as `Asked` has it."""

    kind: ClassVar[str] = "caption"
    repeats: ClassVar[bool] = True

    model: str = Field(min_length=1)
    """A name of the table of captioners, a folder, or the URL of one in a bucket."""
    into: str = CAPTION
    """The attribute: `caption`, or `caption-…` for a further caption of the same picture."""
    existing: Literal["skip", "append", "overwrite", "merge"] = "skip"
    """What becomes of a person's words: they stay, or stay before the model's, or give way to the model's (and come
    back when the step is taken out), or pieces of both stand once each, the person's first."""
    where: str | None = None
    """A condition on samples; see `selecting`."""
    drop_openers: bool = False
    """Whether `The image shows` and the like go."""
    finish: bool = True
    """Whether a caption that was cut off ends with its last whole sentence."""
    remove: Words | None = None
    """Expressions whose finds go from the model's words; unset, for GIT, writing that it makes up."""

    @field_validator("into")
    @classmethod
    def _is_a_caption(cls, value: str) -> str:
        if value != CAPTION and not (value.startswith(FURTHER) and len(value) > len(FURTHER)):
            raise ValueError(f"write {CAPTION}, or {FURTHER}short and the like")
        return value if value == CAPTION else made_up(value)

    @field_validator("where")
    @classmethod
    def _understood(cls, value: str | None) -> str | None:
        if value is not None:
            condition(value)
        return value

    @field_validator("remove")
    @classmethod
    def _compiles(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            expression(text, groups=9)
        return value

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (self.captioner(models),)

    def captioner(self, models: Path) -> Captioner:
        """The extractor. Raises ModelError, or RecipeError for what this model cannot be asked."""
        return located(self.model, models, self._asked)

    @cached_property
    def _asked(self) -> tuple[tuple[str, Json], ...]:
        said = ((name, getattr(self, name)) for name in sorted(Asked.model_fields))
        return tuple((name, value) for name, value in said if value is not None)

    def wants(self, state: State, world: World) -> Mapping[Extractor, Sequence[int]]:
        """Images that stand and were without words of the model when this step decided: those that then met the
        condition, and had no words of a person that would stay."""
        captioner = self.captioner(world.models)
        awaited = state.awaited.get(captioner.identity(), frozenset())
        return {captioner: [row for row in state.standing if row in awaited]}

    def _chosen(self, state: State) -> Iterator[int]:
        matches = condition(self.where).matches if self.where is not None else None
        for row in state.standing:
            sample = state.samples[row]
            free = self.existing != "skip" or not _worded(sample, self.into)
            if free and (matches is None or matches(sample)):
                yield row
            sample.forget()

    def decide(self, state: State, world: World) -> State:
        captioner = self.captioner(world.models)
        facts = world.columns(captioner, state.keys, ["text", "finished"])
        by: dict[str, Json] = {"model": captioner.model, "extractor": captioner.identity()}
        samples, rejections = list(state.samples), list(state.rejections)
        awaited = set(state.awaited.get(captioner.identity(), ()))
        for row in self._chosen(state):
            text = facts["text"][row]
            if text is None and facts["error"][row] is None and world.waiting:
                awaited.add(row)
                continue
            rejections[row] = unmeasured(self.kind, facts["error"][row], text)
            if rejections[row] is None:
                text = self._cleaned(captioner, text, finished=bool(facts["finished"][row]))
                samples[row] = self._captioned(samples[row], text, world, by).forget()
        every = {**state.awaited, captioner.identity(): frozenset(awaited)}
        return replace(state, samples=samples, rejections=rejections, awaited=every)

    def _cleaned(self, captioner: Captioner, text: str, *, finished: bool) -> str:
        invented = INVENTED_TEXT if captioner.settings.family == "git" else ()
        remove = invented if self.remove is None else self.remove
        openers = OPENERS if self.drop_openers else ()
        return clean(text, finished=finished or not self.finish, remove=remove, openers=openers)

    def _captioned(self, sample: Sample, text: str, world: World, by: Mapping[str, Json]) -> Sample:
        if not text:
            return sample
        words = sample.value(self.into)
        if not _worded(sample, self.into):
            return labelled(sample, self.into, text, world.stamp.metadata(CUSTOM, self.kind, **by))
        metadata = {**edited(sample, self.into, self.kind), **by}
        if self.existing == "overwrite":
            metadata["human-annotated"] = "no"
            return sample.with_label(self.into, text, metadata)
        return sample.with_label(self.into, both(str(words), text, once=self.existing == "merge"), metadata)


def _worded(sample: Sample, attribute: str) -> bool:
    """Whether a person wrote words there."""
    return by_person(sample, attribute) and bool(sample.value(attribute))


def both(words: str, text: str, *, once: bool) -> str:
    """A person's words and then a model's, on each line of them; `once` leaves out pieces that stand there already."""
    lines = [line for line in words.splitlines() if line.strip()]
    if len(lines) > 1:
        return "\n".join(both(line, text, once=once) for line in lines)
    if once:
        return joined(unique([*pieces_of(words), *pieces_of(text)]))
    ends = is_prose(words) and words.rstrip()[-1:] in (".", "!", "?")
    return f"{words.rstrip()} {text}" if ends else f"{words.rstrip().rstrip(',')}, {text}"


@lru_cache(maxsize=16)
def located(model: str, models: Path, asked: tuple[tuple[str, Json], ...]) -> Captioner:
    """Digests of model files are taken once a process."""
    return Captioner.locate(model, folder=models, **dict(asked))
