"""Tag: scores that taggers once gave become the tags of every sample that stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from imageyard.manifests.errors import JobError, ModelError
from imageyard.manifests.sample import Json
from imageyard.ray_jobs.caption_text import pieces_of
from imageyard.ray_jobs.edits.base import Words, listed
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.tagger import Tagger
from imageyard.ray_jobs.origin import called
from imageyard.ray_jobs.state import KEEP, RATING, State, World, verdict_of
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.tag_categories import CATEGORIES, CHARACTER, GENERAL
from imageyard.ray_jobs.tag_text import Blacklist, normal, wild
from imageyard.ray_jobs.tagging.choosing import Chooser, Combination, Mixture
from imageyard.ray_jobs.tagging.cutting import RANKED, Thresholds
from imageyard.ray_jobs.tagging.decision import Decision, Place, Vocabulary
from imageyard.ray_jobs.tagging.existing import Existing
from imageyard.ray_jobs.tagging.facts import COLUMNS, tag_facts
from imageyard.ray_jobs.tagging.images import Images
from imageyard.ray_jobs.tagging.names import Naming
from imageyard.ray_jobs.tagging.ordering import Order
from imageyard.ray_jobs.tagging.overlap import Implications
from imageyard.ray_jobs.tagging.safety import UNSAFE

PRESETS: Mapping[str, float] = {"comprehensive": 0.30, "character": 0.35, "complex_art": 0.40, "clean": 0.45}
"""Thresholds by what a set is for."""
Preset = Literal["comprehensive", "character", "complex_art", "clean"]


CUTTABLE = tuple(name for name, code in CATEGORIES.items() if code not in RANKED)
"""Categories that have a threshold."""
ANY = 2.0
"""More than two scores can have together."""


def _category(value: object) -> object:
    if value not in CUTTABLE:
        raise ValueError(f"there is no category {value!r} with a threshold; there are {', '.join(CUTTABLE)}")
    return value


def _categories(value: object) -> object:
    if isinstance(value, bool):
        return CUTTABLE if value else ()
    return listed(value)


def _gate(value: object) -> object:
    if isinstance(value, bool):
        return {"above": ANY} if value else None
    if not isinstance(value, dict | Above | None):
        raise ValueError("write true, false or {above: 0.5}")
    return value


def _amount(value: object) -> object:
    if not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and 0 <= value < 1)):
        return value
    raise ValueError("write a whole number of images, or a share below 1, such as 0.05")


def _pattern(value: str) -> str:
    wild(value)
    return value


Category = Annotated[str, BeforeValidator(_category)]
Amount = Annotated[float | int, BeforeValidator(_amount), Field(ge=0)]
Limit = Annotated[float, Field(ge=0)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]


class Above(BaseModel):
    """The score of questionable and explicit together that is still safe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    above: float = Field(ge=0, le=ANY)


