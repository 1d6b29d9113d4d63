"""A captioning model in torch: pixels in, the model's own words out, the same for a picture in any company."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.models import torch_loading
from imageyard.ray_jobs.models.caption_families import CLASSES, FAMILIES, Captioning
from imageyard.ray_jobs.models.caption_settings import Settings
from imageyard.ray_jobs.models.captioner_table import FAMILY_DEFAULTS, CaptionerEntry
from imageyard.ray_jobs.models.halving import Halving
from imageyard.ray_jobs.models.snapshots import Snapshot
from imageyard.ray_jobs.models.torch_pixels import TorchPixels

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.extractors.base import Row

GREY = (128, 128, 128)
AHEAD = 4
"""Of a model that takes any size on a GPU: so many runs' images are given at once, of which those of one size meet."""
UNOBEYED = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "max_length",
    "min_length",
    "forced_eos_token_id",  # else a caption that was cut off would seem to end
    "max_time",
    "stop_strings",
)
"""Of a published generation_config.json: what is for sampling, or says in another way how long an answer is."""


class TorchCaptioner:
    """A loaded captioner; `run` may be called from several threads, one of which works at a time.

    Runs always have as many images as the first of them had, or fewer after one did not fit into memory: a short one
    is filled up with copies of its last image. Images of different sizes never share a run, and none is padded. So a
    caption depends on the picture and the machine, and on nothing else.
    """

    batch: int
    """Images to be given at a time."""
    family: Captioning
    """The model itself, and how it is asked."""

    def __init__(
        self,
        snapshot: Snapshot[CaptionerEntry],
        settings: Settings,
        *,
        threads: int = 1,
        gpu: bool = False,
        batch: int | None = None,
    ) -> None:
        """Load `snapshot` on `threads` CPU threads or the GPU; `batch` is how many images a run has at most.

        Raises ModelError: a file is missing or broken, the weights are of another architecture, no GPU, a model that
        gives no numbers for a plain grey picture.
        """
        self._settings = settings
        self._name = snapshot.name
        self._lock = threading.Lock()
        self._device = torch_loading.device_for(snapshot.name, threads=threads, gpu=gpu)
        processor = torch_loading.image_processor(snapshot)
        with torch_loading.reading(snapshot):
            pixels = TorchPixels(processor, device=self._device, max_pixels=settings.max_pixels)
        tokenizer = torch_loading.tokenizer(snapshot)
        model = torch_loading.weights(snapshot, CLASSES[snapshot.model_type], self._device)
        with torch_loading.reading(snapshot):
            self.family = FAMILIES[settings.family](snapshot, settings, model, tokenizer, pixels)
        own = snapshot.entry.defaults if snapshot.entry else None
        at_once = batch or (
            (own or FAMILY_DEFAULTS[settings.family]).gpu_batch if gpu else FAMILIES[settings.family].cpu_batch
        )
        self._halving = Halving(at_once, what=snapshot.name, release=torch_loading.emptied if gpu else lambda: None)
        self.batch = at_once * (AHEAD if gpu and pixels.patches else 1)
        self._config = self._generation(settings.beams, settings.min_new_tokens, settings.max_new_tokens)
        with torch_loading.reading(snapshot):
            self._rehearse()

    def prepare(self, image: Decoded) -> np.ndarray:
        """uint8 of shape (3, height, width), RGB: resized and cropped as the model's image processor does.

        The height and width are the same for every image, but for models that take any size.
        """
        return self.family.pixels.prepare(image.rgb)

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        """One row an image of `images`, each as `prepare` gives it, of any number and of sizes that may differ.

        `text`: the answer, without special tokens, without the prompt, stripped. `finished`: whether the model ended
        it, or the number of tokens did. `labels` and `boxes`: of tasks about places, a label a box, and for each four
        (or, of OCR with regions, eight) numbers, x before y, as fractions of the picture's width and height; `text`
        is then the different labels.
        """
        places: dict[tuple[int, ...], list[int]] = {}
        for at, image in enumerate(images):
            places.setdefault(image.shape, []).append(at)
        rows: dict[int, Row] = {}
        with self._lock:
            for alike in places.values():
                rows.update(zip(alike, self._of_one_size([images[at] for at in alike]), strict=True))
        return [rows[at] for at in range(len(images))]

    def _of_one_size(self, images: Sequence[np.ndarray]) -> list[Row]:
        parts = self._halving.run(len(images), lambda part, size: self._answers(images[part], size))
        return [row for part in parts for row in part]

    def _answers(self, images: Sequence[np.ndarray], size: int) -> list[Row]:
        """Rows of `images`, of one shape and at most `size`, from one run of `size`."""
        filled = [*images, *[images[-1]] * (size - len(images))]
        ids, found = self._generated(filled, self._config)
        start = self.family.skipped(ids)
        return [self._row(sequence[start:]) for sequence in found.tolist()[: len(images)]]

    def _row(self, answer: Sequence[int]) -> Row:
        ends = set(self.family.ends)
        until = next((at for at, token in enumerate(answer) if token in ends), None)
        return self.family.row(answer[:until]) | {"finished": until is not None}

    def _generated(self, images: Sequence[np.ndarray], config: Any, **options: Any) -> tuple[list[int], Any]:
        """The tokens that asked, and what `generate` returns for `images`, of one shape."""
        import numpy as np
        import torch

        family = self.family
        with torch.inference_mode():
            stacked = torch.from_numpy(np.stack(images)).to(self._device)
            ids = family.ids(*stacked.shape[2:])
            asked = torch.tensor([ids] * len(images), device=self._device)
            values = family.pixels.values(stacked).to(family.model.dtype)
            given = family.given(values, asked)
            family.generator.generation_config = config
            found = family.model.generate(**given, input_ids=asked, attention_mask=torch.ones_like(asked), **options)
        return ids, found

    def _generation(self, beams: int, fewest: int, most: int) -> Any:
        """The published settings, with all that decides how words are chosen said anew: greedy, or by beams."""
        config = copy.deepcopy(self.family.generator.generation_config)
        for name in UNOBEYED:
            setattr(config, name, None)
        ends = self.family.ends
        config.do_sample = False
        config.num_return_sequences = 1
        config.num_beams = beams
        config.min_new_tokens = fewest
        config.max_new_tokens = most
        config.eos_token_id = ends
        config.pad_token_id = ends[0] if config.pad_token_id is None else config.pad_token_id
        config.use_cache = True
        if self._settings.repetition_penalty is not None:
            config.repetition_penalty = self._settings.repetition_penalty
        if self._settings.length_penalty is not None:
            config.length_penalty = self._settings.length_penalty
        return config

    def _rehearse(self) -> None:
        """Raises ModelError unless a plain grey picture gets two tokens from numbers, and an answer that is read."""
        import torch
        from PIL import Image

        torch.manual_seed(0)  # nothing draws from it
        grey = self.family.pixels.prepare(Image.new("RGB", (64, 64), GREY))
        short = self._generation(1, 0, 2)
        ids, found = self._generated([grey], short, return_dict_in_generate=True, output_logits=True)
        if not all(bool(torch.isfinite(logits).all()) for logits in found.logits):
            raise ModelError(
                f"{self._name}: gives what is no number for a plain grey picture; its weights are broken, "
                "or were converted wrongly: fetch them again"
            )
        self._row(found.sequences[0].tolist()[self.family.skipped(ids) :])
