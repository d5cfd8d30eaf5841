"""Text from outside, such as names of columns, made safe to print."""

import re

_CONTROL = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"  # also order of characters, half characters
_CONTROLS = re.compile(f"[{_CONTROL}]")
_CONTROLS_IN_LINES = re.compile(f"(?![\n\t])[{_CONTROL}]")
_WORKFLOW_COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)


def one_line(text: str) -> str:
    r"""Return the text on one line: every control character becomes a space, and it does not start with ``::``.

    Lines that start with ``::`` are commands to GitHub Actions.

    Examples
    --------
    >>> one_line("a\n::error::b\x1b[31m")
    'a ::error::b [31m'
    >>> print(one_line("::error::b"))
    \::error::b
    """
    return _WORKFLOW_COMMAND.sub(r"\1\\::", _CONTROLS.sub(" ", text))


def printable(text: str) -> str:
    r"""Return a text of several lines in which every control character is a space, and no line starts with ``::``.

    Examples
    --------
    >>> print(printable("no factor is named a\n::error::b\x1b[31m"))
    no factor is named a
    \::error::b [31m
    """
    return _WORKFLOW_COMMAND.sub(r"\1\\::", _CONTROLS_IN_LINES.sub(" ", text))
