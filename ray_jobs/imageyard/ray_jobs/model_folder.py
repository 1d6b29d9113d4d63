"""Where the files of models lie on a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def model_folder(environment: Mapping[str, str]) -> Path:
    """IMAGEYARD_MODELS, or `imageyard/models` in the user's cache."""
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(environment.get("IMAGEYARD_MODELS") or cache / "imageyard" / "models")
