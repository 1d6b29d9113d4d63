"""The YAML that recipes are written in: YAML 1.2's, in which `on`, `off` and `3_3` are words."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import RecipeError

if TYPE_CHECKING:
    import yaml

_PLAIN = (
    ("bool", r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO", "tTfFyYnN"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", r"<<", "<"),
)
"""What plain words mean that are no text. PyYAML reads YAML 1.1: there `on` is true, and the face `3_3` is 33."""


def read_yaml(path: Path) -> Any:
    """What a recipe file says, unchecked. Raises RecipeError for a file that is none, or that says a thing twice."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise RecipeError(f"{path}: cannot be read ({error})") from error
    try:
        return yaml.load(text, _loader())  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{path}: not YAML ({' '.join(str(error).split())})") from error


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # what it overrides is declared so

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            said: set[str] = set()
            for key, _ in node.value:
                if key.value in said and isinstance(key.value, str):
                    raise yaml.constructor.ConstructorError(
                        None, None, f"`{key.value}` stands twice; write it once", key.start_mark
                    )
                said.update([key.value] if isinstance(key.value, str) else ())
            return super().construct_mapping(node, deep)

    for tag, words, first in _PLAIN:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{words})\Z"), list(first))
    return Loader
