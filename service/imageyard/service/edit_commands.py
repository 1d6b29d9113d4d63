"""`imageyard run --dry-run` and `imageyard undo`: what a recipe would change, and taking back what one has changed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import load_recipe
from imageyard.ray_jobs.rehearsal import Change, Rehearsal, rehearse
from imageyard.ray_jobs.report_text import printable
from imageyard.ray_jobs.run import Surroundings
from imageyard.ray_jobs.undoing import undo
from imageyard.service.console import pairs, say, say_json, table
from imageyard.service.look_commands import opened
from imageyard.service.settings import read_settings


def show_dry_run(path: Path, *, dataset: str | None, as_json: bool) -> None:
    """Before and after of every image whose words the recipe at `path` would change; nothing is committed."""
    settings = read_settings()
    recipe = load_recipe(path, dataset=dataset)
    around = Surroundings(engine=LocalEngine(), models=settings.models, date=settings.date)
    found = rehearse(opened(recipe.dataset), recipe, around)
    if as_json:
        say_json(_plain(found, recipe.dataset))
        return
    for change in found.changes:
        pairs(f"{printable(change.name)} ({change.key[:12]})", _told(change))
    say(_counted(found))
    say("nothing was committed; the drop folder was not looked at")


def take_back(url: str, *, to: int | None, as_json: bool) -> None:
    """Commit a version that says what version `to` said, and tell which."""
    dataset = opened(url)
    settings = read_settings()
    version = undo(dataset, to, clock=lambda: settings.date or datetime.now(UTC))
    if as_json:
        say_json({"dataset": url, "version": version.number, "undone_to": version.counts["undone-to"]})
        return
    say(f"committed version {version.number} of {url}, which says what version {version.counts['undone-to']} said")
    table("", ("role", "samples"), [(role, entry.lines) for role, entry in version.manifests.items()])


def _told(change: Change) -> dict[str, object]:
    told: dict[str, object] = {}
    for name, (before, after) in change.members.items():
        told[f"{name}, before"] = _text(before)
        told[f"{name}, after"] = _text(after)
    if change.rejected is not None:
        told["rejected"] = f"{change.rejected.check}: {change.rejected.reason}"
    return told


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return printable(", ".join(map(str, value)))
    return None if value is None else printable(str(value))


def _counted(found: Rehearsal) -> str:
    counts = Counter(name for change in found.changes for name in change.members)
    parts = [f"{name} of {count:,}" for name, count in sorted(counts.items())]
    rejected = sum(change.rejected is not None for change in found.changes)
    parts += [f"{rejected:,} rejected"] if rejected else []
    what = ", ".join(parts) if parts else "nothing"
    return f"of {found.images:,} images of version {found.version} this would change: {what}"


def _plain(found: Rehearsal, url: str) -> dict[str, Any]:
    return {
        "dataset": url,
        "version": found.version,
        "images": found.images,
        "changes": [
            {
                "image": change.name,
                "sha256": change.key,
                "members": {name: {"before": old, "after": new} for name, (old, new) in change.members.items()},
                "rejected": change.rejected.value() if change.rejected else None,
            }
            for change in found.changes
        ],
    }
