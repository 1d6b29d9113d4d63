"""A step: frozen parameters of one decision over samples and facts; it never sees pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.matching.base import Matcher
from imageyard.ray_jobs.state import State, World


class Step(BaseModel):
    """One entry of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ClassVar[str]
    repeats: ClassVar[bool] = False
    """Whether a recipe may have several of it."""
    shorthand: ClassVar[str] = ""
    """The parameter that may be written alone: `- trigger: sks` for `- trigger: {words: sks}`."""

    @classmethod
    def in_full(cls, parameters: object) -> object:
        """The parameters as people wrote them, with the name of the one that stands alone."""
        alone = cls.shorthand and isinstance(parameters, str | int | list)
        return {cls.shorthand: parameters} if alone else parameters

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        """What must have been measured; `models` is the folder of model files. Raises ModelError."""
        return ()

    def matchers(self) -> tuple[Matcher, ...]:
        """What must have been compared."""
        return ()

    def wants(self, state: State, world: World) -> Mapping[Extractor, Sequence[int]]:
        """Rows that its deferred extractors should have measured, now that the state is this."""
        return {}

    def claim(self, state: State, world: World) -> State:
        """The state that says what this step is sure of beforehand, for the steps that decide before it."""
        return state

    def decide(self, state: State, world: World) -> State:
        """The state after this decision; the same rows in the same order."""
        raise NotImplementedError

    def certify(self, state: State, world: World) -> Mapping[str, Json]:
        """What this step promises of the final state, checked anew; the commit records it.

        Raises JobError, naming the offender, if the promise does not hold: then nothing is committed. Equal states
        give equal certificates.
        """
        return {}
