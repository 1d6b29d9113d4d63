"""A picture as the bytes that a transformers model takes, and those bytes as the numbers that it computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

LONGEST = 100
"""Times as long as wide: of a longer picture the middle is taken. Models refuse 200, and a shorter side that is made
224 pixels makes a strip enormous."""


class TorchPixels:
    """A model's image processor in two halves: resize and crop to uint8; rescale and normalise on the device.

    Both together give what the processor gives, to the last digits of a float32.
    """

    def __init__(self, processor: Any, *, device: Any, max_pixels: int | None = None) -> None:
        """`processor` is one that Pillow does the work of; `max_pixels` is for one that keeps sizes."""
        import torch

        self.processor = processor
        self._size: dict[str, int] | None = None
        if max_pixels is not None:
            least = min(int(processor.size["shortest_edge"]), max_pixels)
            self._size = {"shortest_edge": least, "longest_edge": max_pixels}
        scale = float(processor.rescale_factor) if processor.do_rescale else 1.0
        mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
        shape = (1, -1, 1, 1)
        self._scale = scale
        self._mean, self._std = (
            torch.tensor(value, dtype=torch.float32, device=device).reshape(shape) for value in (mean, std)
        )

    @property
    def patches(self) -> bool:
        """Whether the model takes pictures of any size, as rows of patches."""
        return hasattr(self.processor, "merge_size")

    def prepare(self, image: Image.Image) -> np.ndarray:
        """uint8 of shape (3, height, width) of `image`, RGB. Thread safe."""
        import numpy as np

        image = _middle(image)
        if not self.patches:
            done = self.processor(image, do_rescale=False, do_normalize=False)["pixel_values"][0]
            return np.ascontiguousarray(done, dtype=np.uint8)
        from transformers.image_utils import SizeDict

        processor = self.processor
        size = SizeDict(**self._size) if self._size else processor.size
        array = np.moveaxis(np.asarray(image), -1, 0)
        factor = processor.patch_size * processor.merge_size
        done = processor.resize(array, size=size, resample=processor.resample, factor=factor)
        return np.ascontiguousarray(done, dtype=np.uint8)

    def values(self, images: Any) -> Any:
        """float32 of the shape of `images`, uint8 of shape (n, 3, height, width) on the device."""
        return (images.float() * self._scale - self._mean) / self._std

    def rows(self, values: Any) -> tuple[Any, Any]:
        """`values` as rows of patches, (n · height · width in patches, numbers of a patch), and the grid of each image.

        Patches that will be merged stand together, and one image is a film of as many frames as a patch spans.
        """
        import torch

        count, channels, height, width = values.shape
        patch, merge = self.processor.patch_size, self.processor.merge_size
        tall, wide = height // patch, width // patch
        cut = values.reshape(count, channels, tall // merge, merge, patch, wide // merge, merge, patch)
        ordered = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
        frames = ordered.expand(*ordered.shape[:6], self.processor.temporal_patch_size, patch, patch)
        grid = torch.tensor([[1, tall, wide]] * count, device=values.device)
        return frames.reshape(count * tall * wide, -1), grid


def _middle(image: Image.Image) -> Image.Image:
    """`image`, or its middle if it is more than LONGEST times as long as wide."""
    most = min(image.size) * LONGEST
    if max(image.size) <= most:
        return image
    width, height = (min(length, most) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
