"""Who may import whom: the layers of the design, and the imports that must stay where they work."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {"manifests": "manifests", "ray_jobs": "ray_jobs", "service": "service"}
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer / "imageyard").rglob("*.py"))

RAY_JOBS = "ray_jobs/imageyard/ray_jobs"
SERVICE = "service/imageyard/service"
MANIFESTS = "manifests/imageyard/manifests"
# A package, and the only places that may import it, by prefix of their path.
CONFINED = {
    "ray": (f"{RAY_JOBS}/fanout.py", f"{RAY_JOBS}/fanout_actors.py", f"{RAY_JOBS}/fanout_search.py"),
    "torch": (f"{RAY_JOBS}/models/", f"{MANIFESTS}/example.py", f"{MANIFESTS}/loader.py", f"{SERVICE}/demo.py"),
    "onnxruntime": (f"{RAY_JOBS}/models/",),
    "onnx": (f"{RAY_JOBS}/models/",),
    "transformers": (f"{RAY_JOBS}/models/",),
    "obstore": (f"{MANIFESTS}/store.py", f"{MANIFESTS}/store_errors.py", f"{MANIFESTS}/store_opening.py"),
    "boto3": (f"{MANIFESTS}/s3_control.py", f"{SERVICE}/local_s3.py", f"{SERVICE}/watch/sqs.py"),
    "botocore": (f"{MANIFESTS}/s3_control.py", f"{SERVICE}/local_s3.py", f"{SERVICE}/watch/sqs.py"),
    "fastapi": (f"{SERVICE}/api/",),
    "starlette": (f"{SERVICE}/api/",),
    "uvicorn": (f"{SERVICE}/api/",),
    "prometheus_client": (f"{SERVICE}/api/",),
    "imageyard.ray_jobs": (RAY_JOBS, SERVICE),
    "imageyard.service": (SERVICE,),
}
READS_ENVIRONMENT = (f"{SERVICE}/settings.py", f"{SERVICE}/demo.py", f"{RAY_JOBS}/main.py")
HEAVY = (
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus_client",
    "ray",
    "torch",
    "onnxruntime",
    "transformers",
    "numpy",
    "PIL",
    "pyarrow",
    "boto3",
    "scipy",
    "numba",
)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_namespace_has_no_init_file_because_three_roots_share_it() -> None:
    """With an `imageyard/__init__.py` in one root, Python would look for `imageyard.service` in that root alone."""
    assert not [path for path in SOURCES if path.parent.name == "imageyard"]
    assert len({path.parent.parent for path in SOURCES if path.name == "__init__.py"}) >= len(LAYERS)


@pytest.mark.parametrize("package", CONFINED)
def test_a_package_is_imported_only_where_it_belongs(package: str) -> None:
    allowed = CONFINED[package]
    strays = [
        f"{relative(path)} imports {name}"
        for path in SOURCES
        for name in imported(path)
        if (name == package or name.startswith(package + ".")) and not relative(path).startswith(allowed)
    ]
    assert strays == []


def test_only_settings_and_entry_points_read_the_environment() -> None:
    strays = [
        relative(path)
        for path in SOURCES
        if not relative(path).startswith(READS_ENVIRONMENT)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert strays == []


@pytest.mark.parametrize(
    "statement",
    [
        "import imageyard.manifests",
        "import imageyard.service.cli",
        "import imageyard.ray_jobs.recipe",
        "import imageyard.service.run_command",
        "import imageyard.service.jobs_command",
        "import imageyard.service.watch_command",
        "import imageyard.service.catalog",
        "import imageyard.service.deployment",
    ],
)
def test_importing_a_front_door_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [name for name in json.loads(printed) if name in HEAVY] == []


def test_no_package_imports_itself_in_a_circle() -> None:
    graph = {
        ".".join(path.with_suffix("").relative_to(path.parents[len(path.relative_to(ROOT).parts) - 2]).parts): {
            name for name in module_level(path) if name.startswith("imageyard.")
        }
        for path in SOURCES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done:
            return
        for name in graph.get(module, set()):
            target = name if name in graph else name.rpartition(".")[0]
            if target in graph and target != module:
                visit(target, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def module_level(path: Path) -> Iterator[str]:
    """Names imported when the module is loaded, outside functions and TYPE_CHECKING."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
