"""The sha256 of a model's files: taken, and compared with those that a job was planned with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from imageyard.manifests.errors import ModelError


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def compare(model: str, folder: Path, here: Mapping[str, str], planned: Mapping[str, str]) -> None:
    """Raises ModelError unless the files of `model` in `folder` have, by name, the digests that were `planned`."""
    for name in sorted(planned.keys() | here.keys()):
        if here.get(name) != planned.get(name):
            raise ModelError(
                f"{model}: {folder / name} has sha256 {here.get(name, 'none: it is missing')}, where "
                f"the job was planned with {planned.get(name, 'no such file')}; put the same files on every machine"
            )
