"""Validate: thresholds over what the probe measured; each names the value and the limit it broke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.state import Rejection, State, World
from imageyard.ray_jobs.steps.base import Step

Oddity = Literal["animated", "cmyk", "16-bit"]
_COLUMNS = ("bytes", "width", "height", "frames", "mode", "bits", "sharpness", "brightness", "entropy")


class Validate(Step):
    """Reject images that training should not see. Unset thresholds check nothing."""

    kind: ClassVar[str] = "validate"

    min_side: int | None = Field(default=None, ge=1)
    """Pixels of the shorter side, after EXIF orientation."""
    max_side: int | None = Field(default=None, ge=1)
    max_aspect: float | None = Field(default=None, ge=1)
    """Longer side over shorter side."""
    max_bytes: int | None = Field(default=None, ge=1)
    min_sharpness: float | None = Field(default=None, ge=0)
    min_brightness: float | None = Field(default=None, ge=0, le=1)
    max_brightness: float | None = Field(default=None, ge=0, le=1)
    min_entropy: float | None = Field(default=None, ge=0, le=8)
    allow: tuple[Oddity, ...] = Field(default=(), strict=False)
    """Kinds that are rejected unless named: most trainers read them wrongly or not at all."""

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (Probe(),)

    def decide(self, state: State, world: World) -> State:
        columns = world.columns(Probe.name, state.keys, _COLUMNS)
        rejections = list(state.rejections)
        for row in state.standing:
            fact = {name: columns[name][row] for name in _COLUMNS}
            if fact["width"] is not None:
                rejections[row] = self._fault(fact)
        return replace(state, rejections=rejections)

    def _fault(self, fact: Mapping[str, Any]) -> Rejection | None:
        """The first check that `fact` fails."""
        short, long = sorted((fact["width"], fact["height"]))
        if "animated" not in self.allow and fact["frames"] > 1:
            return self._odd("animated", f"{fact['frames']} frames; training reads only the first")
        if "cmyk" not in self.allow and fact["mode"] == "CMYK":
            return self._odd("cmyk", "CMYK colours, which readers turn into RGB in different ways")
        if "16-bit" not in self.allow and fact["bits"] > 8:
            return self._odd("16-bit", f"{fact['bits']} bits a channel, which many readers clip to white")
        limits = (
            ("min_side", short, self.min_side, "the shorter side is {} pixels; at least {} are asked for"),
            ("max_side", long, self.max_side, "the longer side is {} pixels; at most {} are allowed"),
            ("max_aspect", round(long / short, 3), self.max_aspect, "{} times as long as wide; at most {} is allowed"),
            ("max_bytes", fact["bytes"], self.max_bytes, "{} bytes; at most {} are allowed"),
            ("min_sharpness", fact["sharpness"], self.min_sharpness, "sharpness {}; at least {} is asked for"),
            ("min_brightness", fact["brightness"], self.min_brightness, "brightness {}; at least {} is asked for"),
            ("max_brightness", fact["brightness"], self.max_brightness, "brightness {}; at most {} is allowed"),
            ("min_entropy", fact["entropy"], self.min_entropy, "entropy {} bits; at least {} are asked for"),
        )
        for check, measured, threshold, sentence in limits:
            if threshold is None:
                continue
            bad = measured < threshold if check.startswith("min") else measured > threshold
            if bad:
                said = measured if isinstance(measured, int) else round(measured, 4)
                evidence = {"measured": said, "threshold": threshold}
                return Rejection(self.kind, check, sentence.format(said, threshold), evidence)
        return None

    def _odd(self, kind: str, what: str) -> Rejection:
        return Rejection(self.kind, kind, f"{what}; write allow: [{kind}] to keep such images")
