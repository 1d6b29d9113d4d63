"""An image tower in torch: pixels in, one vector of length 1 a picture out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.models import torch_loading
from imageyard.ray_jobs.models.directions import direction
from imageyard.ray_jobs.models.halving import Halving
from imageyard.ray_jobs.models.snapshots import Snapshot
from imageyard.ray_jobs.models.torch_pixels import TorchPixels
from imageyard.ray_jobs.models.towers import TOWERS, TowerContract, TowerEntry

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.extractors.base import Row

CPU_BATCH, GPU_BATCH = 2, 64
"""Images a run; halved on a GPU where they do not fit. Not measured."""
GREY = (128, 128, 128)


class TorchEmbedder:
    """A loaded image tower; `run` may be called from several threads, one of which works at a time.

    Runs always have the same number of images, a short one is filled up with copies of its last image: so on one
    machine a vector depends on nothing but the picture.
    """

    batch: int
    """Images to be given at a time."""

    def __init__(
        self,
        snapshot: Snapshot[TowerEntry],
        contract: TowerContract,
        *,
        threads: int = 1,
        gpu: bool = False,
        batch: int | None = None,
    ) -> None:
        """Load `snapshot` on `threads` CPU threads or the GPU.

        Raises ModelError: a file is missing or broken, the weights are of another architecture, no GPU, vectors that
        are not as `contract` says.
        """
        self._name = snapshot.name
        self._lock = threading.Lock()
        self._device = torch_loading.device_for(snapshot.name, threads=threads, gpu=gpu)
        processor = torch_loading.image_processor(snapshot)
        with torch_loading.reading(snapshot):
            self._pixels = TorchPixels(processor, device=self._device)
        tower = TOWERS[contract.tower]
        self._take = tower.take
        self._model = torch_loading.weights(snapshot, tower.class_name, self._device, **tower.options)
        self.batch = batch or (GPU_BATCH if gpu else CPU_BATCH)
        release = torch_loading.emptied if gpu else lambda: None
        self._halving = Halving(self.batch, what=snapshot.name, release=release)
        with torch_loading.reading(snapshot):
            self._rehearse(snapshot, contract)

    def prepare(self, image: Decoded) -> np.ndarray:
        """uint8 of shape (3, height, width), the same for every image: resized and cropped as the model's own
        image processor does."""
        return self._pixels.prepare(image.rgb)

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        """One row an image of `images`, each as `prepare` gives it.

        `vector` is bytes: float16, little-endian, as many as the contract's dimensions, of length 1 as near as
        float16 comes (0.001). A picture that the model gives no direction for has `error` instead.
        """
        return [direction(self._name, vector) for vector in self.vectors(images)]

    def vectors(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The model's own vectors of `images`: float32 of shape (n, dimensions), of any length."""
        import numpy as np

        with self._lock:
            parts = self._halving.run(len(images), lambda part, size: self._of(images[part], size))
        return np.concatenate(parts)

    def _of(self, images: Sequence[np.ndarray], size: int) -> np.ndarray:
        import numpy as np
        import torch

        filled = np.stack([*images, *[images[-1]] * (size - len(images))])
        with torch.inference_mode():
            values = self._pixels.values(torch.from_numpy(filled).to(self._device)).to(self._model.dtype)
            output = self._model(pixel_values=values, return_dict=True)
            taken = output.last_hidden_state[:, 0] if self._take == "class_token" else getattr(output, self._take)
            found: np.ndarray = taken[: len(images)].float().cpu().numpy()
        return found

    def _rehearse(self, snapshot: Snapshot[TowerEntry], contract: TowerContract) -> None:
        """Raises ModelError unless a plain grey picture gets a vector as agreed."""
        from PIL import Image

        vectors = self.vectors([self._pixels.prepare(Image.new("RGB", (64, 64), GREY))])
        if vectors.shape[1] != contract.dimensions:
            raise ModelError(
                f"{snapshot.folder}: gives {vectors.shape[1]} numbers a picture, where config.json says "
                f"{contract.dimensions}; take the config.json that was published with the weights"
            )
