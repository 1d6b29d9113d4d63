"""`imageyard serve` and `imageyard key`: the service as a process, and the keys that open it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from imageyard.service.deployment import SCOPES, DeploymentError, Key, Scope, digest_of, load_deployment, new_key


def serve(config: Path, *, host: str, port: int, dev: bool) -> None:
    """Serve until a signal. Raises DeploymentError for a wrong configuration, or one that would let anybody in."""
    deployment = load_deployment(config, dev=dev)
    deployment.check_guarded(host)
    from imageyard.service.api import create_app
    from imageyard.service.api.server import server_of
    from imageyard.service.background import loops_of
    from imageyard.service.logs import log_as_json
    from imageyard.service.settings import read_settings

    token = read_settings().ray_token
    log_as_json(secrets=[token.get_secret_value()] if token is not None else [])
    app = create_app(deployment, loops=lambda yard: loops_of(yard, token))
    server_of(app, deployment, host=host, port=port).run()


def show_key(*, name: str, scopes: Sequence[str], as_json: bool) -> None:
    """Print a new key, which is nowhere else, and what stands of it in the configuration."""
    for scope in scopes:
        if scope not in SCOPES:
            raise DeploymentError(f"there is no scope {scope!r}; there are {', '.join(SCOPES)}")
    key = new_key()
    wanted: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope in scopes)
    try:
        entry = Key(name=name, sha256=digest_of(key), scopes=wanted)
    except ValueError as error:
        raise DeploymentError(f"{name!r} is no name of a key; write letters a-z, digits and dashes") from error
    if as_json:
        typer.echo(json.dumps({"key": key, "entry": entry.model_dump(mode="json")}))
        return
    typer.echo(key)
    typer.echo(
        "This is the only time it is shown; give it to whoever will use it. In the configuration, below `keys:` of its "
        f"tenant:\n  - {{name: {entry.name}, sha256: {entry.sha256}, scopes: [{', '.join(entry.scopes)}]}}",
        err=True,
    )
