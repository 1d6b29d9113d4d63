"""The entry point of a Ray job: run what was submitted, alive and able to be cancelled, to an end that the store has.

`python -m imageyard.ray_jobs.main <URL of a submission>`; the rest of the world is the cluster's.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Self

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, JobEndedError, JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.ray_jobs.attempt import PASSING, Attempt
from imageyard.ray_jobs.capacity import NODES, nodes_of
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.job_attempts import attempt_writer
from imageyard.ray_jobs.job_records import ATTEMPT_MEMBER, SHA_MEMBER, Submission, parts_of
from imageyard.ray_jobs.model_folder import model_folder
from imageyard.ray_jobs.recipe import Recipe, parse_recipe
from imageyard.ray_jobs.run import Surroundings, run
from imageyard.ray_jobs.worker import Place

DONE, FAILED, WRONG, FAULT, PASSING_FAULT, TERMINATED = 0, 1, 2, 70, 75, 143
"""Exit codes: the job has ended well or was cancelled; it failed; this is no job to run; an error of our own; another
attempt may go further; somebody ended this attempt."""
LOOK_EVERY = 2.0
"""Seconds between two looks for a cancel marker."""

logger = logging.getLogger("imageyard")


class _Interrupted(KeyboardInterrupt):
    """Somebody asked that this attempt end."""


class _Heart:
    """A thread that says that the attempt is alive, and interrupts it when the job is cancelled."""

    def __init__(self, store: Store, log: job.Log) -> None:
        self._store, self._log = store, log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        told = False
        while not self._over.wait(LOOK_EVERY):
            try:
                self._log.say_alive()
                if not told and job.cancelled(self._store, self._log.job):
                    told = True
                    logger.info("job %s was cancelled", self._log.job)
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            except ImageyardError as error:
                logger.warning("no heartbeat, and no look for a cancellation: %s", error)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the submission at the URL that is the one argument; the exit code."""
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        (url,) = arguments
        asked, number = _submission(url, environment)
    except ValueError:
        logger.error("one argument is needed: the URL of a submission")
        return WRONG
    except PASSING as error:
        logger.error("%s", error)
        return PASSING_FAULT
    except ImageyardError as error:
        logger.error("%s", error)
        return WRONG
    logger.info("job %s of %s, attempt %d", asked.id, asked.dataset, number)
    try:
        return _attempt(asked, number, environment)
    except JobEndedError as error:
        logger.info("%s", error)
        return DONE
    except PASSING as error:
        logger.error("job %s: %s; another attempt may go further", asked.id, error)
        return PASSING_FAULT
    except ImageyardError as error:
        logger.error("job %s failed: %s", asked.id, error)
        return FAILED
    except KeyboardInterrupt:
        logger.info("job %s: this attempt was ended", asked.id)
        return TERMINATED
    except Exception:  # the job's top: whatever it is, the log has it, and another attempt is made
        logger.exception("job %s: an error of Imageyard's own", asked.id)
        return FAULT


def _submission(url: str, environment: Mapping[str, str]) -> tuple[Submission, int]:
    """What was submitted, and the number of this attempt. Raises JobError if it is not what Ray was given."""
    dataset, name = parts_of(url)
    try:
        said = json.loads(environment.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("metadata") or {}
        number = int(said[ATTEMPT_MEMBER])
        digest = str(said[SHA_MEMBER])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise JobError("this program is started by Ray, as a job that Imageyard has handed to it") from error
    store = Store.open(dataset)
    asked = job.submission(store, name)
    if hashlib.sha256(store.get(asked.key)).hexdigest() != digest or (asked.id, asked.dataset) != (name, dataset):
        raise JobError(f"{url}: not the submission that was handed to Ray; somebody has changed it")
    return asked, number


def _attempt(asked: Submission, number: int, environment: Mapping[str, str]) -> int:
    dataset = Dataset.open(asked.dataset)
    log = job.Log(dataset.store, asked.id, _now, writer=attempt_writer(number))
    recipe = _begun(asked, Attempt(dataset, _now, asked=asked, log=log))
    wish = asked.options
    place = Place(cpus=wish.cpus, gpu=wish.gpus > 0, model_threads=wish.model_threads)
    may_come = nodes_of(environment.get(NODES, ""))
    with RayEngine(address="auto", actors=wish.actors, place=place, gpus=wish.gpus, may_come=may_come) as engine:
        engine.connect()
        _listen()  # after connecting, when Ray has installed handlers of its own
        with _Heart(dataset.store, log):
            models = model_folder(environment)
            around = Surroundings(engine=engine, models=models, clock=_now, shard=wish.shard, log=log, job=asked)
            outcome = run(dataset, recipe, around)
    made = outcome.version.number if outcome.version else None
    logger.info("job %s: %s, version %s", asked.id, outcome.state, made)
    return DONE


def _begun(asked: Submission, attempt: Attempt) -> Recipe:
    """The recipe, if the job may run. Raises JobEndedError or RecipeError."""
    attempt.begin()
    try:
        return parse_recipe(asked.recipe, where=f"the recipe of job {asked.id}", dataset=asked.dataset)
    except ImageyardError as error:
        attempt.failed(error)
        raise


def _listen() -> None:
    """Let the heart, and who ends the job from outside, interrupt it: once, so that it may tidy up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for one in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(one, signal.SIG_IGN)
        raise _Interrupted

    for one in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(one, interrupt)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
