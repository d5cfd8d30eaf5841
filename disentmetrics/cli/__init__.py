"""The command line: it parses arguments, calls the functions of the package and shows results.

A command or a group of commands is a module of this package that adds itself to ``app``. All such modules are imported
here, followed by the entry points of the group ``disentmetrics.commands`` in installed packages. An entry point that
cannot be imported costs its own commands and a warning.
"""

import contextlib
import errno
import logging
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import NoReturn

import typer

from disentmetrics.cli.base import ENCODER_FAILED, INTERRUPTED, OK, WRONG_INPUT, app, with_short_types
from disentmetrics.cli.console import drop_output, err, out, prepare_streams
from disentmetrics.errors import DisentmetricsError, EncoderError, one_line

__all__ = ["app", "main"]

_FIRST = "scoring"  # the main commands come first in the help
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

_OF_THE_MACHINE: dict[type[Exception], str] = {
    OSError: "a file or folder cannot be used",
    UnicodeError: "a text or the name of a file cannot be represented",
    MemoryError: "there is too little memory",
    RecursionError: "the input is nested too deeply",
}
"""Errors that no reader describes better, and what they mean."""

for _name in (_FIRST, *(listed.name for listed in pkgutil.iter_modules(__path__))):
    import_module(f"{__name__}.{_name}")


def _import_extensions() -> list[str]:
    """Import the commands of installed packages; return a warning for each that cannot be imported."""
    warnings = []
    for entry_point in sorted(entry_points(group="disentmetrics.commands"), key=lambda e: e.name):
        try:
            entry_point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - code of other packages may raise anything
            origin = entry_point.dist.name if entry_point.dist else entry_point.module
            warnings.append(f"warning: the commands of the package {origin!r} cannot be imported: {one_line(error)}")
    return warnings


_extension_warnings = _import_extensions()


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that files and programs of encoders are tidied up.

    Yields
    ------
    list of int
        The signals that were received.
    """
    received: list[int] = []

    def handler(number: int, _frame: object) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    numbers = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()
    handled = [n for n in numbers if is_main and signal.getsignal(n) is signal.SIG_DFL]  # nohup ignores SIGHUP
    for number in handled:
        signal.signal(number, handler)
    try:
        yield received
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def main() -> None:
    """Run the command line; exit with 0 for success, 1 if a check failed, 2 for wrong input, 3 if an encoder failed."""
    prepare_streams()
    if "_DISENTMETRICS_COMPLETE" not in os.environ:  # completion in a shell prints completions alone
        for warning in _extension_warnings:
            logging.getLogger("disentmetrics").warning("%s", warning)
    received: list[int] = []
    try:
        with _interrupted_by_signals() as received:
            code = with_short_types(typer.main.get_command(app))(prog_name="disentmetrics", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):  # depending on the version of typer; others return 130
        code = INTERRUPTED
    except BrokenPipeError:
        out.on_broken_pipe()
    except Exception as error:
        message, code = _message_and_code(error)
        if message:
            err.print(f"error: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(code) from error
    if code == INTERRUPTED:
        code = 128 + received[0] if received else INTERRUPTED
        err.print("error: interrupted; nothing half-written was left behind", style="red", highlight=False)
    raise SystemExit(code or OK)


def _message_and_code(error: Exception) -> tuple[str, int]:
    """Return the message for an error and the exit code; raise an unexpected error again."""
    if isinstance(error, EncoderError):
        return str(error), ENCODER_FAILED
    if isinstance(error, DisentmetricsError):
        return str(error), WRONG_INPUT
    if hasattr(error, "format_message"):  # an error of the argument parser; empty where the help is printed instead
        message, context = error.format_message().strip().rstrip("."), getattr(error, "ctx", None)
        return f"{message}; see {context.command_path} --help" if message and context else message, WRONG_INPUT
    if isinstance(error, OSError) and error.filename is None and error.errno in _DISK_FULL:
        drop_output()
        return f"the output could not be written: {error.strerror}", WRONG_INPUT
    for kind, what in _OF_THE_MACHINE.items():
        if isinstance(error, kind):
            return f"{what}: {one_line(error)}", WRONG_INPUT
    raise error
