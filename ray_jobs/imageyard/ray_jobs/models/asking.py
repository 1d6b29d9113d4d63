"""How a model is asked for: by the path of a folder, or by a name of a table, with a revision if one is wanted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.table import Origin

_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_path(model: str) -> bool:
    """Whether it is a path, which no name of a folder or a table is."""
    return model.startswith((".", "~")) or "/" in model or "\\" in model


def refuse_odd_revision(model: str, entry: Origin, revision: str) -> None:
    """Raises ModelError unless the `revision` that `model` names, if any, can be one of the repository of `entry`."""
    if revision and not _REVISION.fullmatch(revision):
        raise ModelError(f"{model}: {revision!r} is not a revision; write a commit, branch or tag of {entry.repo}")


def unknown(model: str, entries: Sequence[Origin], folder: Path, remedy: str) -> ModelError:
    """That `model` is none of `entries` and no folder in `folder`; with the nearest name, and `remedy`."""
    spellings = [said for entry in entries for said in entry.names]
    close = difflib.get_close_matches(model, spellings, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(entry.name for entry in entries)}"
    return ModelError(f"{model!r} is no model of the table and no folder in {folder.absolute()}; {meant} (or {remedy})")
