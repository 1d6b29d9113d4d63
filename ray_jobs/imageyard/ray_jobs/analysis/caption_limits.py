"""How much of a caption the text encoders of models read."""

from __future__ import annotations

from imageyard.manifests.errors import VersionError

CLIP, T5 = "CLIP", "T5, whose tokens are estimated by CLIP's"

LIMITS: dict[str, tuple[int, str]] = {
    "sd15": (75, CLIP),
    "sdxl": (75, CLIP),
    "sd15-150": (150, CLIP),
    "sdxl-150": (150, CLIP),
    "sd15-225": (225, CLIP),
    "sdxl-225": (225, CLIP),
    "sd3": (256, T5),
    "flux": (512, T5),
}
"""By name the tokens, without begin and end, and the encoder. SD 1.5 and SDXL read 75 unless kohya's `max_token_length`
is 150 or 225; SD 3 and Flux read the first 75 by CLIP as well, which there sets the mood and not the content."""

DEFAULT = "sdxl"


def limit_of(asked: str) -> tuple[str, int, str]:
    """(name, tokens, encoder) of a model's name or a number. Raises VersionError for what is neither."""
    name = asked.strip().lower()
    if name in LIMITS:
        return (name, *LIMITS[name])
    if name.isdecimal() and int(name) > 0:
        return name, int(name), CLIP
    raise VersionError(
        f"the limit {asked!r} is neither a number of tokens nor a known model; models are {', '.join(LIMITS)}"
    )
