"""The OpenAPI document keeps its word: schemathesis asks a running service everything that it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from imageyard.manifests.dataset import Dataset
from jobs import drop, go, recipe
from pictures import photo
from served import ADMIN, bearer, configuration, serving

SCHEMATHESIS = Path(sys.executable).parent.parent / "tools" / "bin" / "schemathesis"

# What a recipe, a cursor or If-Match means is more than a schema can say: those are refused in words, or as changed.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 412, 422, 429]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 414, 415, 422, 429, 431]
"""


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="`make test` installs the checkers")
@pytest.mark.server
def test_the_service_answers_as_its_document_says(tmp_path: Path, bucket: str) -> None:
    limits = {"requests_per_second": 10_000, "burst": 100_000, "failures_per_minute": 10_000}
    dataset = Dataset.open(f"s3://{bucket}/yard/acme/cats")
    drop(dataset, {f"{seed}.jpg": photo(seed, (64, 64)) for seed in range(3)})
    go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
    with serving(tmp_path, configuration(f"s3://{bucket}/yard", limits=limits)) as served:
        httpx.post(f"{served.url}/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN)).raise_for_status()
        (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
        done = subprocess.run(
            [
                str(SCHEMATHESIS), "run", f"{served.url}/openapi.json", "-H", f"Authorization: Bearer {ADMIN}",
                "--seed", "1", "--max-examples", "6", "--generation-deterministic", "--no-color",
                "--suppress-health-check", "all",
                # An event stream lasts as long as its job, and has tests of its own.
                "--exclude-path-regex", "/events$", "--request-timeout", "20",
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())
        assert [line for line in served.lines() if line["level"] == "error"] == []
