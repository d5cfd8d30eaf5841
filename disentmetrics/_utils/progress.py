"""Progress bars on standard error; none unless requested."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from disentmetrics._utils.console import err

T = TypeVar("T")


def progress_bar(*, shown: bool) -> Progress:
    """Return a bar with description, progress and remaining time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not shown)


def tracked(items: Iterable[T], total: int, description: str, *, shown: bool) -> Iterator[T]:
    """Yield the items and advance a progress bar."""
    with progress_bar(shown=shown) as bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task)
