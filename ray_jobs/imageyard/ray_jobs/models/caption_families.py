"""What families of captioners differ in: the tokens that ask, what goes in beside pixels, how answers are read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.caption_settings import Settings
from imageyard.ray_jobs.models.snapshots import Snapshot
from imageyard.ray_jobs.models.torch_pixels import TorchPixels

if TYPE_CHECKING:
    from imageyard.ray_jobs.extractors.base import Row

WIDE = 1_000_000
"""Pixels of the side that Florence-2's places are asked for. It names one of a thousand bins on each axis and means
its middle; the library cuts that to whole pixels, which of a real picture's size would lose half a bin and more."""
_STRAY = re.compile(r"^(?:<?loc_\d+>)+")
"""What the library takes for the beginning of a label: tokens of places of which there were too many before it."""


class Captioning:
    """One family, with its model loaded."""

    cpu_batch: ClassVar[int] = 2
    """Images a run on a CPU."""

    def __init__(
        self, snapshot: Snapshot[Any], settings: Settings, model: Any, tokenizer: Any, pixels: TorchPixels
    ) -> None:
        self.snapshot, self.settings = snapshot, settings
        self.model, self.tokenizer, self.pixels = model, tokenizer, pixels

    @property
    def generator(self) -> Any:
        """The part of the model whose generation settings are obeyed."""
        return self.model

    @property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        for config in (self.generator.generation_config, self.model.config.get_text_config(decoder=True)):
            said = getattr(config, "eos_token_id", None)
            if said is not None:
                return [said] if isinstance(said, int) else list(said)
        raise ModelError(f"{self.snapshot.folder}: says no eos_token_id, so that no caption would end; complete it")

    def ids(self, height: int, width: int) -> list[int]:
        """The tokens that ask about a picture of that size, those that stand for it among them."""
        raise NotImplementedError

    def given(self, values: Any, ids: Any) -> dict[str, Any]:
        """What `generate` gets for normalised pictures, (n, 3, height, width), and their tokens, (n, tokens)."""
        return {"pixel_values": values}

    def skipped(self, ids: Sequence[int]) -> int:
        """How many tokens of what `generate` returns stand before the answer."""
        return 1 if self.generator.config.is_encoder_decoder else len(ids)

    def row(self, tokens: Sequence[int]) -> Row:
        """The facts of an answer, whose end token is gone."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return {"text": text.strip(), "labels": [], "boxes": []}


class Blip(Captioning):
    """The prompt is the caption's beginning, which `generate` expects as a whole text and takes the end off."""

    @property
    def generator(self) -> Any:
        return self.model.text_decoder

    @property
    def ends(self) -> list[int]:
        return [int(self.model.config.text_config.sep_token_id)]

    def ids(self, height: int, width: int) -> list[int]:
        return list(self.tokenizer(self.settings.prompt or "").input_ids)

    def skipped(self, ids: Sequence[int]) -> int:
        return len(ids) - 1

    def row(self, tokens: Sequence[int]) -> Row:
        found = super().row(tokens)
        return found | {"text": without_echo(str(found["text"]), self.settings.prompt)}


class Blip2(Captioning):
    """Query tokens first, then the prompt as the language model begins a text."""

    @property
    def generator(self) -> Any:
        return self.model.language_model

    @property
    def ends(self) -> list[int]:
        said = self.model.config.text_config.eos_token_id
        return [said] if isinstance(said, int) else list(said)

    def ids(self, height: int, width: int) -> list[int]:
        config = self.model.config
        if config.image_token_id is None:
            raise ModelError(
                f"{self.snapshot.folder / 'config.json'}: says no image_token_index; take a newer revision of the model"
            )
        return [config.image_token_id] * config.num_query_tokens + list(
            self.tokenizer(self.settings.prompt or "").input_ids
        )


class Git(Captioning):
    """The prompt is the caption's beginning, after the token that begins every text."""

    def ids(self, height: int, width: int) -> list[int]:
        words = self.tokenizer(self.settings.prompt or "", add_special_tokens=False).input_ids
        return [int(self.model.config.bos_token_id), *words]

    def row(self, tokens: Sequence[int]) -> Row:
        found = super().row(tokens)
        return found | {"text": without_echo(str(found["text"]), self.settings.prompt)}


class Florence(Captioning):
    """A task is an English question; answers about places are read by the processor of the library."""

    def __init__(
        self, snapshot: Snapshot[Any], settings: Settings, model: Any, tokenizer: Any, pixels: TorchPixels
    ) -> None:
        super().__init__(snapshot, settings, model, tokenizer, pixels)
        from transformers import Florence2Processor

        path = snapshot.folder / "processor_config.json"
        said = json.loads(path.read_bytes()) if path.is_file() else {}
        self.processor: Any = Florence2Processor(
            pixels.processor,
            tokenizer,
            num_additional_image_tokens=said.get("num_additional_image_tokens", 0),
            post_processor_config=said.get("post_processor_config"),
        )

    def ids(self, height: int, width: int) -> list[int]:
        text = self.processor._construct_prompts([f"{self.settings.task}{self.settings.prompt or ''}"])[0]
        words = f"{self.tokenizer.bos_token}{text}{self.tokenizer.eos_token}"
        picture = [int(self.model.config.image_token_id)] * self.processor.num_image_tokens
        return picture + list(self.tokenizer(words, add_special_tokens=False).input_ids)

    def row(self, tokens: Sequence[int]) -> Row:
        text = self.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return self.read(text)

    def read(self, text: str) -> Row:
        """The facts of an answer as it was decoded, with tokens of places and special tokens."""
        for token in (self.tokenizer.pad_token, self.tokenizer.bos_token, self.tokenizer.eos_token):
            text = text.replace(token, "")
        task = self.settings.task
        answer = self.processor.post_process_generation(text=text, task=task, image_size=(WIDE, WIDE))[task]
        if isinstance(answer, str):
            return {"text": answer.strip(), "labels": [], "boxes": []}
        boxes = answer.get("quad_boxes", answer.get("bboxes", []))
        labels = [_STRAY.sub("", label) for label in answer.get("bboxes_labels", answer.get("labels", []))]
        said = ", ".join(dict.fromkeys(label for label in labels if label))
        return {"text": said, "labels": labels, "boxes": [round(at / WIDE, 6) for box in boxes for at in box]}


def without_echo(text: str, prompt: str | None) -> str:
    """`text` without `prompt` at its beginning, in whatever case, nor the mark of a word that goes on from there."""
    if prompt and text.lower().startswith(prompt.lower()):
        text = text[len(prompt) :]
    return text.strip().removeprefix("##")
