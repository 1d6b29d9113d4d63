"""Cursors: where a list goes on, opaque to clients."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Query

from imageyard.service.api.problems import ProblemError

LONGEST = 500
Cursor = Annotated[
    str | None,
    Query(max_length=LONGEST, pattern=r"^[A-Za-z0-9_-]+$", description="`next` of the page before; unset, the first."),
]


def cursor_of(last: str) -> str:
    """The cursor of the page that goes on after `last`."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def after(cursor: str | None) -> str:
    """What the page goes on after, "" for the first page; ProblemError (422) if nobody here made the cursor."""
    if cursor is None:
        return ""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise ProblemError(422, "query.cursor is none of this service; take `next` of the page before") from None
