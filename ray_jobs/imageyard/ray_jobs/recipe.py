"""A recipe: an ordered tuple of steps with a fingerprint, and the YAML people write it in."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from imageyard.manifests.errors import RecipeError
from imageyard.ray_jobs.edits.affix import Affix
from imageyard.ray_jobs.edits.compose import Compose
from imageyard.ray_jobs.edits.remove import Remove
from imageyard.ray_jobs.edits.replacing import Replace
from imageyard.ray_jobs.edits.shorten import Shorten
from imageyard.ray_jobs.edits.sort import Sort
from imageyard.ray_jobs.edits.standardise import Standardise
from imageyard.ray_jobs.edits.trigger import Trigger
from imageyard.ray_jobs.edits.unique import Unique
from imageyard.ray_jobs.extractors.base import Extractor, ModelExtractor
from imageyard.ray_jobs.recipe_yaml import read_yaml
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.steps.caption import Caption
from imageyard.ray_jobs.steps.dedup import Dedup
from imageyard.ray_jobs.steps.detect import Detect
from imageyard.ray_jobs.steps.ingest import Ingest
from imageyard.ray_jobs.steps.split import Split
from imageyard.ray_jobs.steps.tag import Tag
from imageyard.ray_jobs.steps.validate import Validate

EDITS: tuple[type[Step], ...] = (Trigger, Replace, Remove, Sort, Unique, Standardise, Affix, Shorten, Compose)
_STEPS: tuple[type[Step], ...] = (Ingest, Validate, Dedup, Tag, Caption, Detect, *EDITS, Split)
STEPS: Mapping[str, type[Step]] = {step.kind: step for step in _STEPS}


class Recipe(BaseModel):
    """What is done to a dataset, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    """URL of the dataset."""
    name: str = Field(default="", max_length=63, pattern=r"^([a-zA-Z0-9](-*[a-zA-Z0-9])*)?$")
    """What the job is called in manifests; unset, it is called after its steps."""
    max_error_fraction: float = Field(default=1.0, ge=0, le=1)
    """The job fails, and commits nothing, if more than this share of the new images cannot be read."""
    steps: tuple[SerializeAsAny[Step], ...]

    def extractors(self, models: Path) -> dict[str, Extractor]:
        """What must be measured, by name; a second model of one kind has `#2` after its name.

        Raises RecipeError if two steps want the same thing, that is no model's, measured differently.
        """
        found: dict[str, Extractor] = {}
        known: set[str] = set()
        for step in self.steps:
            for extractor in step.extractors(models):
                if extractor.identity() in known:
                    continue
                known.add(extractor.identity())
                count = sum(other.name == extractor.name for other in found.values()) + 1
                if count > 1 and not isinstance(extractor, ModelExtractor):
                    raise RecipeError(
                        f"two steps want {extractor.name} measured in different ways; let them agree, or use "
                        "two recipes"
                    )
                found[extractor.name if count == 1 else f"{extractor.name}#{count}"] = extractor
        return found

    def fingerprint(self, extractors: Mapping[str, Extractor]) -> str:
        """sha256 over steps and what measures for them: equal fingerprints over equal images give equal bytes."""
        said = [self.plain()["steps"], sorted(extractor.identity() for extractor in extractors.values())]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """The recipe as JSON values, every parameter said."""
        steps = [{step.kind: step.model_dump(mode="json")} for step in self.steps]
        return {"dataset": self.dataset, "name": self.job_name, "steps": steps}

    @property
    def job_name(self) -> str:
        return self.name or "-".join(step.kind for step in self.steps)


def load_recipe(path: Path, *, dataset: str | None = None) -> Recipe:
    """The recipe in a YAML file, for `dataset` if one is given. Raises RecipeError: what, where, and what to write."""
    return parse_recipe(read_yaml(path), where=str(path), dataset=dataset)


def parse_recipe(data: object, *, where: str, dataset: str | None = None) -> Recipe:
    """The recipe in parsed YAML or JSON."""
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: a recipe has `dataset:` and `steps:`")
    known = set(Recipe.model_fields)
    for key in data:
        if key not in known:
            raise RecipeError(f"{where}: `{key}` is not part of a recipe{_meant(str(key), known)}")
    url = dataset or data.get("dataset")
    if not isinstance(url, str):
        raise RecipeError(f"{where}: no `dataset:`; write dataset: s3://bucket/datasets/cats")
    entries = data.get("steps")
    if not isinstance(entries, list) or not entries:
        raise RecipeError(f"{where}: no `steps:`; write a list such as\n  steps:\n    - ingest: {{}}")
    steps = tuple(_step(entry, f"{where}, step {number}") for number, entry in enumerate(entries, start=1))
    kinds = [step.kind for step in steps]
    if "ingest" in kinds[1:]:
        raise RecipeError(f"{where}: ingest is not the first step; what is not taken in cannot be decided on")
    if "validate" in kinds[kinds.index("dedup") :] if "dedup" in kinds else False:
        raise RecipeError(f"{where}: validate stands after dedup, which might have kept what it rejects; put it before")
    for kind in set(kinds):
        if kinds.count(kind) > 1 and not STEPS[kind].repeats:
            raise RecipeError(f"{where}: `{kind}` stands twice; write one step with all its parameters")
    into = [step.into for step in steps if isinstance(step, Caption)]
    for attribute in into:
        if into.count(attribute) > 1:
            raise RecipeError(f"{where}: two caption steps write `{attribute}`; give one of them into: caption-short")
    try:
        others = {key: value for key, value in data.items() if key not in ("dataset", "steps") and value is not None}
        return Recipe(dataset=url.rstrip("/"), steps=steps, **others)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_first(error)}") from error


def _step(entry: object, where: str) -> Step:
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise RecipeError(f"{where}: write one step name with its parameters, such as `- validate: {{min_side: 256}}`")
    ((kind, parameters),) = entry.items()
    if kind not in STEPS:
        raise RecipeError(f"{where}: there is no step `{kind}`{_meant(str(kind), STEPS)}")
    step = STEPS[kind]
    parameters = step.in_full(parameters)
    if parameters is not None and not isinstance(parameters, dict):
        raise RecipeError(f"{where} ({kind}): its parameters must be `name: value` pairs, not {parameters!r}")
    for name in parameters or {}:
        if name not in step.model_fields:
            raise RecipeError(f"{where} ({kind}): there is no parameter `{name}`{_meant(str(name), step.model_fields)}")
    try:
        return step.model_validate(parameters or {})
    except ValidationError as error:
        raise RecipeError(f"{where} ({kind}): {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """The first fault in words: the parameter, what was written, what is asked for."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"`{place}` is missing"
    return f"`{place}` is {fault['input']!r}: {message}" if place else message


def _meant(name: str, known: Mapping[str, object] | set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; there are {', '.join(f'`{one}`' for one in sorted(known))}"
