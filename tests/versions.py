"""Versions for tests, committed without a recipe."""

from typing import Any

from imageyard.manifests import Dataset, Sample, Version
from imageyard.manifests.dataset import Draft
from imageyard.manifests.version import Role

Held = dict[str, tuple[Role, Sample]]
"""Samples by key."""


def committed(dataset: Dataset, samples: Held) -> Version:
    draft = dataset.draft(samples[key] for key in sorted(samples))
    version = dataset.commit(lambda parent: recorded(parent, draft))
    assert version is not None
    return version


def recorded(parent: Version | None, draft: Draft, **said: Any) -> Version:
    """The record of a draft that follows `parent`; `said` are the members that matter to a test."""
    plain = Version(
        number=parent.number + 1 if parent else 1,
        transaction=draft.transaction,
        parent=parent.number if parent else None,
        parent_sha256=parent.sha256 if parent else None,
        created="2026-01-15T09:30:00.000000",
        job="a-job",
        fingerprint="f",
        recipe={},
        extractors={},
        counts={},
        manifests=dict(draft.manifests),
        consumed=draft.consumed,
    )
    return plain.model_copy(update=said)
