"""Progress bars for long work; on standard error, and silent unless asked for."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")

err = Console(stderr=True)
"""Standard error: what is printed here while a bar is shown goes above the bar."""


def progress_bar(*, shown: bool) -> Progress:
    """Return a bar that says what runs, how far it is and how long it will take."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not shown)


def tracked(items: Iterable[T], total: int, description: str, *, shown: bool) -> Iterator[T]:
    """Yield the items, moving a bar along."""
    with progress_bar(shown=shown) as bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task)
