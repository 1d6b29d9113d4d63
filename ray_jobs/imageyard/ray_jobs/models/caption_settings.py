"""How a captioner is asked: what was said about it, completed by what its family does."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imageyard.manifests.errors import RecipeError
from imageyard.ray_jobs.models.caption_prompts import instruction
from imageyard.ray_jobs.models.captioner_table import CHAT, Defaults, Family

TASKS = (
    "<CAPTION>",
    "<DETAILED_CAPTION>",
    "<MORE_DETAILED_CAPTION>",
    "<OD>",
    "<DENSE_REGION_CAPTION>",
    "<REGION_PROPOSAL>",
    "<OCR>",
    "<OCR_WITH_REGION>",
)
"""Florence-2's tasks that take no words."""
WORDED_TASKS = (
    "<CAPTION_TO_PHRASE_GROUNDING>",
    "<OPEN_VOCABULARY_DETECTION>",
    "<REGION_TO_CATEGORY>",
    "<REGION_TO_DESCRIPTION>",
    "<REGION_TO_OCR>",
)
"""Those that take the words of `prompt`."""
OUTLINE_TASKS = ("<REFERRING_EXPRESSION_SEGMENTATION>", "<REGION_TO_SEGMENTATION>")
"""Those whose answers are outlines, for which facts have no column."""
PROMPTGEN_TASKS = (
    "<GENERATE_TAGS>",
    "<ANALYZE>",
    "<MIXED_CAPTION>",
    "<MIXED_CAPTION_PLUS>",
)
"""Those of the fine-tunes called PromptGen: they reach the model as they are."""
LONG_TASKS = frozenset({"<OD>", "<DENSE_REGION_CAPTION>", "<REGION_PROPOSAL>", "<OCR>", "<OCR_WITH_REGION>"})
LONG = 1024
"""Tokens of an answer to one of LONG_TASKS: a box takes five and more."""


class Asked(BaseModel):
    """What may be said about how a captioner is asked; what is not said is its family's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    task: str | None = None
    """Florence-2's token, such as <MORE_DETAILED_CAPTION>."""
    prompt: str | None = Field(default=None, min_length=1, max_length=4000)
    """BLIP and GIT: how the caption begins. BLIP-2: a question, `Question: … Answer:`. A chat: the instruction.
    Florence-2: the words that some tasks take."""
    style: str | None = None
    """In the place of an instruction: a name of caption_prompts.STYLES."""
    length: str | int | None = None
    """With `style`: a number of words, or one of caption_prompts.LENGTHS."""
    system: str | None = Field(default=None, max_length=4000)
    """What a chat is told before; an empty one is none."""
    beams: int | None = Field(default=None, ge=1, le=16)
    min_new_tokens: int | None = Field(default=None, ge=0, le=4096)
    max_new_tokens: int | None = Field(default=None, ge=1, le=4096)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    """1 is none."""
    length_penalty: float | None = Field(default=None, ge=-10, le=10)
    """With beams: above 0 favours long captions."""
    max_pixels: int | None = Field(default=None, ge=28 * 28, le=100_000_000)
    """Of a model that takes pictures of any size: larger ones are made smaller, about to this many pixels."""


class Settings(BaseModel):
    """How a captioner is asked, whole; equal settings of one model give equal captions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    task: str | None = None
    prompt: str | None = None
    system: str | None = None
    beams: int
    min_new_tokens: int
    max_new_tokens: int
    repetition_penalty: float | None = None
    """None: as the model's generation_config.json says; so of length_penalty."""
    length_penalty: float | None = None
    max_pixels: int | None = None


def settled(model: str, family: Family, defaults: Defaults, said: Mapping[str, object]) -> Settings:
    """`said` about `model`, completed by `defaults`.

    Raises RecipeError, naming what was said and what may be: a name or a value that there is not, or one that means
    nothing to the family.
    """
    try:
        asked = Asked.model_validate(dict(said))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise RecipeError(f"captioner {model}: `{place}`: {fault['msg']} ({fault.get('input')!r})") from error
    _only_what_it_knows(model, family, asked)
    task = _task(model, family, defaults, asked)
    most = asked.max_new_tokens or (LONG if task in LONG_TASKS else defaults.max_new_tokens)
    fewest = min(defaults.min_new_tokens, most) if asked.min_new_tokens is None else asked.min_new_tokens
    if fewest > most:
        raise RecipeError(f"captioner {model}: `min_new_tokens` {fewest} is more than `max_new_tokens` {most}")
    beams = asked.beams or defaults.beams
    if asked.length_penalty is not None and beams == 1:
        raise RecipeError(f"captioner {model}: `length_penalty` needs beams; write `beams`, such as 3, or leave it out")
    return Settings(
        family=family,
        task=task,
        prompt=_prompt(model, family, defaults, asked),
        system=(defaults.system if asked.system is None else asked.system.strip()) or None,
        beams=beams,
        min_new_tokens=fewest,
        max_new_tokens=most,
        repetition_penalty=asked.repetition_penalty or defaults.repetition_penalty,
        length_penalty=asked.length_penalty,
        max_pixels=asked.max_pixels or defaults.max_pixels,
    )


def _only_what_it_knows(model: str, family: Family, asked: Asked) -> None:
    chat = family in CHAT
    known = {
        "task": family == "florence2",
        "style": chat,
        "length": chat,
        "system": chat,
        "max_pixels": family == "qwen",
    }
    for name, is_known in known.items():
        if not is_known and getattr(asked, name) is not None:
            raise RecipeError(f"captioner {model}: `{name}` means nothing to the family {family}; leave it out")


def _task(model: str, family: Family, defaults: Defaults, asked: Asked) -> str | None:
    if family != "florence2":
        return None
    task = asked.task or defaults.task
    if task in OUTLINE_TASKS:
        raise RecipeError(f"captioner {model}: `task` {task} answers with outlines, which are not kept; ask for boxes")
    if task not in (*TASKS, *WORDED_TASKS, *PROMPTGEN_TASKS):
        raise RecipeError(
            f"captioner {model}: `task` {task!r} is unknown; there are {', '.join([*TASKS, *WORDED_TASKS])}, "
            f"and for PromptGen {', '.join(PROMPTGEN_TASKS)}"
        )
    if task in WORDED_TASKS and asked.prompt is None:
        raise RecipeError(f"captioner {model}: `task` {task} needs words; write them as `prompt`")
    if task not in WORDED_TASKS and asked.prompt is not None:
        raise RecipeError(f"captioner {model}: `task` {task} takes no words; leave `prompt` out")
    return task


def _prompt(model: str, family: Family, defaults: Defaults, asked: Asked) -> str | None:
    if asked.prompt is not None:
        if asked.style is not None or asked.length is not None:
            raise RecipeError(
                f"captioner {model}: `prompt` stands for `style` and `length`; write the one or the other"
            )
        prompt = asked.prompt.strip()
        if not prompt:
            raise RecipeError(f"captioner {model}: `prompt` is empty; leave it out")
        return prompt
    if family not in CHAT:
        return None
    try:
        return instruction(asked.style or defaults.style or "descriptive", asked.length)
    except RecipeError as error:
        raise RecipeError(f"captioner {model}: {error}") from error
