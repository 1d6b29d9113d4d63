"""A transformers model from its folder into torch: by the library's own classes, whole, or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.halving import out_of_memory
from imageyard.ray_jobs.models.snapshots import Snapshot

INSTALL = "run pip install 'imageyard[caption]'"


def device_for(name: str, *, threads: int, gpu: bool) -> Any:
    """The torch device, with `threads` threads for the whole process. Raises ModelError if there is no GPU."""
    try:
        import torch
    except ImportError as error:
        raise ModelError(f"{name}: {error.name} is not installed; {INSTALL}") from error
    torch.set_num_threads(threads)
    if not gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = torch.version.cuda
        reason = f"torch is built for CUDA {built} and finds no device" if built else "torch is built without CUDA"
        raise ModelError(
            f"{name}: a GPU was asked for, and {reason}; check nvidia-smi, or install a torch with CUDA, "
            "or run without a GPU"
        )
    return torch.device("cuda")


def weights(snapshot: Snapshot[Any], class_name: str, device: Any, **options: Any) -> Any:
    """The model of `snapshot` as transformers' `class_name`: float32 on a CPU, bfloat16 on a GPU, for inference.

    Raises ModelError: transformers is missing, a file is broken or short, weights are not those of the class.
    """
    import torch

    with reading(snapshot):
        import transformers

        _quiet()
        kind = getattr(transformers, class_name)
        model, about = kind.from_pretrained(
            snapshot.folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=snapshot.safe,
            weights_only=True,
            dtype=torch.float32 if device.type == "cpu" else torch.bfloat16,
            output_loading_info=True,
            **options,
        )
    missing = sorted(about["missing_keys"])
    if missing:
        raise ModelError(
            f"{snapshot.folder / snapshot.weights[0]}: lacks {len(missing)} of the weights of {class_name}, "
            f"{missing[0]} among them; it is of another architecture than {snapshot.folder.name}/config.json says, or "
            f"of another release{_advice(snapshot)}"
        )
    with reading(snapshot):
        return model.to(device).eval()


def tokenizer(snapshot: Snapshot[Any]) -> Any:
    """Its tokenizer. Raises ModelError."""
    with reading(snapshot):
        from transformers import AutoTokenizer

        _quiet()
        return AutoTokenizer.from_pretrained(snapshot.folder, local_files_only=True, trust_remote_code=False)


def image_processor(snapshot: Snapshot[Any]) -> Any:
    """Its image processor, always the one that Pillow does the work of: so CPU and GPU machines agree.

    Raises ModelError.
    """
    with reading(snapshot):
        from transformers import AutoImageProcessor, ViTImageProcessorPil
        from transformers.image_processing_backends import PilBackend

        _quiet()
        if snapshot.model_type == "dinov3_vit":  # whose own needs torchvision; it squashes and normalises as ViT's does
            kind: Any = ViTImageProcessorPil
            return kind.from_pretrained(snapshot.folder, local_files_only=True)
        found = AutoImageProcessor.from_pretrained(
            snapshot.folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
        if not isinstance(found, PilBackend):
            raise ModelError(
                f"{snapshot.name}: its pictures are made by {type(found).__name__}, of which there is no Pillow variant"
            )
    return found


def emptied() -> None:
    """Give back what torch keeps of the GPU's memory for later."""
    import torch

    torch.cuda.empty_cache()


@contextmanager
def reading(snapshot: Snapshot[Any]) -> Iterator[None]:
    """What goes wrong with the files of `snapshot` is a ModelError that names them."""
    from safetensors import SafetensorError

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            raise ModelError(
                f"{snapshot.name}: does not fit into memory ({_line(error)}); take a smaller model, load fewer models "
                "at once, or a machine with more"
            ) from error
        raise _broken(snapshot, error) from error
    except ImportError as error:
        raise ModelError(f"{snapshot.name}: cannot be loaded ({_line(error)}); {INSTALL}") from error
    except (
        OSError,
        ValueError,  # of which broken JSON and Unicode are
        TypeError,
        KeyError,
        AttributeError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise _broken(snapshot, error) from error


def _broken(snapshot: Snapshot[Any], error: Exception) -> ModelError:
    files = ", ".join(sorted(path.name for path in snapshot.folder.iterdir() if path.is_file()))
    return ModelError(
        f"{snapshot.name}: {snapshot.folder.absolute()} cannot be loaded ({type(error).__name__}: {_line(error)}); "
        f"fetch its files again ({files[:300]}){_advice(snapshot)}"
    )


def _advice(snapshot: Snapshot[Any]) -> str:
    vision = snapshot.config.get("vision_config")
    davit = isinstance(vision, dict) and vision.get("model_type") == "davit"
    if snapshot.model_type == "florence2" and davit:
        return (
            "; this is Florence-2 in the form that needs code from its repository, which is never run: "
            "take the conversion, such as florence-community/Florence-2-base"
        )
    return ""


def _quiet() -> None:
    """Progress bars and advice are not for a job's log; what goes wrong is raised."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
