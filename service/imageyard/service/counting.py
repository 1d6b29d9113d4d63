"""Counting a large version in a process of its own, so that whoever else asks is not held up.

`python -m imageyard.service.counting URL NUMBER` counts version NUMBER of the dataset at URL and keeps the numbers
beside it. A thread would do the same, but while it computes every other thread waits for it again and again.
"""

from __future__ import annotations

import os
import subprocess
import sys

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError
from imageyard.manifests.version import Version
from imageyard.ray_jobs.statistics import Statistics, kept, statistics

SECONDS = 3600.0
"""After which counting is given up."""
NICE = 10
"""By how much it stands back behind the service."""
_IN_MEMORY = "memory://"
"""What another process cannot see."""


def counted_apart(dataset: Dataset, version: Version) -> Statistics:
    """The numbers of a version: those that are kept, or counted in another process. Raises ImageyardError."""
    found = kept(dataset, version)
    if found is not None or dataset.url.startswith(_IN_MEMORY):
        return found or statistics(dataset, version)
    arguments = [sys.executable, "-m", "imageyard.service.counting", dataset.url, str(version.number)]
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageyardError(f"{dataset.url}: version {version.number} could not be counted ({error})") from error
    found = kept(dataset, version)
    if found is None:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1][:300] if said else f"exit code {done.returncode}"
        raise ImageyardError(f"{dataset.url}: version {version.number} could not be counted ({why})")
    return found


def main() -> None:
    """The entry point of the other process."""
    url, number = sys.argv[1:]
    os.nice(NICE)
    dataset = Dataset.open(url)
    statistics(dataset, dataset.version(int(number)))


if __name__ == "__main__":
    main()
