"""Counting a large version in a process of its own, so that whoever else asks is not held up.

`python -m imageyard.service.counting URL NUMBER` counts version NUMBER of the dataset at URL and keeps the numbers
beside it. A thread would do the same, but while it computes every other thread waits for it again and again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError
from imageyard.manifests.version import Version
from imageyard.ray_jobs.statistics import Statistics, kept, statistics

SECONDS = 3600.0
"""After which counting is given up."""
LOOK_EVERY = 0.2
"""Seconds between two looks whether it is wanted any more."""
NICE = 10
"""By how much it stands back behind the service."""
_IN_MEMORY = "memory://"
"""What another process cannot see."""


def counted_apart(dataset: Dataset, version: Version, stopping: threading.Event) -> Statistics:
    """The numbers of a version: those that are kept, or counted in another process, which ends once `stopping` is set.

    Raises ImageyardError.
    """
    found = kept(dataset, version)
    if found is not None or dataset.url.startswith(_IN_MEMORY):
        return found or statistics(dataset, version)
    arguments = [sys.executable, "-m", "imageyard.service.counting", dataset.url, str(version.number)]
    try:
        with subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            said, why = _ended(process, stopping)
    except OSError as error:
        raise ImageyardError(f"{dataset.url}: version {version.number} could not be counted ({error})") from error
    found = kept(dataset, version)
    if found is None:
        lines = said.decode(errors="replace").strip().splitlines()
        why = why or (lines[-1][:300] if lines else f"exit code {process.returncode}")
        raise ImageyardError(f"{dataset.url}: version {version.number} could not be counted ({why})")
    return found


def _ended(process: subprocess.Popen[bytes], stopping: threading.Event) -> tuple[bytes, str | None]:
    """What the process said before it ended, and why it was ended, if it was."""
    end = time.monotonic() + SECONDS
    while not stopping.is_set() and time.monotonic() < end:
        try:
            return process.communicate(timeout=LOOK_EVERY)[1], None
        except subprocess.TimeoutExpired:
            pass
    process.kill()  # nothing is half written: the numbers are created at once, at the end
    why = "the service stops" if stopping.is_set() else f"it took more than {SECONDS:.0f} s"
    return process.communicate()[1], why


def main() -> None:
    """The entry point of the other process."""
    url, number = sys.argv[1:]
    os.nice(NICE)
    dataset = Dataset.open(url)
    statistics(dataset, dataset.version(int(number)))


if __name__ == "__main__":
    main()
