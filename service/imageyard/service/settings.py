"""Settings: the one reader of the environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from imageyard.manifests.errors import ImageyardError
from imageyard.ray_jobs.model_folder import model_folder


class Settings(BaseModel):
    """What the environment says. Credentials are not here: boto3 and obstore find them by themselves."""

    model_config = ConfigDict(frozen=True)

    models: Path
    """IMAGEYARD_MODELS: the folder of model files."""
    date: datetime | None
    """SOURCE_DATE_EPOCH: the date that jobs carry, for runs that are to be compared."""
    ray_token: SecretStr | None
    """RAY_AUTH_TOKEN, or what stands in the file RAY_AUTH_TOKEN_PATH: the token of the Ray cluster."""


def read_settings() -> Settings:
    """The settings of this process; ImageyardError names a variable that makes no sense."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        date = datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    except (ValueError, OverflowError, OSError) as error:
        raise ImageyardError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be seconds since 1970") from error
    return Settings(models=model_folder(os.environ), date=date, ray_token=_ray_token())


def _ray_token() -> SecretStr | None:
    token, path = os.environ.get("RAY_AUTH_TOKEN"), os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not token and path:
        try:
            token = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise ImageyardError(f"RAY_AUTH_TOKEN_PATH is {path!r}; that file cannot be read") from error
    return SecretStr(token) if token else None
