"""The models that can be asked for by name: where they come from, and how their numbers are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from imageyard.ray_jobs.models.contract import Contract

WD14_PIXELS = "wd14-white-bicubic-bgr"
"""Padded to a square with white, Pillow's bicubic, BGR 0…255: the pixels of the reference Space and of imgutils."""

GENERAL = 0.35
"""The threshold that peers start with."""
CHARACTER = 0.85
"""The characters' threshold of the reference Space and of imgutils."""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, and what it is called."""

    name: str
    """The short name; the only one that facts and manifests ever say."""
    repo: str | None = None
    """On Hugging Face; None for a model that is built here."""
    revision: str | None = None
    """Commit of `repo`; None where no commit has been verified: then what was downloaded is known by its digest."""
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every spelling that means this model."""
        basename = (self.repo.rpartition("/")[2], self.repo) if self.repo else ()
        return (self.name, *self.aliases, *basename)


@dataclass(frozen=True)
class Entry(Origin):
    """One tagger of the WD14 contract: an ONNX graph, and a selected_tags.csv with a row per output."""

    general: float = GENERAL
    """Default threshold of general tags."""
    character: float = CHARACTER
    """Default threshold of character tags."""
    rating: bool = True
    """False where the rating scores are constants, there only to keep the contract."""
    preprocess: str = WD14_PIXELS


@dataclass(frozen=True)
class Embedder(Origin):
    """One embedding model: an ONNX graph; an embedding.json beside it comes before `contract`."""

    contract: Contract | None = None
    """What the graph takes and gives; None for a model that is built here with its embedding.json."""


# The v2 repositories say "v1-4"; v3 dropped it. Thresholds are those that BooruDatasetTagManager ships: near each
# model's point of equal precision and recall (v2 0.35 to 0.38, v3 0.26, eva02 0.53).
TAGGERS: tuple[Entry, ...] = (
    Entry("vit-v2", "SmilingWolf/wd-v1-4-vit-tagger-v2", aliases=("wd14-vit-v2",)),
    Entry("convnext-v2", "SmilingWolf/wd-v1-4-convnext-tagger-v2", aliases=("wd14-convnext-v2",)),
    Entry("convnextv2-v2", "SmilingWolf/wd-v1-4-convnextv2-tagger-v2", aliases=("wd14-convnextv2-v2",)),
    Entry("swinv2-v2", "SmilingWolf/wd-v1-4-swinv2-tagger-v2", aliases=("wd14-swinv2-v2",)),
    Entry("moat-v2", "SmilingWolf/wd-v1-4-moat-tagger-v2", aliases=("wd14-moat-v2",)),
    Entry("vit-v3", "SmilingWolf/wd-vit-tagger-v3", aliases=("wd14-vit-v3",), general=0.25),
    Entry("convnext-v3", "SmilingWolf/wd-convnext-tagger-v3", aliases=("wd14-convnext-v3",), general=0.25),
    Entry("swinv2-v3", "SmilingWolf/wd-swinv2-tagger-v3", aliases=("wd14-swinv2-v3",), general=0.25),
    Entry("vit-large-v3", "SmilingWolf/wd-vit-large-tagger-v3", aliases=("wd14-vit-large-v3",), general=0.25),
    Entry("eva02-large-v3", "SmilingWolf/wd-eva02-large-tagger-v3", aliases=("wd14-eva02-large-v3",), general=0.52),
    Entry("efficientnet-lite0", rating=False),
)


# Of CLIP the image tower with its projection, in the export that fastembed takes; the vector is its first output. The
# pixels are those of OpenAI's code: shorter side to 224, bicubic, the middle square, these means and deviations.
EMBEDDERS: tuple[Embedder, ...] = (
    Embedder("efficientnet-lite0-features"),
    Embedder(
        "clip-vit-b-32",
        "Qdrant/clip-ViT-B-32-vision",
        "a7fc0cdef095d788f8c4da0a5980ab524e591a2f",
        contract=Contract(
            side=224,
            layout="NCHW",
            channels="rgb",
            mean=(0.48145466, 0.4578275, 0.40821073),
            std=(0.26862954, 0.26130258, 0.27577711),
            resize="crop",
            dimensions=512,
        ),
    ),
)

M = TypeVar("M", bound=Origin)


def named(name: str, models: Iterable[M]) -> M | None:
    """The one of `models` that `name` means, in any of its spellings; None if there is none."""
    wanted = name.strip().lower()
    return next((entry for entry in models if wanted in (said.lower() for said in entry.names)), None)


def find(name: str) -> Entry | None:
    """The tagger that `name` means."""
    return named(name, TAGGERS)
