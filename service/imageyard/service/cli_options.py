"""Arguments and options that several commands have, said once."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Url = Annotated[str, typer.Argument(help="URL of the dataset: s3:// gs:// az:// or file://", metavar="DATASET")]
Number = Annotated[int | None, typer.Option("--version", "-v", help="Version number; the newest if not given.", min=1)]
Where = Annotated[str | None, typer.Option(help="A condition on images, such as: class == cat and tags > 5")]
OneRole = Annotated[str | None, typer.Option("--role", help="Samples of this role; all but the rejected if not given.")]
Triggers = Annotated[list[str] | None, typer.Option("--trigger", help="A trigger word; may be given more than once.")]
