"""Printing: results go to standard output, everything else to standard error."""

import io
import json
import logging
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from disentmetrics._utils.console import SafeConsole, err
from disentmetrics._utils.plain import to_plain
from disentmetrics._utils.tables import TextTable

__all__ = ["drop_output", "err", "out", "prepare_streams", "print_json", "print_table", "print_text"]

_UNBOUNDED = 10_000  # columns
_FULL_LINE = 60  # characters; a shorter line ends its paragraph


class _Output(SafeConsole):
    """Standard output: as wide as the terminal, and of unlimited width in a file or a pipe."""

    def on_broken_pipe(self) -> NoReturn:
        """Exit quietly when the reader of a pipe has closed it."""
        drop_output()
        raise SystemExit(0)


out = _Output()


def print_table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of text under bold headings, without lines; markup in the text is printed literally."""
    out.print(TextTable(headings, rows, align="l" * len(headings)).to_rich())


def print_text(text: str) -> None:
    """Print a docstring; paragraphs are rewrapped where the terminal is narrower than their lines."""
    lines = text.splitlines()
    if max(map(len, lines), default=0) > out.width:
        lines = _rewrapped(lines, out.width)
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _rewrapped(lines: list[str], width: int) -> list[str]:
    joined: list[str] = []
    previous = ""
    for line in lines:
        continues_paragraph = (
            len(previous) > _FULL_LINE and _indent(line) == _indent(previous) and not line.lstrip().startswith(">>>")
        )
        if line.strip() and continues_paragraph:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
        previous = line
    wrapped = []
    for line in joined:
        indent = " " * _indent(line)
        wrapped += textwrap.wrap(
            line.strip(),
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return wrapped


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def print_json(content: Any) -> None:
    """Print JSON text, or an object as JSON, to standard output."""
    plain = json.loads(content) if isinstance(content, str) else to_plain(content)
    text = json.dumps(plain, indent=1, ensure_ascii=not sys.stdout.encoding.lower().startswith("utf"))
    text = re.sub("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]", lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


class _NoteHandler(logging.Handler):
    """Prints messages of the library, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message without level or logger name."""
        err.print(record.getMessage(), style="dim", highlight=False, markup=False, soft_wrap=True)


def prepare_streams() -> None:
    """Send notes to standard error, and let both streams print any character and lines of any width."""
    logger = logging.getLogger("disentmetrics")
    quiet = {"-q", "--quiet"} & set(sys.argv[1:])
    logger.handlers[:] = [_NoteHandler()]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for characters that the terminal cannot show
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = _UNBOUNDED


def drop_output() -> None:
    """Redirect standard output to the null device, so that flushing it at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
