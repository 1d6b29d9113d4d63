"""Captioners that follow an instruction in the roles of a chat: LLaVA and Qwen-VL."""

from __future__ import annotations

import json
from typing import Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.caption_families import Captioning
from imageyard.ray_jobs.models.caption_settings import Settings
from imageyard.ray_jobs.models.snapshots import Snapshot
from imageyard.ray_jobs.models.torch_pixels import TorchPixels


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
