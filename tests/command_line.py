"""The command line for tests, in this process."""

import json
from typing import Any

from typer.testing import CliRunner

from imageyard.service.cli import app


def invoke(*arguments: str) -> Any:
    """What a command that succeeds prints: with --json as what it says, else as text."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output) if "--json" in arguments else result.output
