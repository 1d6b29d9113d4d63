"""The models that can be asked for by name: where they come from, and how their numbers are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from imageyard.ray_jobs.models.contract import Contract, TaggerContract

GENERAL = 0.35
"""The threshold that peers start with."""
CHARACTER = 0.85
"""The characters' threshold of the reference Space and of imgutils."""
WD14 = TaggerContract()


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
    """One tagger: an ONNX graph, and a table with a row per output; a tagger.json beside them comes before it."""

    general: float = GENERAL
    """Default threshold of general tags."""
    character: float = CHARACTER
    """Default threshold of character tags."""
    balanced: float | None = None
    """The threshold of equal precision and recall, on the author's validation set."""
    rating: bool = True
    """False where there are no ratings, or constants that only keep the contract."""
    contract: TaggerContract = WD14
    graph: str = "model.onnx"
    """Where in `repo` the graph is."""
    labels: str = "selected_tags.csv"
    """Where in `repo` the table is."""
    sha256: tuple[str | None, str | None] = (None, None)
    """Of graph and table at `revision`, where known."""


@dataclass(frozen=True)
class Embedder(Origin):
    """One embedding model: an ONNX graph; an embedding.json beside it comes before `contract`."""

    contract: Contract | None = None
    """What the graph takes and gives; None for a model that is built here with its embedding.json."""


_V2_TAGS = "8c8750600db36233a1b274ac88bd46289e588b338218c2e4c62bbc9f2b516368"
_V3_TAGS = "298633d94d0031d2081c0893f29c82eab7f0df00b08483ba8f29d1e979441217"

