"""How many tokens of CLIP's vocabulary a text is, counted offline."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from imageyard.manifests.errors import JobError

Unit = Literal["clip", "approx"]
"""Tokens of CLIP's vocabulary, or pieces of its pattern where the vocabulary is not installed."""

CHUNK = 75
"""Tokens that one run of CLIP's text encoder reads: 77 positions, less begin and end."""

_PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
_SINGLE, _DOUBLE = re.compile("[\u02bc\u2018-\u201b]"), re.compile("[\u201c-\u201f]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffb]")
_NARROWED = re.compile("[\u3000\ufb00-\ufb06\uff01-\uffef]+")
"""Ligatures, and forms of full and half width."""


@dataclass(frozen=True)
class Tokens:
    """What counts, and in which unit."""

    unit: Unit
    count: Callable[[str], int]
    """Tokens of a text without begin and end; 0 for an empty one. Thread safe."""


@lru_cache(maxsize=1)
def tokens() -> Tokens:
    """CLIP's own byte pairs if `instant-clip-tokenizer` is installed, else an approximation, which `unit` says.

    The vocabulary is `bpe_simple_vocab_16e6`, that of CLIP-L and CLIP-G: SD 1.5, SDXL, and the CLIP halves of SD 3 and
    Flux. Loading it takes 25 ms, a caption of 113 tokens 14 µs.
    """
    try:
        from instant_clip_tokenizer import Tokenizer
    except ImportError:
        return Tokens("approx", approximate)
    encode = Tokenizer().encode
    return Tokens("clip", lambda text: len(encode(cleaned(text))))


def counted(text: str) -> int:
    """Tokens of a text without begin and end, by the vocabulary alone: for decisions, which are the same everywhere.

    Raises JobError if the vocabulary is not installed.
    """
    known = tokens()
    if known.unit != "clip":
        raise JobError("tokens of CLIP cannot be counted without its vocabulary; pip install instant-clip-tokenizer")
    return known.count(text)


def approximate(text: str) -> int:
    """Pieces of CLIP's pattern, each of which is one token or more: letters, single digits, runs of other signs.

    So it is a lower bound: 95 % of the tokens of lists of common tags, less of names and of other scripts.
    """
    return len(_PIECE.findall(cleaned(text)))


def chunks(count: int) -> int:
    """Runs of the text encoder that so many tokens take."""
    return -(-count // CHUNK)


def cleaned(text: str) -> str:
    """`text` as CLIP's own code cleans it before it counts: HTML escapes undone twice, typographic quotes straight,
    ligatures and wide forms plain, NFC, no control characters, single spaces, lower case.

    That is what ftfy does there, except that it also mends text that was decoded wrongly. Trainers that count with
    transformers skip the first three; then `&amp;` is three tokens.
    """
    plain = html.unescape(html.unescape(text))
    plain = _DOUBLE.sub('"', _SINGLE.sub("'", plain))
    plain = _NARROWED.sub(lambda found: unicodedata.normalize("NFKC", found[0]), plain)
    plain = unicodedata.normalize("NFC", _CONTROL.sub("", plain))
    return " ".join(plain.split()).lower()
