"""Samples, manifests, versions and the store they live in: what a training cluster needs, and nothing heavier."""

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import Version

__all__ = ["Dataset", "ImageyardError", "Sample", "Store", "Version"]
