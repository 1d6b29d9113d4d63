"""Logs of the service: one JSON object a line, with request, tenant, dataset and job, and no secret in any."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

MEMBERS = (
    "request_id", "who", "peer", "action", "method", "path", "status", "seconds", "tenant", "dataset", "job", "result",
    "more",
)  # fmt: skip
"""What `extra=` of a log call may name."""
LONGEST = 4000
"""Characters of one text; of a trace the last, which say what it was."""
GONE = "[redacted]"
_SECRETS = (
    re.compile(r"\biy_[A-Za-z0-9_-]{4,}"),
    re.compile(r"(?i)(?<=bearer )\s*[^\s\"',;]+"),
    re.compile(r"(?i)(?<=authorization[=:])\s*(?!bearer)[^\r\n]+"),
    # What signs a URL or a form: of Amazon, of Google, of Azure.
    re.compile(r"(?i)(?<=signature[=:])[^&\s\"']+"),
    re.compile(r"(?i)(?<=credential[=:])[^&\s\"']+"),
    re.compile(r"(?i)(?<=security-token[=:])[^&\s\"']+"),
    re.compile(r"(?i)(?<=[?&]sig=)[^&\s\"']+"),
    re.compile(r"(?i)(?<=AWSAccessKeyId=)[^&\s\"']+"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    re.compile(r"(?i)(?<=secret_access_key[=:])\s*\S+"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)


class JsonLines(logging.Formatter):
    """A record as one line of JSON; `secrets` are texts that never stand in it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 8)

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
        }
        said |= {name: record.__dict__[name] for name in MEMBERS if record.__dict__.get(name) is not None}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)[-LONGEST:]
        return json.dumps(self._clean(said), ensure_ascii=True, default=str)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._clean(str(name)): self._clean(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        if isinstance(value, bool | int | float) or value is None:
            return value
        return redacted(str(value), self._secrets)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without keys, tokens and signatures, and not endless."""
    for secret in secrets:
        text = text.replace(secret, GONE)
    for pattern in _SECRETS:
        text = pattern.sub(GONE, text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def log_as_json(*, secrets: Iterable[str] = ()) -> None:
    """Let everything that this process logs go to standard output as JSON lines. For entry points."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("imageyard", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
