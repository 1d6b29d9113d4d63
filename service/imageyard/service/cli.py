"""The command line: run a recipe here, look at what versions say, and say otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from imageyard.manifests.errors import ImageyardError
from imageyard.service.cli_options import Json, Number, OneRole, Triggers, Url, Where
from imageyard.service.cli_service import cancel, jobs, key, serve, submit, watch

app = typer.Typer(
    name="imageyard",
    help="Curate image datasets on object storage and freeze them as versioned Ground Truth manifests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    dataset: Annotated[str | None, typer.Option(help="URL of the dataset, instead of the recipe's.")] = None,
    actors: Annotated[
        int | None, typer.Option(help="Ray actors; as many as there are CPUs if not given.", min=1)
    ] = None,
    cpus: Annotated[int, typer.Option(help="CPUs of each actor.", min=1)] = 1,
    gpus: Annotated[float, typer.Option(help="GPUs of each actor; a share such as 0.5 is allowed.", min=0)] = 0,
    model_threads: Annotated[
        int | None, typer.Option(help="Of these, CPUs for models alone; the others decode beside them.", min=1)
    ] = None,
    shard: Annotated[int | None, typer.Option(help="Images a shard; chosen if not given.", min=1)] = None,
    ray: Annotated[str, typer.Option(help="Address of a Ray cluster; a local one is started if not given.")] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Commit nothing; show every changed caption, before and after.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Apply a recipe to a dataset and what lies in its drop folder, and commit the result as a new version."""
    if dry_run:
        from imageyard.service.edit_commands import show_dry_run

        show_dry_run(recipe, dataset=dataset, as_json=as_json)
        return
    from imageyard.ray_jobs.worker import Place
    from imageyard.service.run_command import run_recipe

    try:
        run_recipe(
            recipe,
            dataset=dataset,
            place=Place(cpus=cpus, gpu=gpus > 0, model_threads=model_threads),
            actors=actors,
            gpus=gpus,
            shard=shard,
            address=ray,
            as_json=as_json,
        )
    except KeyboardInterrupt:
        typer.echo("stopped; nothing is lost: run the same command again to go on", err=True)
        raise typer.Exit(130) from None


for elsewhere in (watch, submit, jobs, cancel):
    app.command()(elsewhere)


@app.command()
def log(dataset: Url, as_json: Json = False) -> None:
    """List the versions of a dataset, newest first."""
    from imageyard.service.look_commands import show_log

    show_log(dataset, as_json=as_json)


