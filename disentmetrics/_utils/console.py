"""Consoles that print text from outside as it is."""

from typing import Any

from rich.console import Console

from disentmetrics._utils.text import printable


class SafeConsole(Console):
    """A console that neither obeys control characters in a text nor replaces codes such as ``:x:`` by emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; control characters in texts become spaces, and ``::`` at the start of a line is escaped."""
        super().print(*(printable(text) if isinstance(text, str) else text for text in objects), **options)

    def print_workflow_command(self, line: str) -> None:
        """Print a line that starts with ``::`` for GitHub Actions, the texts in which are escaped already."""
        super().print(line, markup=False, highlight=False, soft_wrap=True)


err = SafeConsole(stderr=True)
"""Standard error: text printed here while a progress bar is shown appears above the bar."""
