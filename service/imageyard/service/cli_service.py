"""Commands for work that goes on elsewhere: jobs on a cluster, drop folders, the service with its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imageyard.service.cli_options import Json, Url


def watch(
    recipes: Annotated[
        list[Path], typer.Argument(help="Recipes, YAML files, each with its dataset.", metavar="RECIPE...")
    ],
    queue: Annotated[
        str | None, typer.Option(help="URL of the SQS queue that tells of uploads; folders are listed without one.")
    ] = None,
    dead_letters: Annotated[
        str | None,
        typer.Option(help="URL of the queue for messages that are none; left to the redrive policy if unset."),
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Seconds between listings: 60, or 900 beside a queue, if not given.", min=1)
    ] = None,
    window: Annotated[float, typer.Option(help="Seconds from the first upload to the job.", min=0)] = 30,
    most: Annotated[int, typer.Option(help="Uploads that are not waited with.", min=1)] = 5000,
    hide: Annotated[int, typer.Option(help="Seconds a message is hidden from other watchers.", min=4, max=43200)] = 300,
    once: Annotated[bool, typer.Option("--once", help="Take what there is, and end.")] = False,
    actors: Annotated[int | None, typer.Option(help="Ray actors of a job.", min=1)] = None,
    cpus: Annotated[int, typer.Option(help="CPUs of each actor.", min=1)] = 1,
    gpus: Annotated[float, typer.Option(help="GPUs of each actor.", min=0)] = 0,
    ray: Annotated[
        str,
        typer.Option(help="Address of a Ray cluster, or of its dashboard (http://), to which jobs are submitted then."),
    ] = "local",
    as_json: Json = False,
) -> None:
    """Run recipes on what arrives in drop folders, as it arrives."""
    from imageyard.service.watch_command import Asked, watch_datasets

    asked = Asked(
        recipes, queue, dead_letters, every, window, most, hide, once, actors, cpus, gpus, address=ray, as_json=as_json
    )
    if not watch_datasets(asked) and once:
        raise typer.Exit(1)


def submit(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    ray: Annotated[str, typer.Option(help="Address of the cluster's dashboard: http://ray-head:8265.")],
    dataset: Annotated[str | None, typer.Option(help="URL of the dataset, instead of the recipe's.")] = None,
    actors: Annotated[int | None, typer.Option(help="Ray actors; as many as there is room for if not given.")] = None,
    cpus: Annotated[int, typer.Option(help="CPUs of each actor.", min=1)] = 1,
    gpus: Annotated[float, typer.Option(help="GPUs of each actor; a share such as 0.5 is allowed.", min=0)] = 0,
    model_threads: Annotated[int | None, typer.Option(help="Of these, CPUs for models alone.", min=1)] = None,
    shard: Annotated[int | None, typer.Option(help="Images a shard; chosen if not given.", min=1)] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Look after the job until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Hand a recipe to a Ray cluster; RAY_AUTH_TOKEN is the cluster's token."""
    from imageyard.ray_jobs.job import Options
    from imageyard.service.jobs_command import submit_recipe

    options = Options(actors=actors, cpus=cpus, gpus=gpus, model_threads=model_threads, shard=shard)
    try:
        submit_recipe(recipe, dataset=dataset, address=ray, options=options, wait=wait, as_json=as_json)
    except KeyboardInterrupt:
        typer.echo("not waited for any more; the job goes on: `imageyard jobs` lists it, `cancel` ends it", err=True)
        raise typer.Exit(130) from None


def jobs(
    dataset: Url,
    limit: Annotated[int, typer.Option(help="Jobs to list at most.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """List the jobs of a dataset, newest first: what became of each, and what it waits for."""
    from imageyard.service.jobs_command import show_jobs

    show_jobs(dataset, limit=limit, as_json=as_json)


def cancel(dataset: Url, job: Annotated[str, typer.Argument(help="The id of the job.")], as_json: Json = False) -> None:
    """End a submitted job without a commit; what it has measured stays measured."""
    from imageyard.service.jobs_command import cancel_job

    cancel_job(dataset, job, as_json=as_json)


def serve(
    config: Annotated[Path, typer.Option(help="The deployment, a YAML file: tenants with prefixes and keys.")],
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8080,
    dev: Annotated[
        bool, typer.Option("--dev", help="Allow file:// prefixes, and on loopback to have no keys.")
    ] = False,
) -> None:
    """Serve the HTTP API until it is told to stop."""
    from imageyard.service.serve_command import serve as serve_until_stopped

    serve_until_stopped(config, host=host, port=port, dev=dev)


def key(
    name: Annotated[str, typer.Option(help="Who will use it; audit events say it.")] = "key",
    scope: Annotated[
        list[str] | None, typer.Option(help="read, submit or admin; each has those before it. read if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key for the service: print it once, and the entry that the configuration takes."""
    from imageyard.service.serve_command import show_key

    show_key(name=name, scopes=scope or ["read"], as_json=as_json)
