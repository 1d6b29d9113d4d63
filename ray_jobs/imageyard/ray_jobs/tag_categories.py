"""What the category codes of tags mean.

0, 1, 3, 4, 5, 9 and 10 are those of a selected_tags.csv: general, artist, copyright, character and meta are
Danbooru's own, 9 is WD14's for ratings, 10 Camie's for years. Danbooru has no 2, and no code above 5. What cl_tagger
calls Quality and Model has no code anywhere; here they are 11 and 12, and stay below 256 so that a fact has one byte.
A code without a name is kept as it is; a category that a table names by a word we do not know is 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GENERAL, ARTIST, COPYRIGHT, CHARACTER, META, RATING, YEAR, QUALITY, MODEL = 0, 1, 3, 4, 5, 9, 10, 11, 12

CATEGORIES: Mapping[str, int] = MappingProxyType(
    {
        "general": GENERAL,
        "artist": ARTIST,
        "copyright": COPYRIGHT,
        "character": CHARACTER,
        "meta": META,
        "rating": RATING,
        "year": YEAR,
        "quality": QUALITY,
        "model": MODEL,
    }
)
"""Codes by name."""
UNKNOWN = 255
"""The code of a category that has a name, which is none of these."""
