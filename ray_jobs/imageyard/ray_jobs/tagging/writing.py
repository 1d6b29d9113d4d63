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
    names: dict[int, str] = {name.index: name.text for name, _ in picks if name.index is not None}
    scores: dict[str, Json] = {}
    renamed: dict[str, Json] = {}
    value = []
    for name, score in picks:
        index = name.index
        if index is None:
            index = class_index(name.text, names)
            names[index] = name.text
        elif "," in name.label:
            renamed[str(index)] = name.label
        value.append(index)
        scores[str(index)] = score
    members: dict[str, Json] = {"class-map": {str(index): names[index] for index in value}, "confidence-map": scores}
    if renamed:
        members["renamed"] = renamed
    if ruled_out:
        members["ruled-out"] = {pick.name.text: pick.score for pick in ruled_out}
    return value, members
