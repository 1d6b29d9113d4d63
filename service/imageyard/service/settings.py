"""Settings: the one reader of the environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from imageyard.manifests.errors import ImageyardError


class Settings(BaseModel):
    """What the environment says. Credentials are not here: boto3 and obstore find them by themselves."""

    model_config = ConfigDict(frozen=True)

    models: Path
    """IMAGEYARD_MODELS: the folder of model files."""
    date: datetime | None
    """SOURCE_DATE_EPOCH: the date that jobs carry, for runs that are to be compared."""


def read_settings() -> Settings:
    """The settings of this process; ImageyardError names a variable that makes no sense."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        date = datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    except (ValueError, OverflowError, OSError) as error:
        raise ImageyardError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be seconds since 1970") from error
    return Settings(models=Path(os.environ.get("IMAGEYARD_MODELS") or cache / "imageyard" / "models"), date=date)
