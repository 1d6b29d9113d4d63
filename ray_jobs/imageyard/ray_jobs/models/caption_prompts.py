"""Instructions for captioners that follow one: a style, and a length if it is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from imageyard.manifests.errors import RecipeError

LENGTHS = ("very short", "short", "medium-length", "long", "very long")
"""What a length may be, but for a number of words."""
MOST_WORDS = 500

# {length} becomes "" or " long", {words} "" or " in at most 50 words".
STYLES: Mapping[str, str] = {
    "descriptive": "Write a{length} descriptive caption for this image in a formal tone{words}.",
    "descriptive-casual": "Write a{length} descriptive caption for this image in a casual tone{words}.",
    "straightforward": (
        "Write a{length} straightforward caption for this image{words}. Begin with the main subject. Mention what is "
        "surely there and nothing else: no mood, no guesses, and no words about the image as an image."
    ),
    "training": (
        "Write a{length} caption for this image{words}, as text to train an image generation model on. Name the "
        "subject, clothing, pose, framing, background and lighting in plain words."
    ),
    "stable-diffusion": "Write a{length} prompt{words} that would make Stable Diffusion draw this image.",
    "midjourney": "Write a{length} prompt{words} that would make Midjourney draw this image.",
    "booru-tags": "Write a{length} list of Danbooru tags for this image{words}: lower case, separated by commas.",
    "e621-tags": "Write a{length} list of e621 tags for this image{words}: lower case, separated by commas.",
    "art-critic": "Write a{length} analysis of this image{words}: composition, style, colour, light and symbolism.",
    "product-listing": "Write a{length} caption for this image{words} as if it were a product listing.",
    "social-media-post": "Write a{length} caption for this image{words} as if it were a post on social media.",
}


def instruction(style: str, length: str | int | None = None) -> str:
    """The words of `style`; `length` is one of LENGTHS, or the most words. Raises RecipeError for any other."""
    if style not in STYLES:
        raise RecipeError(f"`style` {style!r} is unknown; there are {', '.join(STYLES)}, or write a `prompt`")
    if isinstance(length, int) and 1 <= length <= MOST_WORDS:
        adjective, words = "", f" in at most {length} words"
    elif length is None or length in LENGTHS:
        adjective, words = f" {length}" if length else "", ""
    else:
        raise RecipeError(
            f"`length` {length!r} is neither a number of words from 1 to {MOST_WORDS} nor one of {', '.join(LENGTHS)}"
        )
    return STYLES[style].replace("{length}", adjective).replace("{words}", words)