# The v2 repositories say "v1-4"; v3 dropped it. Thresholds are those that BooruDatasetTagManager ships: near each
# model's point of equal precision and recall. Revisions and digests are those that public sources pin for the
# repository; a digest without a second source is left out.
TAGGERS: tuple[Entry, ...] = (
    Entry(
        "vit-v2",
        "SmilingWolf/wd-v1-4-vit-tagger-v2",
        "1f3f3e8ae769634e31e1ef696df11ec37493e4f2",
        aliases=("wd14-vit-v2",),
        balanced=0.3537,
        sha256=("8a21cadd1f88a095094cafbffe3028c3cc3d97f4d58c54344c5994bcf48e24ac", None),
    ),
    Entry(
        "convnext-v2",
        "SmilingWolf/wd-v1-4-convnext-tagger-v2",
        "4b34d1b07bdd8e95494072648960b8a6adcbc0ff",
        aliases=("wd14-convnext-v2",),
        balanced=0.3685,
        sha256=("71f06ecb7b9df81d8f271da4d43997ea2ed363cdac29aa64fcb256c9631e656a", _V2_TAGS),
    ),
    Entry(
        "convnextv2-v2",
        "SmilingWolf/wd-v1-4-convnextv2-tagger-v2",
        "bf364499ea843a403cc2770072f31f5cfb2ffa58",
        aliases=("wd14-convnextv2-v2",),
        balanced=0.3710,
        sha256=("e91daa19cd9e8725125b7d70702d1560855fb687f8d8c4218eddaa821f41834a", _V2_TAGS),
    ),
    Entry(
        "swinv2-v2",
        "SmilingWolf/wd-v1-4-swinv2-tagger-v2",
        "cdb0c7fdc70646f0af29c6f80f8df564344a69b6",
        aliases=("wd14-swinv2-v2",),
        balanced=0.3771,
        sha256=("04ec04fdf7db74b4fed7f4b52f52e04dec4dbad9e4d88d2d178f334079a29fde", _V2_TAGS),
    ),
    Entry(
        "moat-v2",
        "SmilingWolf/wd-v1-4-moat-tagger-v2",
        "8452cddf280b952281b6e102411c50e981cb2908",
        aliases=("wd14-moat-v2",),
        balanced=0.3771,
        sha256=("b8cef913be4c9e8d93f9f903e74271416502ce0b4b04df0ff1e2f00df488aa03", _V2_TAGS),
    ),
    Entry(
        "vit-v3",
        "SmilingWolf/wd-vit-tagger-v3",
        "7f6b584d0bd3f55c4531f14ba3d4761b2bccdc0f",
        aliases=("wd14-vit-v3",),
        general=0.25,
        balanced=0.2614,
        sha256=("35f23693620b668f4d53fd3c62bf65e40af739bc52c7eb0fbc49258b58d065b6", _V3_TAGS),
    ),
    Entry(
        "convnext-v3",
        "SmilingWolf/wd-convnext-tagger-v3",
        "d39e46de298d27340111b64965e20b8185c407e6",
        aliases=("wd14-convnext-v3",),
        general=0.25,
        balanced=0.2682,
        sha256=("1b8a7abf13d9b8368267df47501d523789c4aeae66b2296ad98483239dfa32eb", _V3_TAGS),
    ),
    Entry(
        "swinv2-v3",
        "SmilingWolf/wd-swinv2-tagger-v3",
        "627aef95638667ddcaa3ac8ae625e88ea5b02f51",
        aliases=("wd14-swinv2-v3",),
        general=0.25,
        balanced=0.2653,
        sha256=("e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1", _V3_TAGS),
    ),
    Entry(
        "vit-large-v3",
        "SmilingWolf/wd-vit-large-tagger-v3",
        "ae469aa2e4706a3af08d3673cf73a11d1add314c",
        aliases=("wd14-vit-large-v3",),
        general=0.25,
        balanced=0.2606,
        sha256=("e4c8001b000a6c98f2db10794f7c406daa79873d071d6ca924330fa053fa1845", _V3_TAGS),
    ),
    Entry(
        "eva02-large-v3",
        "SmilingWolf/wd-eva02-large-tagger-v3",
        "b25b82a03f7282e41aa2f257a52c7583b710bd1c",
        aliases=("wd14-eva02-large-v3",),
        general=0.52,
        balanced=0.5296,
        sha256=("9e768793060c7939b277ccb382783e8670e8a042d29d77aa736be0c8cc898bfc", _V3_TAGS),
    ),
    # As kohya's script feeds it: padded and BGR like the WD14 models, from -1 to 1; the sigmoid is left to us.
    Entry(
        "cl-tagger",
        "cella110n/cl_tagger",
        "0b6e9b4e145b1423bfd1715119074a24a301b471",
        aliases=("cl_tagger_1_02", "cl-tagger-v1.02"),
        contract=TaggerContract(
            side=448, layout="NCHW", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), logits=True, labels="tag_mapping"
        ),
        graph="cl_tagger_1_02/model.onnx",
        labels="cl_tagger_1_02/tag_mapping.json",
        sha256=(
            "1459e946ffc083159015e0eb26239016349ddd36c3daecfeb70bfa4ccf38b944",
            "9611988482f1bf9a174622c0067d0baa88fda69c0a855cc500411426e77832ec",
        ),
    ),
    # As imgutils feeds it: squashed, Pillow's bilinear, RGB from 0 to 1. It knows general tags alone.
    Entry(
        "ml-danbooru",
        "deepghs/ml-danbooru-onnx",
        "eb9058324a741f1b90d4db168f6e1d6b6cb7e63d",
        aliases=("mld-caformer",),
        general=0.7,
        rating=False,
        contract=TaggerContract(
            side=448,
            layout="NCHW",
            channels="rgb",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            resize="squash",
            resample="bilinear",
            logits=True,
            labels="names",
        ),
        graph="ml_caformer_m36_dec-5-97527.onnx",
        labels="classes.json",
        sha256=("4ea7aa66df59632c71e036cd9eda9c89e0eaf58bcd39bf9718e63583378cba75", None),
    ),
    # Its other outputs are an embedding and the logits. It has no ratings; thresholds are its export's own.
    Entry(
        "pixai-v0.9",
        "deepghs/pixai-tagger-v0.9-onnx",
        "d8cf666911a2c3d10d586d7823259192313c7eb7",
        aliases=("pixai-tagger-v0.9",),
        general=0.3,
        rating=False,
        contract=TaggerContract(
            side=448,
            layout="NCHW",
            channels="rgb",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            resize="squash",
            resample="bilinear",
            output="prediction",
        ),
        sha256=(
            "a8d479098b5e23f253543c93df42391736abbb77c21c2efd3a513b9cda7b3657",
            "76b5dd39354a7a4d9baefb94d63b44a09a4934ee15303b7eb86c38f2128eb68a",
        ),
    ),
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


def published(asked: str, models: Iterable[Origin]) -> dict[str, str]:
    """Where the one of `models` that was `asked` for, maybe as `name@revision`, is published; {} if it is none."""
    name, _, revision = asked.partition("@")
    entry = named(name, models)
    if entry is None or entry.repo is None:
        return {}
    return {"repo": entry.repo, "revision": revision or entry.revision or "main"}


def find(name: str) -> Entry | None:
    """The tagger that `name` means."""
    return named(name, TAGGERS)
