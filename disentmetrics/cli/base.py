"""What commands share: the app they are added to, exit codes, options, checks of options."""

import os
from pathlib import Path
from typing import Annotated

import typer

from disentmetrics._version import __version__
from disentmetrics.cli.console import out
from disentmetrics.errors import InvalidInputError

OK, CHECK_FAILED, WRONG_INPUT, ENCODER_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="disentmetrics",
    help="Score any encoder for disentanglement, with numbers that can be trusted and compared.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def checked_jobs(value: int) -> int:
    """Return a number of jobs; raise InvalidInputError at 0, which means nothing."""
    if value == 0:
        raise InvalidInputError("--jobs must be a number from 1, or -1 for one a processor; got 0")
    return value


SeedOption = Annotated[int, typer.Option(min=0, help="Decides every random draw.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no remarks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, for machines.")]
JobsOption = Annotated[
    int,
    typer.Option("--jobs", "-j", callback=checked_jobs, help="Threads; -1 for one a processor. Numbers stay equal."),
]


def _version(value: bool) -> None:
    if value:
        out.print(f"disentmetrics {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Score any encoder for disentanglement, with numbers that can be trusted and compared."""


def check_output(path: Path | None) -> None:
    """Refuse before the work what could not be written after it."""
    if path is None:
        return
    if path.is_dir():
        raise InvalidInputError(f"--out must name a file; {path} is a folder")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise InvalidInputError(f"--out must lie in a folder; {parent} is a file")
    if not os.access(parent, os.W_OK):
        raise InvalidInputError(f"--out must lie in a folder that can be written; {parent} cannot")
