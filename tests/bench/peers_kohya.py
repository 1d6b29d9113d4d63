"""Runs in the peer's own interpreter: kohya's tagger script as it is, several times over; asked and answered in JSON.

What the script imports and does not need for tagging (diffusers, accelerate …) may be absent: then empty modules stand
in. What it tags with, its own files and onnxruntime, OpenCV and Pillow, is real.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import io
import json
import runpy
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, ClassVar

ABSENT = ("accelerate", "diffusers", "einops", "imagesize", "safetensors", "toml", "torchvision", "transformers")


class Nothing(type):
    """The type of stand-ins: classes that may be inherited from, called and asked for any name."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(name)


def stand_in(name: str) -> Any:
    return Nothing(name, (), {"__new__": lambda cls, *_, **__: cls, "__init__": lambda self, *_, **__: None})


class Empty(types.ModuleType):
    """A module in which every name is a stand-in."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(name)


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """What finds modules that the script does not need."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def tagged(script: str, arguments: list[str]) -> str:
    """What a run of the script died of; "" if of nothing."""
    sys.argv = [script, *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(script, run_name="__main__")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def scores(script: str, arguments: list[str], pictures: list[str]) -> dict[str, Any]:
    """What the model answers when the script shows it each picture, one run a picture; a text where a run dies."""
    import onnxruntime

    answers: list[Any] = []

    class Overheard(onnxruntime.InferenceSession):  # type: ignore[misc]  # it has no types
        def run(self, *said: Any, **more: Any) -> Any:
            answers.append(super().run(*said, **more))
            return answers[-1]

    plain, onnxruntime.InferenceSession = onnxruntime.InferenceSession, Overheard
    found: dict[str, Any] = {}
    for path in pictures:
        answers.clear()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / Path(path).name).symlink_to(path)
            died = tagged(script, [folder, *arguments, "--thresh", "1.01"])
        found[path] = died or answers[0][0][0].tolist()
    onnxruntime.InferenceSession = plain
    return found


def main() -> None:
    asked = json.load(sys.stdin)
    root = Path(asked["kohya"])
    script = str(root / "finetune" / "tag_images_by_wd14_tagger.py")
    sys.path.insert(0, str(root))
    sys.meta_path.insert(0, Absent())
    git = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True)  # wherever git is
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "onnxruntime", "pillow")]
    import cv2

    answer = {
        "versions": [" ".join([root.name, commit.stdout.strip()]), *versions, f"opencv {cv2.__version__}"],
        "runs": [tagged(script, arguments) for arguments in asked["runs"]],
        "scores": scores(script, asked["arguments"], asked["pictures"]),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
