"""The command line: it reads arguments, calls the verbs and shows results.

A command or a group of commands is a module of this package that adds itself to ``app``;
such modules are found by themselves, and so are those of other packages that are entry points
of the group ``disentmetrics.commands``.
"""

import errno
import pkgutil
import sys
from importlib import import_module
from importlib.metadata import entry_points

import typer

from disentmetrics.cli.base import ENCODER_FAILED, INTERRUPTED, OK, WRONG_INPUT, app
from disentmetrics.cli.console import drop_output, err, out, prepare_streams
from disentmetrics.errors import DisentmetricsError, EncoderError

__all__ = ["app", "main"]

_FIRST = "scoring"  # the main verbs lead the help
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

for _name in (_FIRST, *(listed.name for listed in pkgutil.iter_modules(__path__))):
    import_module(f"{__name__}.{_name}")
for _entry_point in sorted(entry_points(group="disentmetrics.commands"), key=lambda e: e.name):
    _entry_point.load()


def main() -> None:
    """Run the command line; exit 0 fine, 1 a check failed, 2 wrong input, 3 an encoder failed."""
    prepare_streams()
    try:
        code = app(prog_name="disentmetrics", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):  # which of them depends on the version of typer, or it exits with 130
        code = INTERRUPTED
    except BrokenPipeError:
        out.on_broken_pipe()
    except Exception as error:
        sentence, code = _explained(error)
        if sentence:
            err.print(f"error: {sentence}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(code) from error
    if code == INTERRUPTED:
        err.print("error: interrupted; nothing half-written was left behind", style="red", highlight=False)
    raise SystemExit(code or OK)


def _explained(error: Exception) -> tuple[str, int]:
    """Return what to say of an error and how to end; raise it again if it is a fault of ours."""
    if isinstance(error, EncoderError):
        return str(error), ENCODER_FAILED
    if isinstance(error, DisentmetricsError):
        return str(error), WRONG_INPUT
    if hasattr(error, "format_message"):  # as errors of the argument parser have, empty where the help is printed
        sentence, context = error.format_message().strip().rstrip("."), getattr(error, "ctx", None)
        return f"{sentence}; see {context.command_path} --help" if sentence and context else sentence, WRONG_INPUT
    if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
        drop_output()
        return f"the output could not be written: {error.strerror}", WRONG_INPUT
    raise error
