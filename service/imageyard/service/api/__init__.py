"""The HTTP API: `create_app(deployment)` makes it, routers beside `app.py` say what it answers."""

from imageyard.service.api.app import create_app

__all__ = ["create_app"]
