"""What Prometheus reads: requests, jobs, images, rejects, conflicts, queue lag and idle GPUs, in a registry of ours."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from imageyard.service.api.observed import Observed

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")


class Metrics:
    """The numbers of one process. No label names a tenant, dataset or key: they would be read by others, and grow."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "imageyard_http_requests",
            "Requests by route template.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "imageyard_http_request_seconds",
            "Time until the answer had been sent.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )

        self._loops = Counter(
            "imageyard_loop_failures", "Turns of background loops that failed.", ("loop",), registry=self.registry
        )
        self.observed = Observed(self.registry)

    def loop_failed(self, loop: str) -> None:
        """Count a turn of a background loop that raised."""
        self._loops.labels(loop).inc()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the template, not the path."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return bytes(generate_latest(self.registry))
