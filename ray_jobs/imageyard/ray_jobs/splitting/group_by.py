"""User groups: rules that say which images show one subject, scene, burst or video, and so belong together."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.origin import folders_of, names_of
from imageyard.ray_jobs.splitting.patterns import NAME, expression

Rule = Callable[[Sample], set[str]]
"""The groups of a sample, by name; none if the rule does not speak of it."""

KINDS = ("folder", "parent", "prefix:<expression>", "name:<expression>", "label:<attribute>")


@lru_cache(maxsize=64)
def rule(text: str) -> Rule:
    """The rule that a recipe writes as `text`. Raises ValueError: what is wrong, and what to write.

    folder: the first-level drop folder. parent: all folders of the name. prefix: what the group of an expression
    finds at the start of the file name, inside one folder. name: what it finds anywhere in the name, folders
    included. label: the class name of an attribute, or its plain value. An image with several names, since it was
    dropped more than once, belongs to the groups of all.
    """
    if text == "folder":
        return lambda sample: set(folders_of(sample))
    if text == "parent":
        return lambda sample: {name.rpartition("/")[0] for name in names_of(sample)} - {""}
    kind, colon, argument = text.partition(":")
    if colon and argument:
        if kind == "prefix":
            return _prefix(argument)
        if kind == "name":
            return _anywhere(argument)
        if kind == "label":
            return lambda sample: _said(sample, argument)
    raise ValueError(f"there is no such rule; there are {', '.join(f'`{kind}`' for kind in KINDS)}")


def _prefix(text: str) -> Rule:
    pattern = expression(text)
    if pattern.groups != 1:
        raise ValueError(f"`{text}` has no group; put one around what images of one group share, as in `(.+)_\\d+`")

    def groups(sample: Sample) -> set[str]:
        found = set()
        for name in names_of(sample):
            folder, _, file = name.rpartition("/")
            match = pattern.match(file[:NAME])
            if match is not None and match[1] is not None:
                found.add(f"{folder}/{match[1]}")
        return found

    return groups


def _anywhere(text: str) -> Rule:
    pattern = expression(text)

    def groups(sample: Sample) -> set[str]:
        matches = (pattern.search(name[:NAME]) for name in names_of(sample))
        return {match[pattern.groups] for match in matches if match is not None and match[pattern.groups] is not None}

    return groups


def _said(sample: Sample, attribute: str) -> set[str]:
    said = (sample.metadata(attribute) or {}).get("class-name")
    if said is None:
        said = sample.value(attribute)
    return {str(said)} if isinstance(said, str | int) and said != "" else set()
