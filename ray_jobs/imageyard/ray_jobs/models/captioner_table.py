"""The captioning models that can be asked for by name: where they come from, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from imageyard.ray_jobs.models.table import Origin

Family = Literal["blip", "blip2", "git", "florence2", "llava", "qwen"]

FAMILY_OF: Mapping[str, Family] = {
    "blip": "blip",
    "blip-2": "blip2",
    "git": "git",
    "florence2": "florence2",
    "llava": "llava",
    "qwen2_vl": "qwen",
    "qwen2_5_vl": "qwen",
    "qwen3_vl": "qwen",
}
"""The family of a folder, by the `model_type` of its config.json."""

CHAT: frozenset[Family] = frozenset({"llava", "qwen"})
"""Families that follow an instruction, in the roles of a chat."""


@dataclass(frozen=True)
class Defaults:
    """How a family, or one model of it, is asked where nothing is said."""

    beams: int = 1
    min_new_tokens: int = 0
    max_new_tokens: int = 512
    repetition_penalty: float | None = None
    """None: as the model's generation_config.json says."""
    task: str | None = None
    style: str | None = None
    system: str | None = None
    max_pixels: int | None = None
    gpu_batch: int = 8
    """Images a run on a GPU; halved where they do not fit. Not measured."""


# BLIP: beams and lengths of the original code and of kohya's script, whose 75 tokens end few captions too early.
# GIT: kohya's. Florence-2: the settings its authors publish. Chats answer greedily, for the same words every time.
FAMILY_DEFAULTS: Mapping[Family, Defaults] = {
    "blip": Defaults(beams=3, min_new_tokens=5, max_new_tokens=75, repetition_penalty=1.1, gpu_batch=32),
    "blip2": Defaults(beams=3, min_new_tokens=5, max_new_tokens=75, gpu_batch=16),
    "git": Defaults(max_new_tokens=50, gpu_batch=32),
    "florence2": Defaults(beams=3, max_new_tokens=256, task="<MORE_DETAILED_CAPTION>", gpu_batch=16),
    "llava": Defaults(style="descriptive"),
    # 1,280 tokens a picture: a square of about 1,000 pixels.
    "qwen": Defaults(style="descriptive", max_pixels=1280 * 28 * 28),
}


@dataclass(frozen=True)
class CaptionerEntry(Origin):
    """One captioning model of a family that transformers has classes for."""

    family: Family = field(kw_only=True)
    defaults: Defaults | None = None
    """Where they are not those of the family."""


def _florence(name: str, repo: str, revision: str) -> CaptionerEntry:
    # The repositories of Microsoft carry code of their own and weights under other names; these are the conversions.
    aliases = (f"microsoft/{repo}",)
    return CaptionerEntry(name, f"florence-community/{repo}", revision, aliases=aliases, family="florence2")


# Revisions are those that several public sources pin for the repository; where none do, there is none.
CAPTIONERS: tuple[CaptionerEntry, ...] = (
    CaptionerEntry(
        "blip-base",
        "Salesforce/blip-image-captioning-base",
        "82a37760796d32b1411fe092ab5d4e227313294b",
        aliases=("blip",),
        family="blip",
    ),
    CaptionerEntry(
        "blip-large",
        "Salesforce/blip-image-captioning-large",
        "353689b859fcf0523410b1806dace5fb46ecdf41",
        family="blip",
    ),
    CaptionerEntry("blip2", "Salesforce/blip2-opt-2.7b", "59a1ef6c1e5117b3f65523d1c6066825bcf315e3", family="blip2"),
    CaptionerEntry("blip2-coco", "Salesforce/blip2-opt-2.7b-coco", family="blip2"),
    CaptionerEntry("blip2-6.7b", "Salesforce/blip2-opt-6.7b", family="blip2"),
    CaptionerEntry("blip2-6.7b-coco", "Salesforce/blip2-opt-6.7b-coco", family="blip2"),
    CaptionerEntry(
        "blip2-flan-xl", "Salesforce/blip2-flan-t5-xl", "0eb0d3b46c14c1f8c7680bca2693baafdb90bb28", family="blip2"
    ),
    CaptionerEntry("blip2-flan-xl-coco", "Salesforce/blip2-flan-t5-xl-coco", family="blip2"),
    CaptionerEntry("git-base", "microsoft/git-base-coco", family="git"),
    CaptionerEntry("git-large", "microsoft/git-large-coco", family="git"),
    CaptionerEntry("git-large-textcaps", "microsoft/git-large-textcaps", aliases=("git",), family="git"),
    _florence("florence-2-base", "Florence-2-base", "00921df66db728a9ceb750f5eca43e5c203a2051"),
    _florence("florence-2-base-ft", "Florence-2-base-ft", "0b03b6f15a4a211370fb204aee4e7dd48887ea37"),
    _florence("florence-2-large", "Florence-2-large", "4271c66b88cdbc05735372ec13b2360108de5317"),
    _florence("florence-2-large-ft", "Florence-2-large-ft", "26b734a54fdfbf9c398351eedfabb7f27fc470b7"),
    CaptionerEntry(
        "qwen2.5-vl-3b", "Qwen/Qwen2.5-VL-3B-Instruct", "66285546d2b821cf421d4f5eb2576359d3770cd3", family="qwen"
    ),
    CaptionerEntry(
        "qwen2.5-vl-7b", "Qwen/Qwen2.5-VL-7B-Instruct", "cc594898137f460bfe9f0759e9844b3ce807cfb5", family="qwen"
    ),
    CaptionerEntry(
        "qwen3-vl-2b", "Qwen/Qwen3-VL-2B-Instruct", "89644892e4d85e24eaac8bacfd4f463576704203", family="qwen"
    ),
    CaptionerEntry(
        "qwen3-vl-4b", "Qwen/Qwen3-VL-4B-Instruct", "ebb281ec70b05090aa6165b016eac8ec08e71b17", family="qwen"
    ),
    CaptionerEntry(
        "qwen3-vl-8b", "Qwen/Qwen3-VL-8B-Instruct", "0c351dd01ed87e9c1b53cbc748cba10e6187ff3b", family="qwen"
    ),
    CaptionerEntry(
        "joycaption-beta",
        "fancyfeast/llama-joycaption-beta-one-hf-llava",
        aliases=("joycaption", "joycaption-beta-one"),
        family="llava",
        defaults=Defaults(style="descriptive", system="You are a helpful image captioner."),
    ),
    CaptionerEntry(
        "llava-1.5-7b", "llava-hf/llava-1.5-7b-hf", "b234b804b114d9e37bb655e11cbbb5f5e971b7a9", family="llava"
    ),
)
