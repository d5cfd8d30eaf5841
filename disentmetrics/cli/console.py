"""What is printed where: results on standard output, all else on standard error."""

import io
import json
import logging
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from disentmetrics._utils.progress import err

__all__ = ["drop_output", "err", "out", "prepare_streams", "print_json", "print_table", "print_text"]

_UNBOUNDED = 10_000  # columns
_FULL_LINE = 60  # a shorter one ends its paragraph


class _Output(Console):
    """Standard output: as wide as the terminal, and without bounds into a file or a pipe."""

    def on_broken_pipe(self) -> NoReturn:
        """Stop quietly when the reader of a pipe has left."""
        drop_output()
        raise SystemExit(0)


out = _Output()


def print_table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of text under bold headings, without lines; markup in the text is not read."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


def print_text(text: str) -> None:
    """Print a docstring; its long lines are filled anew where the terminal is narrower."""
    lines = text.splitlines()
    if max(map(len, lines), default=0) > out.width:
        lines = _filled(lines, out.width)
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _filled(lines: list[str], width: int) -> list[str]:
    joined: list[str] = []
    previous = ""
    for line in lines:
        goes_on = (
            len(previous) > _FULL_LINE and _indent(line) == _indent(previous) and not line.lstrip().startswith(">>>")
        )
        if line.strip() and goes_on:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
        previous = line
    filled = []
    for line in joined:
        indent = " " * _indent(line)
        filled += textwrap.wrap(
            line.strip(),
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return filled


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def print_json(content: Any) -> None:
    """Print JSON text, or what becomes JSON, alone on standard output."""
    plain = json.loads(content) if isinstance(content, str) else content
    text = json.dumps(plain, indent=1, ensure_ascii=not sys.stdout.encoding.lower().startswith("utf"))
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


class _Remarks(logging.Handler):
    """Shows what the library remarks on, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message alone."""
        err.print(record.getMessage(), style="dim", highlight=False, markup=False, soft_wrap=True)


def prepare_streams() -> None:
    """Send remarks to standard error, and let either stream take every letter and any width."""
    logger = logging.getLogger("disentmetrics")
    quiet = {"-q", "--quiet"} & set(sys.argv[1:])
    logger.handlers[:] = [_Remarks()]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal has no letter for
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = _UNBOUNDED


def drop_output() -> None:
    """Send what waits to be written, at exit too, where it does no harm."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
