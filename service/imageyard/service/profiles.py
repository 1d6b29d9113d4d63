"""What a dataset is for, and the recipe that suits it until somebody writes a better one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imageyard.service.catalog import Profile

_TAGGER = "wd-vit-tagger-v3"
# What a trainer would learn though nobody wants it: marks of others, not of the picture.
_MARKS = ["watermark", "signature", "artist name", "*username*", "dated", "web address", "logo"]
# The shorter side: below 512 pixels every trained resolution would enlarge; beyond 1:4 no bucket fits.
_SIZES = {"min_side": 512, "max_aspect": 4}

RECIPES: Mapping[Profile, Mapping[str, Any]] = {
    "lora-character": {
        "steps": [
            {"ingest": {"labels": "none"}},
            {"validate": _SIZES},
            {"dedup": {}},
            {"tag": {"model": _TAGGER, "preset": "character", "blacklist": _MARKS, "drop_overlap": True}},
        ]
    },
    "lora-style": {
        "steps": [
            {"ingest": {"labels": "none"}},
            {"validate": _SIZES},
            {"dedup": {}},
            {"tag": {"model": _TAGGER, "preset": "complex_art", "blacklist": _MARKS}},
        ]
    },
    "lora-concept": {
        "steps": [
            {"ingest": {"labels": "none"}},
            {"validate": _SIZES},
            {"dedup": {}},
            {"tag": {"model": _TAGGER, "preset": "comprehensive", "blacklist": _MARKS}},
        ]
    },
    # The folders normal and anomaly are the labels; 64 pixels is the least that Lookout for Vision took.
    "anomaly": {
        "steps": [
            {"ingest": {"labels": "lookout"}},
            {"validate": {"min_side": 64}},
            {"dedup": {}},
            {"split": {"test": 0.2, "profile": "lookout"}},
        ]
    },
    "plain": {"steps": [{"ingest": {}}, {"validate": {}}, {"dedup": {}}]},
}
"""Recipes without their dataset."""
