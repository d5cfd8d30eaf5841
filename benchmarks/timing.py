"""Cost of a job: wall time, CPU time and memory, measured in a separate process.

The process is forked, so a job finds its input in place, while memory kept or freed by earlier
jobs has no effect. Requires a system that forks (Linux, macOS).
"""

import multiprocessing
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Cost:
    """Cost of one run: the median of several."""

    seconds: float
    cpu_seconds: float
    extra_bytes: int
    """Largest resident memory during the job, less what was resident before."""
    total_bytes: int
    """Largest resident memory, the input included."""
    value: Any
    """What the last run returned."""


def clock(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall seconds, processor seconds and the value of one run in this process."""
    wall, processor = time.perf_counter(), time.process_time()
    value = work()
    return time.perf_counter() - wall, time.process_time() - processor, value


def measure(work: Callable[..., Any], *given: Any, repeats: int = 3) -> Cost:
    """Run ``work(*given)`` in a forked process, several times, and return the median of each cost."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=_report, args=(lambda: work(*given), repeats, there))
    with warnings.catch_warnings():
        # Python 3.12 warns of threads that hold locks; those of linear algebra libraries wait idle.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    there.close()
    try:
        cost: Cost = here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the measured job died with exit code {process.exitcode}") from None
    process.join()
    return cost


def _report(work: Callable[[], Any], repeats: int, there: Connection) -> None:
    before = _peak_bytes()
    seconds, cpu_seconds, values = zip(*(clock(work) for _ in range(repeats)), strict=True)
    peak = _peak_bytes()
    there.send(Cost(statistics.median(seconds), statistics.median(cpu_seconds), peak - before, peak, values[-1]))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
