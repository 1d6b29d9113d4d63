"""Addresses that people send: each is of a store, plain, and below one of the sender's own prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imageyard.manifests.errors import RecipeError

LONGEST = 1024
"""Characters of an address; S3 keys have at most so many bytes."""
_PLAIN = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<rest>[A-Za-z0-9._/=+@-]*)")
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*\s*:\s*[/\\]|.*://", re.DOTALL)


def fault_of(url: str, *, schemes: Iterable[str]) -> str | None:
    """What is wrong with `url` as the address of a prefix or an object, None if nothing is."""
    schemes = tuple(schemes)
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if len(url) > LONGEST:
        return f"longer than {LONGEST} characters"
    match = _PLAIN.fullmatch(url)
    if match is None:
        return f"not a plain address; write {wanted} and letters, digits and ._=+@-/"
    if match["scheme"] not in schemes:
        return f"must begin with {wanted}"
    bucket, _, path = match["rest"].partition("/")
    if not bucket and match["scheme"] != "file":
        return "names no bucket"
    if bucket and match["scheme"] == "file":
        return "a file URL has three slashes"
    if match["scheme"] != "memory" and not path:
        return "names no path; a whole bucket or disk is no prefix"
    if path and any(segment in ("", ".", "..") for segment in path.split("/")):
        return "has an empty, '.' or '..' segment"
    return None


def looks_like_address(text: str) -> bool:
    """Whether `text` could be taken for a URL of any kind, well formed or not."""
    return _SCHEME.match(text) is not None


def below(url: str, prefixes: Iterable[str]) -> bool:
    """Whether `url` is plain and lies below one of `prefixes`, not beside one whose name it begins with."""
    for prefix in prefixes:
        scheme = prefix.partition("://")[0]
        if url.startswith(prefix + "/") and fault_of(url, schemes=(scheme,)) is None:
            return True
    return False


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Every value in parsed JSON, keys of objects too, with the place where it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{place} (name)", str(name)
            yield from leaves(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value, start=1):
            yield from leaves(inner, f"{place}[{number}]")
    else:
        yield place, value


def refuse_foreign(data: object, prefixes: Iterable[str]) -> None:
    """Raises RecipeError if any text in `data` is an address outside `prefixes`."""
    prefixes = tuple(prefixes)
    for place, text in leaves(data):
        if isinstance(text, str) and looks_like_address(text) and not below(text, prefixes):
            raise RecipeError(f"`{place[:100]}` is an address outside this tenant's prefixes; write one below them")