class Tag(Step):
    """Tags of every sample that stands; nothing here runs a model, as scores are measured down to a low floor."""

    kind: ClassVar[str] = "tag"

    model: str = Field(min_length=1)
    """A name of the model table, or a folder with the model's files."""
    also: Words = ()
    """Further taggers; `model` names and numbers the tags that it has."""
    combine: Combination = "union"
    """Of several taggers: what any says, what all say, or what `model` alone says; by normal form."""
    score: Mixture = "max"
    """Of several taggers that say the same."""

    threshold: float | None = Field(default=None, ge=0)
    """Scores from here on are kept; unset, the model's own. 0.35 keeps 0.35."""
    character_threshold: float | None = Field(default=None, ge=0)
    """The same for characters; above 1 none are."""
    preset: Preset | None = None
    """A threshold by what the set is for, where no number is given."""
    thresholds: Mapping[Category, Limit] = {}
    """By category; above 1 none are."""
    tag_thresholds: Mapping[Pattern, Limit] = {}
    """By tag or pattern; a name wins over patterns, a longer pattern over a shorter one. No cut changes them."""
    mcut: Annotated[tuple[Category, ...], BeforeValidator(_categories), Field(strict=False)] = ()
    """Categories whose threshold is, image by image, the middle of the largest gap between scores; true: all."""
    min_count: Amount = 0
    """Images in which a tag must stand to stay, or the share of the images."""
    max_tags: int | None = Field(default=None, ge=1)
    """The most tags of the taggers, by falling score; those that people or `first` add are not counted."""

    blacklist: Words = ()
    """Tags never written: whole names in any spelling, wildcards such as `*_hair`, or `re:` and an expression."""
    replace: Mapping[str, str] = {}
    """New by old tag, at most once each; several may become one, and one of them stays. "" removes."""
    expand_characters: bool = False
    """Whether a character `name_(series)` becomes `name` and `series`."""
    underscores: Literal["spaces", "keep"] = "spaces"
    """Whether underscores become spaces, but in faces such as `^_^`."""
    escape: bool = False
    r"""Whether parentheses are written `\(` and `\)`, for prompt interfaces; trainers read the backslashes."""

    drop_traits: bool = False
    """Whether hair, eyes and the like go, so that the trigger word takes them in; `closed eyes` stay."""
    drop_overlap: bool = False
    """Whether what a more specific tag says goes: `shirt` beside `white shirt`."""
    implications: Mapping[str, Words] = {}
    """Further implications for `drop_overlap`: `{white shirt: [shirt]}`."""
    kohya_clean: bool = False
    """Whether tags go that kohya's clean_captions_and_tags.py would remove."""
    conflicts: bool = False
    """Whether, of tags that cannot be true together, those with lower scores go."""

    order: Order = "score"
    people_first: bool = False
    """`solo` and counts such as `2girls` before everything else."""
    characters_first: bool = False
    """Characters before the others, but after people."""
    first: Words = ()
    """Tags that stand at the beginning, in this order, before all that is not a person's."""
    add_if_missing: bool = False
    """Whether `first` adds those that no tagger gave."""
    rating: Place = "none"
    """Where the rating stands among the tags; it is a label of its own in any case."""
    quality: Place = "none"
    """The same for the best quality that a tagger with such tags gives; after the rating."""
    sfw: Annotated[Above | None, BeforeValidator(_gate)] = None
    """With true, images rated questionable or explicit are kept out; with `{above: 0.5}` those too whose scores for
    the two are together above that. Sensitive ones stay and are counted."""
    existing: Existing = "overwrite"
    """What becomes of images that a person has captioned: `overwrite` tags them like all; `skip` leaves them without;
    `append` has the person's tags first, `merge` among the others with score 1. A person's tags always stay."""

    @field_validator("blacklist")
    @classmethod
    def _patterns_hold(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Blacklist(value)
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name, common in (("general", self.threshold), ("character", self.character_threshold)):
            if name in self.thresholds and common is not None:
                raise ValueError(f"the threshold of {name} is given twice; leave it out of thresholds")
        if len({self.model, *self.also}) <= len(self.also):
            raise ValueError("also names a tagger twice, or the one that model names")
        for parameter, names in (("replace", self.replace), ("tag_thresholds", self.tag_thresholds)):
            forms = Counter(normal(name) for name in names if wild(name) is None)
            for name in names:
                if not normal(name):
                    raise ValueError(f"{parameter} has an empty name; write {{tag: …}}")
                if parameter == "replace" and wild(name):
                    raise ValueError(f"replace has the pattern `{name}`; name each tag that is to be replaced")
                if forms[normal(name)] > 1:
                    raise ValueError(f"{parameter} has `{name}` in two spellings; they are one tag")
        banned = Blacklist(self.blacklist)
        for name in self.first:
            if len(pieces_of(name)) != 1:
                raise ValueError(f"first has {name!r}, which is not one tag; write one an entry")
            if name in banned and self.add_if_missing:
                raise ValueError(f"`{name}` is in first and on the blacklist; take it out of one of them")
        return self

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        taggers = self._taggers(models)
        if self.sfw and not taggers[0].has_rating:
            raise ModelError(f"{self.model}: it rates no images, so sfw cannot judge them; name a WD14 tagger first")
        return taggers

    def decide(self, state: State, world: World) -> State:
        taggers = self._taggers(world.models)
        facts = [tag_facts(world.table(tagger, state.keys, COLUMNS)) for tagger in taggers]
        known = [
            Vocabulary(one.labels, _defaults(tagger), tagger.floor) for tagger, one in zip(taggers, facts, strict=True)
        ]
        first, *others = [{"model": tagger.model, "extractor": tagger.identity()} for tagger in taggers]
        images = Images(
            step=self.kind,
            decision=self.decision(known, rates=taggers[0].has_rating),
            facts=facts,
            rates=taggers[0].has_rating,
            safe=self.sfw.above if self.sfw else None,
            existing=self.existing,
            stamp=world.stamp,
            by={**first, **({"also": [*others]} if others else {})},
        )
        samples, rejections = list(state.samples), list(state.rejections)
        counts, standing = images.counted(state) if images.decision.counting else (Counter[str](), 0)
        for row in state.standing:
            samples[row], rejections[row] = images.tagged(samples[row], row, counts, standing)
        return replace(state, samples=samples, rejections=rejections)

    def certify(self, state: State, world: World) -> Mapping[str, Json]:
        """With `sfw`, how many standing images have each rating. Raises JobError if one is not safe
        that no person wants kept."""
        if not self.sfw:
            return {}
        ratings: Counter[str] = Counter()
        for row in state.standing:
            sample = state.samples[row]
            rating = str((sample.metadata(RATING) or {}).get("class-name"))
            ratings[rating] += 1
            kept = verdict_of(sample) == KEEP
            sample.forget()
            if rating in UNSAFE and not kept:
                raise JobError(
                    f"{called(sample)} is rated {rating}, and the recipe says sfw; let no later step rate it"
                )
        return {"ratings": dict(sorted(ratings.items()))}

    def decision(self, vocabularies: Sequence[Vocabulary], *, rates: bool = True) -> Decision:
        """The rules of this step for the labels of its taggers, of which the first may not rate."""
        naming = Naming(
            blacklist=self.blacklist,
            replace=self.replace,
            expand_characters=self.expand_characters,
            keep_underscores=self.underscores == "keep",
            escape=self.escape,
        )
        return Decision(
            choosers=[
                Chooser(known.labels, self._thresholds(known), naming, model=number)
                for number, known in enumerate(vocabularies)
            ],
            combine=self.combine,
            mixture=self.score,
            drop_traits=self.drop_traits,
            kohya_clean=self.kohya_clean,
            conflicts=self.conflicts,
            overlap=Implications(self.implications).said_already if self.drop_overlap else None,
            min_count=self.min_count,
            max_tags=self.max_tags,
            order=self.order,
            people_first=self.people_first,
            characters_first=self.characters_first,
            first=[naming.of_recipe(name) for name in self.first],
            add_if_missing=self.add_if_missing,
            append=self.existing == "append",
            rating=self.rating if rates else "none",
            quality=self.quality,
        )

    def _thresholds(self, known: Vocabulary) -> Thresholds:
        common = PRESETS[self.preset] if self.threshold is None and self.preset else self.threshold
        limits = dict(known.defaults)
        if common is not None:
            limits = {GENERAL: common, CHARACTER: limits[CHARACTER]}
        if self.character_threshold is not None:
            limits[CHARACTER] = self.character_threshold
        limits |= {CATEGORIES[name]: limit for name, limit in self.thresholds.items()}
        return Thresholds(limits, self.tag_thresholds, frozenset(CATEGORIES[name] for name in self.mcut), known.floor)

    def _taggers(self, models: Path) -> tuple[Tagger, ...]:
        return tuple(_located(model, models) for model in (self.model, *self.also))


def _defaults(tagger: Tagger) -> dict[int, float]:
    own = tagger.default_thresholds.items()
    return {CATEGORIES[name]: limit for name, limit in own if name in CATEGORIES}


@lru_cache(maxsize=8)
def _located(model: str, models: Path) -> Tagger:
    """Digests of model files are taken once a process."""
    return Tagger.locate(model, folder=models)