@app.command()
def show(
    dataset: Url,
    version: Number = None,
    role: Annotated[str | None, typer.Option(help="List the samples of this role.")] = None,
    limit: Annotated[int, typer.Option(help="Samples to list at most.", min=1)] = 20,
    numbers: Annotated[
        bool, typer.Option("--statistics", help="Count classes, tags, captions and rejections; kept in the dataset.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Describe a version: counts, recipe, manifests; with --role, its samples; with --statistics, its numbers."""
    if numbers:
        from imageyard.service.look_commands import show_statistics

        show_statistics(dataset, version, as_json=as_json)
        return
    from imageyard.service.look_commands import show_version

    show_version(dataset, version, role=role, limit=limit, as_json=as_json)


@app.command()
def explain(
    dataset: Url,
    image: Annotated[str, typer.Argument(help="A name as it was dropped, the beginning of a sha256, or a URL.")],
    version: Number = None,
    as_json: Json = False,
) -> None:
    """Say everything known about one image: facts, decisions, and why it was rejected."""
    from imageyard.service.look_commands import show_image

    show_image(dataset, image, version, as_json=as_json)


@app.command()
def diff(
    dataset: Url,
    older: Annotated[int, typer.Argument(min=1)],
    newer: Annotated[int, typer.Argument(min=1)],
    limit: Annotated[int, typer.Option(help="Changes to list at most.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """List what differs between two versions."""
    from imageyard.service.look_commands import show_diff

    show_diff(dataset, older, newer, limit=limit, as_json=as_json)


@app.command()
def undo(
    dataset: Url,
    to: Annotated[
        int | None, typer.Option(help="The version to go back to; if not given, the one before.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Commit a new version that says again what an older one said; images that came since stay."""
    from imageyard.service.edit_commands import take_back

    take_back(dataset, to=to, as_json=as_json)


@app.command()
def act(
    dataset: Url,
    action: Annotated[str, typer.Argument(help="restore, reject, label, caption or split.")],
    keys: Annotated[list[str], typer.Argument(help="The images' sha256, as `imageyard explain` says them.")],
    reason: Annotated[str | None, typer.Option(help="With reject: why.")] = None,
    attribute: Annotated[str | None, typer.Option(help="With label: the label attribute.")] = None,
    name: Annotated[str | None, typer.Option("--class", help="With label: the class.")] = None,
    new: Annotated[bool, typer.Option("--new", help="With label: the dataset need not have the class.")] = False,
    text: Annotated[str | None, typer.Option(help="With caption: the words.")] = None,
    to: Annotated[str | None, typer.Option(help="With split: train, validation, test or unsplit.")] = None,
    comment: Annotated[str | None, typer.Option(help="Kept with what was said.")] = None,
    if_version: Annotated[
        int | None, typer.Option(help="Only if this is the newest version; it is the one you looked at.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what no recipe changes again: that images stay or go, their class, caption or split."""
    from imageyard.service.act_command import Said, act_on

    act_on(dataset, Said(action, reason, attribute, name, new, text, to, comment, if_version), keys, as_json=as_json)


@app.command()
def dups(
    dataset: Url,
    version: Number = None,
    image: Annotated[
        str | None, typer.Option(help="Show what is like this image, with all that was ever measured between them.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="Show this tier only: pixels, copy, variant, mirrored or semantic.")
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Show only groups of which several images were kept.")] = False,
    limit: Annotated[
        int | None, typer.Option(help="Groups to list at most; 20 if not given, with --json all.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """List what is alike: which copy was kept and why, what was only flagged, where people's labels disagree."""
    from imageyard.service.dups_command import Wanted, show_duplicates

    show_duplicates(dataset, version, Wanted(image, tier, kept, limit), as_json=as_json)


@app.command()
def tags(
    dataset: Url,
    version: Number = None,
    role: OneRole = None,
    where: Where = None,
    top: Annotated[int, typer.Option(help="Tags to list at most.", min=1)] = 30,
    source: Annotated[
        str | None, typer.Option(help="Where tags are taken from: tags, or captions; what there is if not given.")
    ] = None,
    trigger: Triggers = None,
    as_json: Json = False,
) -> None:
    """Count tags: frequency, which stand together, rare, near-identical and contradicting ones, what is missing."""
    from imageyard.service.tags_command import Asked, show_tags

    show_tags(dataset, version, Asked(role, where, source, tuple(trigger or ()), top), as_json=as_json)


@app.command()
def captions(
    dataset: Url,
    version: Number = None,
    role: OneRole = None,
    where: Where = None,
    trigger: Triggers = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="A model (sd15, sdxl, sdxl-150, sdxl-225, sd3, flux), or tokens it reads.")
    ] = None,
    unit: Annotated[str, typer.Option(help="What short and long are counted in: tokens, words or tags.")] = "tokens",
    as_json: Json = False,
) -> None:
    """Judge captions: lengths in CLIP's tokens, what models would cut, rules that are broken, trigger words."""
    from imageyard.service.captions_command import Asked, show_captions

    show_captions(dataset, version, Asked(role, where, tuple(trigger or ()), tuple(limit or ()), unit), as_json=as_json)


@app.command()
def coverage(
    dataset: Url,
    version: Number = None,
    profile: Annotated[str, typer.Option(help="What is trained: character, style or concept.")] = "character",
    role: OneRole = None,
    where: Where = None,
    as_json: Json = False,
) -> None:
    """Compare a training set with a shot list: what it shows, what too often, and what to shoot or find next."""
    from imageyard.service.coverage_command import show_coverage

    show_coverage(dataset, version, profile=profile, role=role, where=where, as_json=as_json)


@app.command()
def similar(
    dataset: Url,
    image: Annotated[str, typer.Argument(help="A name, the beginning of a sha256, or a reference.", metavar="IMAGE")],
    version: Number = None,
    most: Annotated[int, typer.Option(help="How many to show.", min=1)] = 12,
    role: OneRole = None,
    where: Where = None,
    as_json: Json = False,
) -> None:
    """The images that look most like one, by the embeddings of a version."""
    from imageyard.service.similar_command import show_similar

    show_similar(dataset, image, version, most=most, role=role, where=where, as_json=as_json)


for served in (serve, key):
    app.command()(served)


def main() -> None:
    """The console script: every foreseen error is one line on standard error and exit code 2."""
    try:
        app()
    except ImageyardError as error:
        text = " ".join(str(error).split("\n")) if "--json" not in sys.argv else json.dumps({"error": str(error)})
        typer.echo(text if "--json" in sys.argv else f"error: {text}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
