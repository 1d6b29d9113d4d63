"""The pair of tags on a line: classes in the order of the tags, with their names and scores."""

from __future__ import annotations

from collections.abc import Sequence

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.tagging.classes import class_index
from imageyard.ray_jobs.tagging.names import Pick


def pair_of(picks: Sequence[Pick], ruled_out: Sequence[Pick] = ()) -> tuple[list[int], dict[str, Json]]:
    """The value and the members of the metadata that say `picks`, which are all different.

    `renamed`, where there is such a tag, is what the model calls those whose name held a comma; `ruled-out` are the
    tags that contradicted others, with their scores.
    """
    value = _indices(picks)
    keys = [str(index) for index in value]
    members: dict[str, Json] = {
        "class-map": dict(zip(keys, [name.text for name, _ in picks], strict=True)),
        "confidence-map": dict(zip(keys, [score for _, score in picks], strict=True)),
    }
    renamed: dict[str, Json] = {str(name.index): name.label for name, _ in picks if name.renamed}
    if renamed:
        members["renamed"] = renamed
    if ruled_out:
        members["ruled-out"] = {name.text: score for name, score in ruled_out}
    return value, members


def _indices(picks: Sequence[Pick]) -> list[int]:
    """The classes of the tags, in their order; of names that no model has, by the name."""
    taken = {name.index: name.text for name, _ in picks if name.index is not None}
    if len(taken) == len(picks):
        return list(taken)
    found = []
    for name, _ in picks:
        index = class_index(name.text, taken) if name.index is None else name.index
        taken[index] = name.text
        found.append(index)
    return found
