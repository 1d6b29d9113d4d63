"""Recipes that people send: parsed for their own dataset, their addresses below their prefixes, their models known."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from imageyard.manifests.errors import RecipeError
from imageyard.ray_jobs.models.captioner_table import CAPTIONERS
from imageyard.ray_jobs.models.table import EMBEDDERS, TAGGERS, Origin, named
from imageyard.ray_jobs.models.towers import TOWER_ENTRIES
from imageyard.ray_jobs.recipe import Recipe, parse_recipe
from imageyard.service.addresses import below, leaves, looks_like_address, refuse_foreign
from imageyard.service.deployment import Deployment, Tenant

WHERE = "recipe"
DEEPEST = 12
"""Objects and lists inside each other; our own recipes have 5."""
LARGEST = 2**53
"""From here on not every reader of JSON knows a whole number exactly."""
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MODEL_FIELDS = ("model", "also", "semantic")
_TABLE: tuple[Origin, ...] = (*TAGGERS, *CAPTIONERS, *EMBEDDERS, *TOWER_ENTRIES)


def recipe_of(data: dict[str, Any], *, dataset: str, tenant: Tenant, deployment: Deployment) -> Recipe:
    """The recipe in `data`, for the dataset at that URL whatever `data` says.

    Raises RecipeError: too large or too deep, a number or a text that cannot be kept, an address outside the tenant's
    prefixes, a model that the deployment does not allow, or what `parse_recipe` finds.
    """
    _check_depth(data, DEEPEST)
    _check_values(data)
    size = len(json.dumps(data, ensure_ascii=False).encode())
    if size > deployment.limits.recipe_bytes:
        raise RecipeError(f"{WHERE}: {size} bytes; a recipe may have {deployment.limits.recipe_bytes}")
    said = {name: value for name, value in data.items() if name != "dataset"}
    prefixes = (tenant.prefix, *tenant.also)
    refuse_foreign(said, prefixes)
    recipe = parse_recipe(said, where=WHERE, dataset=dataset)
    for place, model in models_of(recipe):
        if not _allowed(model, prefixes, deployment):
            raise RecipeError(
                f"{WHERE}, {place}: the model {model[:100]!r} may not be used here; name one of the tables, one below "
                "this tenant's prefixes, or ask for it to be added to `models` of the deployment"
            )
    return recipe


def models_of(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every model that a recipe names, with the step and parameter that name it."""
    for number, step in enumerate(recipe.steps, start=1):
        for name in _MODEL_FIELDS:
            value = getattr(step, name, None)
            for model in (value,) if isinstance(value, str) else tuple(value or ()):
                yield f"step {number} ({step.kind}), {name}", model


def _allowed(model: str, prefixes: tuple[str, ...], deployment: Deployment) -> bool:
    if looks_like_address(model):
        return below(model, prefixes)
    allowed = deployment.models
    return named(model, _TABLE) is not None or model in allowed.folders


def _check_depth(value: object, most: int) -> None:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if inner and not most:
        raise RecipeError(f"{WHERE}: more than {DEEPEST} levels deep")
    for one in inner:
        _check_depth(one, most - 1)


def _check_values(data: object) -> None:
    """What JSON allows, but a record of the job, a caption or a terminal does not."""
    for place, value in leaves(data):
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{WHERE}: `{place[:100]}` is {value}; write a number that has an end")
        if isinstance(value, int) and abs(value) >= LARGEST:
            raise RecipeError(f"{WHERE}: `{place[:100]}` is larger than any number of a recipe")
        if isinstance(value, str) and (bad := _UNWRITABLE.search(value)):
            raise RecipeError(f"{WHERE}: `{place[:100]}` has the character U+{ord(bad[0]):04X}, which is no text")
