"""Detect: the boxes that a model of vision and language once drew become Ground Truth bounding boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.attribute_names import made_up
from imageyard.ray_jobs.edits.base import Words
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.caption import Captioner
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.state import State, World, labelled, unmeasured
from imageyard.ray_jobs.steps.base import Step
from imageyard.ray_jobs.steps.caption import located
from imageyard.ray_jobs.tag_text import Blacklist
from imageyard.ray_jobs.tagging.classes import class_index

BOXES = "groundtruth/object-detection"
DEPTH = 3
CORNERS = 4


class Detect(Step):
    """Boxes of what stands in every picture, by Florence-2."""

    kind: ClassVar[str] = "detect"

    model: str = Field(min_length=1)
    """A name of the table of captioners, a folder, or the URL of one in a bucket."""
    task: Literal["<OD>", "<DENSE_REGION_CAPTION>", "<REGION_PROPOSAL>"] = "<OD>"
    beams: int | None = Field(default=None, ge=1, le=16)
    max_new_tokens: int | None = Field(default=None, ge=1, le=4096)
    """Unset, 1,024: a box takes five and more."""
    into: Annotated[str, AfterValidator(made_up)] = "objects"
    """The attribute."""
    only: Words = ()
    """Names or wildcards; unset, every class is kept."""

    def extractors(self, models: Path) -> tuple[Extractor, ...]:
        return (Probe(), self.detector(models))

    def detector(self, models: Path) -> Captioner:
        """The extractor. Raises ModelError, or RecipeError for a model without this task."""
        said = (("beams", self.beams), ("max_new_tokens", self.max_new_tokens), ("task", self.task))
        return located(self.model, models, tuple((name, value) for name, value in said if value is not None))

    def wants(self, state: State, world: World) -> Mapping[Extractor, Sequence[int]]:
        """All that stand."""
        return {self.detector(world.models): state.standing}

    def decide(self, state: State, world: World) -> State:
        detector = self.detector(world.models)
        facts = world.columns(detector, state.keys, ["labels", "boxes"])
        sizes = world.columns(Probe.name, state.keys, ["width", "height"])
        by: dict[str, Json] = {"model": detector.model, "extractor": detector.identity(), "scored": "no"}
        samples, rejections = list(state.samples), list(state.rejections)
        for row in state.standing:
            if facts["boxes"][row] is None and facts["error"][row] is None and world.waiting:
                continue
            rejections[row] = unmeasured(self.kind, facts["error"][row], facts["boxes"][row])
            if rejections[row] is not None:
                continue
            size = (sizes["width"][row], sizes["height"][row])
            samples[row] = self._boxed(samples[row], facts["labels"][row], facts["boxes"][row], size, world, by)
        return replace(state, samples=samples, rejections=rejections)

    def _boxed(
        self,
        sample: Sample,
        labels: Sequence[str],
        corners: Sequence[float],
        size: tuple[int, int],
        world: World,
        by: Mapping[str, Json],
    ) -> Sample:
        """`sample` with its boxes in pixels of the upright picture, inside its frame.

        The model gives no scores: the confidence is 1 and `scored` says no.
        """
        width, height = size
        wanted = Blacklist(self.only) if self.only else None
        classes: dict[int, str] = {}
        annotations: list[dict[str, Json]] = []
        for at, label in enumerate(labels):
            name = " ".join(label.split()) or "object"
            left, top, right, bottom = (
                round(min(max(value, 0.0), 1.0) * side, 2)
                for value, side in zip(
                    corners[CORNERS * at : CORNERS * (at + 1)], (width, height, width, height), strict=True
                )
            )
            if (wanted is not None and name not in wanted) or right <= left or bottom <= top:
                continue
            index = class_index(name, classes)
            classes.setdefault(index, name)
            box = {"left": left, "top": top, "width": round(right - left, 2), "height": round(bottom - top, 2)}
            annotations.append({"class_id": index, **box})
        value = {"image_size": [{"width": width, "height": height, "depth": DEPTH}], "annotations": annotations}
        said = {
            "objects": [{"confidence": 1} for _ in annotations],
            "class-map": {str(index): name for index, name in classes.items()},
        }
        return labelled(sample, self.into, value, world.stamp.metadata(BOXES, self.kind, **said, **by))
