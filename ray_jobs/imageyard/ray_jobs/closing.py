"""After the commit: the report is written, and what the version has inside leaves the drop folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import CONTENT
from imageyard.manifests.version import Version
from imageyard.ray_jobs.drop import Drop
from imageyard.ray_jobs.origin import ledger
from imageyard.ray_jobs.summary import report_of
from imageyard.ray_jobs.watcher import Watcher
from imageyard.ray_jobs.work import Tally

REMOVERS = 16


def report_once(
    dataset: Dataset, version: Version, tally: Tally, waiting: Sequence[tuple[str, str]], watcher: Watcher
) -> str:
    """The key of the report of the job that made `version`; written now if it is not there."""
    folder = f"jobs/{version.job}"
    key = f"{folder}/report.html"
    if not any(entry.key == key for entry in dataset.store.list(folder)):
        watcher.phase("writing the report")
        dataset.store.ensure(key, report_of(dataset, version, tally, waiting))
    return key


def clear(dataset: Dataset, version: Version, drop: Drop, watcher: Watcher) -> None:
    """Remove what `version` has inside, unless a sample still refers to it or somebody has put another there."""
    inside = dataset.consumed(version) | {(entry.key, entry.etag) for entry in drop.taken}
    lying = [entry for entry in drop.entries.values() if (entry.key, entry.etag) in inside]
    if not lying:
        return
    watcher.phase("clearing the drop folder")
    unread = (sample for sample in dataset.read(version, "rejected") if sample.value(CONTENT) is None)
    referred = {source for sample in unread for source in ledger(sample)}
    gone = [entry for entry in lying if (entry.key, entry.etag) not in referred]
    with ThreadPoolExecutor(REMOVERS) as pool:
        list(pool.map(dataset.store.remove, gone))
