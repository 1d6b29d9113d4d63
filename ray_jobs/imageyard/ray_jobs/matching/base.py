"""A matcher: frozen parameters of something that compares the facts of images and returns the pairs that are alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.search.certificate import Certificate

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from imageyard.ray_jobs.search.tasks import Run

Facts = Callable[[str, Sequence[str], Sequence[str]], "pa.Table"]
"""(extractor, keys, columns) to a table of facts aligned with the keys, null where there is none."""


Keys = Callable[["np.ndarray"], list[str]]
"""Rows of codes, int64, to the sha256 of the first image that has each."""


@dataclass(frozen=True)
class Related:
    """Pairs that a matcher found."""

    first: np.ndarray
    """int64 of shape (pairs,): rows of the codes, below `second`."""
    second: np.ndarray
    distance: np.ndarray
    """float64 of shape (pairs,), in the tier's own unit."""
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True)
class Look:
    """What a matcher may use besides codes."""

    facts: Facts
    run: Run | None
    """Who runs the tasks of a search; None for here, in threads."""


class Matcher(BaseModel):
    """What is compared, how, and from when on it counts; equal matchers over equal facts find equal pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: ClassVar[str]
    version: ClassVar[int]
    source: ClassVar[str]
    """Name of the extractor whose facts the codes are made of."""
    columns: ClassVar[tuple[str, ...]]
    """Those facts."""
    verified_by: ClassVar[tuple[str, ...]] = ()
    """Names of the extractors whose facts pairs are verified by."""

    def identity(self, extractors: Mapping[str, Extractor]) -> str:
        """`<tier>-<digest>`: the folder its index lives in. It covers the parameters and who measured the facts."""
        said = {
            "tier": self.tier,
            "version": self.version,
            "parameters": self.model_dump(mode="json"),
            "facts": [extractors[name].identity() for name in (self.source, *self.verified_by)],
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return f"{self.tier}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def codes(self, facts: pa.Table) -> pa.Array:
        """What is compared of each image: fixed-size binary aligned with `facts`, null where nothing can be."""
        raise NotImplementedError

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        """The pairs of `codes`, uint8 of shape (n, bytes), of which one is numbered `fresh` or more.

        The codes are all different; `keys` names the first image that has each.
        """
        raise NotImplementedError
