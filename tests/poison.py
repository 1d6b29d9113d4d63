"""An extractor that kills its worker on one kind of picture, as a broken decoder does; workers import this module."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.extractors.base import Extractor, PixelExtractor, Row
from imageyard.ray_jobs.state import State, World
from imageyard.ray_jobs.steps.base import Step

if TYPE_CHECKING:
    import pyarrow as pa

SIZE = (77, 77)
"""The pictures that kill."""


class Poison(PixelExtractor):
    name: ClassVar[str] = "poison"
    version: ClassVar[int] = 1

    raises: bool = False
    """Whether it raises instead."""

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        import pyarrow as pa

        return [pa.field("seen", pa.bool_())]

    def measure(self, image: Decoded) -> Row:
        if image.rgb.size == SIZE:
            if self.raises:
                raise ZeroDivisionError("an unlucky picture")
            ctypes.string_at(0)  # a real fault, in the thread that decodes
        return {"seen": True}


class Look(Step):
    """Wants the poison measured."""

    kind: ClassVar[str] = "look"

    raises: bool = False

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (Poison(raises=self.raises),)

    def decide(self, state: State, world: World) -> State:
        return state


class Fault(PixelExtractor):
    name: ClassVar[str] = "fault"
    version: ClassVar[int] = 1

    fault: str

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        return Poison.columns()

    def measure(self, image: Decoded) -> Row:
        raise MemoryError("no more") if self.fault == "memory" else KeyError("a slip of ours")


class Flaky(Step):
    """Wants what cannot be measured today, of any picture."""

    kind: ClassVar[str] = "flaky"

    fault: str

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (Fault(fault=self.fault),)

    def decide(self, state: State, world: World) -> State:
        return state
