"""Shared by all commands: the app they are added to, exit codes, options and checks of options."""

import os
from pathlib import Path
from typing import Annotated, Any

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
    """Return the number of jobs; raise InvalidInputError if it is 0."""
    if value == 0:
        raise InvalidInputError("--jobs must be at least 1, or -1 to use all CPUs; got 0")
    return value


SeedOption = Annotated[int, typer.Option(min=0, metavar="N", help="Random seed.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Hide the progress bar and notes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        callback=checked_jobs,
        help="Number of threads; -1 uses all CPUs. Results do not depend on it.",
    ),
]


_SHORT_TYPES = {
    "<int>": "N", "<int range>": "N", "<float>": "X", "<float range>": "X", "<str>": "TEXT", "<list[str]>": "TEXT",
    "<path>": "PATH", "<list[Path]>": "PATH", "<bool>": "",
}  # fmt: skip


def with_short_types(command: Any) -> Any:
    """Return the command with short placeholders for the types of its options.

    The help is a table of names, types and texts. At 80 columns the text needs the width that long types would use.
    """
    for option in command.params:
        if option.param_type_name != "option" or option.metavar is not None or not hasattr(option, "display_type"):
            continue
        displayed = option.display_type(None)
        choices = displayed.strip("<>").split("|")
        if len(choices) > 1:
            option.metavar = "NAME"
            option.help = f"{option.help.rstrip('.')}: {', '.join(choices[:-1])} or {choices[-1]}."
        else:
            option.metavar = "" if option.is_flag else _SHORT_TYPES.get(displayed)
    for subcommand in getattr(command, "commands", {}).values():
        with_short_types(subcommand)
    return command


def _version(value: bool) -> None:
    if value:
        out.print(f"disentmetrics {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Score any encoder for disentanglement, with numbers that can be trusted and compared."""


def check_output(path: Path | None) -> None:
    """Raise InvalidInputError, before any work, if the output file could not be written."""
    if path is None:
        return
    if path.is_dir():
        raise InvalidInputError(f"--out must name a file; {path} is a folder")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise InvalidInputError(f"--out must be in a folder; {parent} is a file")
    if not os.access(parent, os.W_OK):
        raise InvalidInputError(f"--out must be in a folder with write permission; {parent} has none")
