"""What each output of a tagger is called, as the tables that taggers are published with say it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.contract import Table
from imageyard.ray_jobs.tag_categories import CATEGORIES, GENERAL, UNKNOWN


@dataclass(frozen=True)
class Labels:
    """What each output is called, in their order."""

    tags: tuple[str, ...]
    """Raw names, with underscores."""
    categories: tuple[int, ...]
    """Codes; see `tag_categories`."""


def read_labels(path: Path, kind: Table) -> Labels:
    """The labels in a table. Raises ModelError, naming the line or the entry."""
    try:
        return _READERS[kind](path)
    except (OSError, UnicodeError, csv.Error, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); take the one published with the model") from error


def _selected_tags(path: Path) -> Labels:
    """By the names of its columns; rows without a category are none."""
    tags: list[str] = []
    categories: list[int] = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        missing = {"name", "category"} - set(rows.fieldnames or ())
        if missing:
            raise ModelError(f"{path}: no column {' and no column '.join(sorted(missing))} in its first line")
        for row in rows:
            if not row["category"]:
                continue
            if not row["category"].isdecimal() or int(row["category"]) > 255:
                raise ModelError(
                    f"{path}, line {rows.line_num}: category {row['category']!r} is not a number from 0 to 255"
                )
            tags.append(row["name"])
            categories.append(int(row["category"]))
    return Labels(tuple(tags), tuple(categories))


def _tag_mapping(path: Path) -> Labels:
    """Of `{"0": {"tag": "1girl", "category": "General"}, …}`, or the same in two tables, idx_to_tag and
    tag_to_category. Numbers must run from 0 without a gap."""
    said = _json(path)
    if isinstance(said, dict) and isinstance(said.get("idx_to_tag"), dict):
        of = said.get("tag_to_category")
        of = of if isinstance(of, dict) else {}
        said = {number: {"tag": tag, "category": of.get(tag)} for number, tag in said["idx_to_tag"].items()}
    if not isinstance(said, dict):
        raise ModelError(f"{path}: not a table of tags by number; take the one published with the model")
    tags: list[str] = []
    categories: list[int] = []
    for number in range(len(said)):
        entry = said.get(str(number))
        if entry is None:
            raise ModelError(f"{path}: has {len(said)} entries and none of number {number}; they run from 0")
        tag, category = (entry.get("tag"), entry.get("category")) if isinstance(entry, dict) else (None, None)
        if not isinstance(tag, str) or not isinstance(category, str):
            raise ModelError(f"{path}: entry {number} has no `tag` and `category`")
        tags.append(tag)
        categories.append(CATEGORIES.get(category.strip().lower(), UNKNOWN))
    return Labels(tuple(tags), tuple(categories))


def _names(path: Path) -> Labels:
    """One name a line, without empty ones, or a JSON list; general tags all."""
    if path.suffix == ".json":
        said = _json(path)
        if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
            raise ModelError(f"{path}: not a list of names; take the one published with the model")
        names = tuple(said)
    else:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        names = tuple(line.strip() for line in lines if line.strip())
    return Labels(names, (GENERAL,) * len(names))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


_READERS: Mapping[Table, Callable[[Path], Labels]] = {
    "selected_tags": _selected_tags,
    "tag_mapping": _tag_mapping,
    "names": _names,
}
