"""Runs in the peer's own interpreter: the tagging functions of imgutils on local files; asked and answered in JSON.

Nothing is downloaded: the model and its labels are those that are named, and the table of overlapping tags is given.
"""

import functools
import importlib.metadata
import json
import sys
from collections.abc import Callable
from typing import Any

import onnxruntime
from imgutils import tagging
from imgutils.tagging import overlap, wd14

MODEL = "SwinV2"


class Twice:
    """A session whose scores are its embedding too, since imgutils expects one."""

    def __init__(self, path: str) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.get_inputs = self._session.get_inputs

    def get_outputs(self) -> list[Any]:
        return self._session.get_outputs()[:1] * 2

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]:
        return self._session.run(names[:1], feed) * 2


def text(path: str, case: dict[str, Any]) -> str:
    """One picture's tags as imgutils writes them."""
    general, characters = wd14.get_wd14_tags(path, MODEL, fmt=("general", "character"), **case.get("tags", {}))
    tags = {**general, **characters}
    if case.get("traits"):
        tags = tagging.drop_basic_character_tags(tags)
    if "blacklist" in case:
        tags = tagging.drop_blacklisted_tags(tags, use_presets=False, custom_blacklist=case["blacklist"])
    if case.get("sorted"):
        return ", ".join(tagging.sort_tags(tags))
    return tagging.tags_to_text(tags, **{"use_escape": False, **case.get("text", {})})


def scores(path: str) -> list[float]:
    """The model's output for a picture as imgutils prepares it."""
    (found,) = wd14.get_wd14_tags(path, MODEL, fmt=("prediction",))
    return [float(score) for score in found]


def attempt(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"


def main() -> None:
    asked = json.load(sys.stdin)
    session = Twice(asked["model"])
    wd14._get_wd14_model = lambda _: session
    wd14.hf_hub_download = lambda *_, **__: asked["labels"]
    overlap._get_overlap_tags = lambda: asked["overlap"]
    wd14._prepare_image_for_tagging = functools.lru_cache(None)(wd14._prepare_image_for_tagging)
    names = ("dghs-imgutils", "numpy", "onnxruntime", "pillow")
    answer = {
        "versions": [f"{name} {importlib.metadata.version(name)}" for name in names],
        "runs": [{path: attempt(text, path, case) for path in asked["tagged"]} for case in asked["runs"]],
        "scores": {path: attempt(scores, path) for path in asked["pictures"]},
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
