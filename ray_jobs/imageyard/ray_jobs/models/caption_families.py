"""What families of captioners differ in: the tokens that ask, what goes in beside pixels, how answers are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models import captioner_table
from imageyard.ray_jobs.models.caption_settings import Settings
from imageyard.ray_jobs.models.snapshots import Snapshot
from imageyard.ray_jobs.models.torch_pixels import TorchPixels

if TYPE_CHECKING:
    from imageyard.ray_jobs.extractors.base import Row

WIDE = 1_000_000
"""Pixels of the side that Florence-2's places are asked for. It names one of a thousand bins on each axis and means
its middle; the library cuts that to whole pixels, which of a real picture's size would lose half a bin and more."""


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
        labels = answer.get("bboxes_labels", answer.get("labels", []))
        said = ", ".join(dict.fromkeys(label for label in labels if label))
        return {"text": said, "labels": labels, "boxes": [round(at / WIDE, 6) for box in boxes for at in box]}


class Chat(Captioning):
    """The instruction in the roles of a chat, by the template that comes with the model."""

    cpu_batch = 1

    def __init__(
        self, snapshot: Snapshot[Any], settings: Settings, model: Any, tokenizer: Any, pixels: TorchPixels
    ) -> None:
        super().__init__(snapshot, settings, model, tokenizer, pixels)
        config = model.config
        self.image_id = int(getattr(config, "image_token_id", None) or config.image_token_index)
        self._asked = self._encoded(str(tokenizer.convert_ids_to_tokens(self.image_id)))

    def tokens_of(self, height: int, width: int) -> int:
        """How many tokens stand for a picture of that size."""
        raise NotImplementedError

    def ids(self, height: int, width: int) -> list[int]:
        at = self._asked.index(self.image_id)
        return [*self._asked[:at], *[self.image_id] * self.tokens_of(height, width), *self._asked[at + 1 :]]

    def _encoded(self, image: str) -> list[int]:
        """The chat as tokens, with one for the picture."""
        text = self._text(image)
        bos = self.tokenizer.bos_token
        found = list(self.tokenizer(text, add_special_tokens=not (bos and text.startswith(bos))).input_ids)
        if found.count(self.image_id) != 1:
            raise ModelError(
                f"{self.snapshot.name}: its tokenizer has no token {image}, or the prompt says {image}; rephrase it"
            )
        return found

    def _text(self, image: str) -> str:
        """The chat as text. Templates differ in whether they take parts or strings, and who puts the picture."""
        from jinja2 import TemplateError

        template, (prompt, system) = self._template(), (self.settings.prompt or "", self.settings.system)
        parts: list[dict[str, str]] = [{"type": "image"}, {"type": "text", "text": prompt}]
        for content, told in (
            (parts, [{"type": "text", "text": system}]),
            (prompt, system),
            (f"{image}\n{prompt}", system),
        ):
            messages: list[dict[str, object]] = [{"role": "user", "content": content}]
            if system:
                messages.insert(0, {"role": "system", "content": told})
            try:
                text = self.tokenizer.apply_chat_template(
                    messages, chat_template=template, tokenize=False, add_generation_prompt=True
                )
            except (TemplateError, TypeError):
                continue
            taken_as_text = "'type': 'text'" in text
            if not taken_as_text and text.count(image) == 1 and prompt in text and (system or "") in text:
                return str(text)
        raise ModelError(
            f"{self.snapshot.name}: its chat template puts no {image} beside the instruction"
            f"{', or takes no `system`' if system else ''}; take the one that was published with the model"
        )

    def _template(self) -> str:
        """As published for pictures, which is not always the one that the tokenizer carries."""
        folder = self.snapshot.folder
        plain, wrapped = folder / "chat_template.jinja", folder / "chat_template.json"
        if plain.is_file():
            return plain.read_text(encoding="utf-8")
        if wrapped.is_file():
            return str(json.loads(wrapped.read_bytes())["chat_template"])
        if isinstance(self.tokenizer.chat_template, str):
            return self.tokenizer.chat_template
        raise ModelError(
            f"{self.snapshot.name}: there is no chat_template.jinja and no chat_template.json in {folder.absolute()}; "
            "put the one there that was published with the model"
        )


class Llava(Chat):
    """Pictures of one size, and as many tokens as the vision tower gives."""

    def __init__(
        self, snapshot: Snapshot[Any], settings: Settings, model: Any, tokenizer: Any, pixels: TorchPixels
    ) -> None:
        super().__init__(snapshot, settings, model, tokenizer, pixels)
        self._tokens: dict[tuple[int, int], int] = {}

    def tokens_of(self, height: int, width: int) -> int:
        import torch

        if (height, width) not in self._tokens:
            # Class tokens count or not, by tower and strategy: asked of the model, it cannot be wrong.
            blank = torch.zeros((1, 3, height, width), dtype=self.model.dtype, device=self.model.device)
            features = self.model.get_image_features(pixel_values=blank, return_dict=True).pooler_output
            self._tokens[height, width] = len(features[0])
        return self._tokens[height, width]


class Qwen(Chat):
    """Pictures of any size, as rows of patches; which tokens are pictures decides what the others' places are."""

    def tokens_of(self, height: int, width: int) -> int:
        processor = self.pixels.processor
        side: int = processor.patch_size * processor.merge_size
        return (height // side) * (width // side)

    def given(self, values: Any, ids: Any) -> dict[str, Any]:
        rows, grid = self.pixels.rows(values)
        return {
            "pixel_values": rows,
            "image_grid_thw": grid,
            "mm_token_type_ids": (ids == self.image_id).int(),
        }


FAMILIES: Mapping[captioner_table.Family, type[Captioning]] = {
    "blip": Blip,
    "blip2": Blip2,
    "git": Git,
    "florence2": Florence,
    "llava": Llava,
    "qwen": Qwen,
}
CLASSES: Mapping[str, str] = {
    "blip": "BlipForConditionalGeneration",
    "blip-2": "Blip2ForConditionalGeneration",
    "git": "GitForCausalLM",
    "florence2": "Florence2ForConditionalGeneration",
    "llava": "LlavaForConditionalGeneration",
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
}
"""The class of transformers, by the `model_type` of a folder."""


def without_echo(text: str, prompt: str | None) -> str:
    """`text` without `prompt` at its beginning, in whatever case."""
    if prompt and text.lower().startswith(prompt.lower()):
        text = text[len(prompt) :]
    return text.strip()
