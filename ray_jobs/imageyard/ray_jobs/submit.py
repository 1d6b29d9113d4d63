"""The Jobs API of a Ray cluster: hand a submitted job over, see how it stands, stop it.

Over HTTP, with a timeout on everything and nothing taken from the environment; Ray's own client has no timeout, goes
where RAY_ADDRESS says, and would have the service carry all of Ray.
"""

from __future__ import annotations

import http.client
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from imageyard.manifests.errors import ClusterError, JobError
from imageyard.ray_jobs.job_records import ATTEMPT_MEMBER, JOB_MEMBER, SHA_MEMBER, Submission, parts_of

ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?/?")
TIMEOUT = 30.0
"""Seconds: the first submission to a cluster takes two, when nothing else goes on."""
MOST = 4 * 1024 * 1024
"""Bytes read of an answer."""
GRACE = 60
"""Seconds between the signal that asks an attempt to end and the one that ends it; Ray's default is 3."""
TAIL = 2000
"""Characters kept of what Ray says of a failure."""

State = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
OVER: tuple[State, ...] = ("STOPPED", "SUCCEEDED", "FAILED")


@dataclass(frozen=True)
class Standing:
    """How an attempt stands, by what Ray says."""

    state: State
    message: str
    """The tail of what Ray says; of a failure, that of the attempt's log."""
    sha256: str | None
    """Of the submission it was handed."""


class RayJobs:
    """The cluster whose dashboard is at `address`; `token` is its one shared secret."""

    def __init__(self, address: str, token: str | None = None, *, timeout: float = TIMEOUT) -> None:
        if not ADDRESS.fullmatch(address):
            raise JobError(f"{address!r} is not the address of a Ray dashboard; write http://ray-head:8265")
        parts = urlsplit(address)
        self.address = address.rstrip("/")
        self._host, self._port, self._tls = parts.hostname or "", parts.port, parts.scheme == "https"
        self._token = token
        self._timeout = timeout

    def hand_over(self, asked: Submission, number: int) -> str:
        """Have Ray run attempt `number`; its id there. Handed over again, it is the same attempt.

        Raises ClusterError if that failed, or is not known to have worked: then hand it over again.
        """
        name = ray_id(asked.id, number)
        metadata = {JOB_MEMBER: asked.id, ATTEMPT_MEMBER: str(number), SHA_MEMBER: asked.sha256}
        # Whoever may ask Ray sees all of this, and a shell reads the command: no secret, nothing that a user wrote.
        wish = {
            "submission_id": name,
            "entrypoint": entry_point(asked.url),
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(GRACE)}},
            "metadata": metadata,
        }
        status, answer = self._ask("POST", "/api/jobs/", wish)
        if status == 200:
            return name
        # Ray answers 500 when there is a job of that id. Only its own look at the job says which.
        stands = self.status(name)
        if stands is None:
            raise ClusterError(f"Ray at {self.address} refused a job ({status}: {_brief(answer)})")
        if stands.sha256 != asked.sha256:
            raise JobError(f"Ray at {self.address} has another job {name}, which Imageyard did not hand over")
        return name

    def status(self, name: str) -> Standing | None:
        """How the attempt of that id stands; None if Ray does not know it, as after a restart of its head."""
        status, answer = self._ask("GET", f"/api/jobs/{name}")
        if status == 404:
            return None
        said = _parsed(answer) if status == 200 else None
        if said is None or said.get("status") not in ("PENDING", "RUNNING", *OVER):
            raise ClusterError(f"Ray at {self.address} did not say how {name} stands ({status}: {_brief(answer)})")
        digest = (said.get("metadata") or {}).get(SHA_MEMBER)
        return Standing(said["status"], str(said.get("message") or "")[-TAIL:], digest)

    def stop(self, name: str) -> bool:
        """Ask the attempt to end; after a minute Ray ends it. One that has not begun, Ray cannot stop.

        False if the head could not pass that on: its node is gone, though the head says that the attempt runs.
        """
        status, answer = self._ask("POST", f"/api/jobs/{name}/stop")
        if status not in (200, 404) and status < 500:
            raise ClusterError(f"Ray at {self.address} did not stop {name} ({status}: {_brief(answer)})")
        return status < 500

    def check(self) -> None:
        """Raises ClusterError if the cluster cannot be reached, or does not take the token."""
        status, answer = self._ask("GET", "/api/version")
        if status != 200:
            raise ClusterError(f"{self.address} is not the dashboard of a Ray cluster ({status}: {_brief(answer)})")

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        headers = {"User-Agent": "imageyard", "Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            status, data = answer.status, answer.read(MOST)
        except (OSError, http.client.HTTPException) as error:
            why = type(error).__name__ if not isinstance(error, OSError) else error.strerror or type(error).__name__
            raise ClusterError(f"Ray at {self.address} cannot be reached ({why})") from error
        finally:
            connection.close()
        if status in (401, 403):
            need = "needs a token" if self._token is None else "does not take this token"
            raise ClusterError(f"Ray at {self.address} {need}; RAY_AUTH_TOKEN must be that of the cluster")
        return status, data


def ray_id(job: str, number: int) -> str:
    """The id of an attempt at Ray: the same, whoever hands it over."""
    return f"{job}-a{number}"


def entry_point(url: str) -> str:
    """The command that runs the submission at `url`. Raises JobError if that URL is none to be put into a command."""
    parts_of(url)
    return shlex.join(["python", "-m", "imageyard.ray_jobs.main", url])


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(answer)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _brief(answer: bytes) -> str:
    """The last line of an answer, where Ray's tracebacks have their point."""
    lines = answer.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "nothing"
