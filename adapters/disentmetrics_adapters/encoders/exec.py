"""Scheme ``exec``: a program in any language that reads .npy from stdin and writes .npy to stdout.

For each batch the program receives one .npy blob on its standard input, the observations of the data set (uint8,
(n, height, width, channels), C order), and writes one .npy blob to its standard output: codes (n, n_codes), or mean and
log-variance (n, 2, n_codes). Its standard error is free for messages.

A program that responds to each blob immediately and exits at the end of its input is started once and kept running. A
program that reads its input to the end before it responds, or exits after its first response, is started again for each
batch. The kind is detected: the first batch is followed by the end of input, to which both kinds respond; at the second
batch the end of input is delayed by about twice the duration of the first. A wrong detection costs time but does not
affect the codes.
"""

import ast
import contextlib
import io
import math
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from disentmetrics.encoders.protocol import Encoder, Posterior
from disentmetrics.errors import EncoderError, InvalidInputError
from disentmetrics_adapters.encoders._options import choice, log, positive_number

MAGIC = b"\x93NUMPY"
ONLY_BLOBS = "must write one .npy blob per batch to its standard output, and nothing else"
MAX_HEADER_BYTES = 1 << 16
STDERR_BYTES = 4096
STDERR_LINES = 8
GRACE_SECONDS = 5.0  # for a program to exit after the end of its input
MAX_BYTES_PER_ROW = 1 << 20
_WATCHDOG = """
import os, signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.stdin.buffer.read()
try:
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
except OSError:
    pass
"""
"""Kills a group of processes when its standard input closes, which the death of its parent does in every case."""


class ExecEncoder:
    """A program as an encoder; as a context manager it terminates the program at the end.

    Parameters
    ----------
    arguments : list of str
        The program and its arguments, which no shell interprets.
    timeout : float
        Maximum number of seconds per batch, including the start of the program.
    loop : {"auto", "yes", "no"}
        Whether the program responds to several blobs in turn; ``auto`` detects it.

    Raises
    ------
    InvalidInputError
        If the program does not exist.
    EncoderError
        When called: if the program crashes, times out, or writes anything but codes.

    Examples
    --------
    >>> code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    >>> with ExecEncoder([sys.executable, "-c", code]) as echo:
    ...     echo(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    def __init__(self, arguments: list[str], *, timeout: float = 120.0, loop: str = "auto") -> None:
        self._arguments = [_program(arguments[0]), *arguments[1:]]
        self._timeout = timeout
        self._loop = choice("loop", loop, ("auto", "yes", "no"))
        self._first_seconds: float | None = None
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Terminate the program if it is running."""
        process, self._process = self._process, None
        if process:
            process.end()

    def __call__(self, observations: NDArray[np.generic], /) -> NDArray[np.floating] | Posterior:
        """Encode a batch (n, ...)."""
        with self._lock:
            try:
                return self._encode(np.asarray(observations))
            except BaseException:  # including Ctrl-C, which must leave no process behind
                process, self._process = self._process, None
                if process:
                    process.kill()
                raise

    def _encode(self, observations: NDArray[np.generic]) -> NDArray[np.floating] | Posterior:
        started = time.monotonic()
        blob = _npy(observations)
        answer = None
        if self._process:
            answer = self._ask(self._process, blob, len(observations), started)
        if answer is None:
            self._process = _Process(self._arguments)
            answer = self._ask(self._process, blob, len(observations), started)
            assert answer is not None  # noqa: S101 - only a process that has answered before can return None
        self._first_seconds = self._first_seconds or time.monotonic() - started
        codes = answer.astype(answer.dtype.newbyteorder("=") if answer.dtype.kind == "f" else np.float64)
        return Posterior(codes[:, 0], codes[:, 1]) if codes.ndim == 3 else codes

    def _ask(self, process: "_Process", blob: bytes, n: int, started: float) -> NDArray[Any] | None:
        """Return the response; None if a kept program has exited without error after its last response."""
        process.deadline = started + self._timeout
        process.send(blob)
        if self._loop == "auto" and self._first_seconds is not None:
            self._loop = "yes" if process.answers_within(2 * self._first_seconds + 1) else "no"
            kept = "kept running" if self._loop == "yes" else "started again for each batch"
            log.info("the program %s is %s", process.name, kept)
        if self._loop != "yes":
            process.end_input()
        if process.has_answered and process.has_ended_well():
            log.info("the program %s exits after each batch and is started again for the next", process.name)
            self._loop, self._process = "no", None
            process.kill()
            return None
        answer = process.receive(n)
        if self._loop != "yes":
            process.expect_end()
            self._process = None
        return answer


class _Process:
    """A running program. Threads serve its three pipes, so that none can block."""

    def __init__(self, arguments: list[str]) -> None:
        self.name = arguments[0]
        self.deadline = 0.0
        self.has_answered = False
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - to run the user's program is the purpose
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=os.name == "posix",  # so that its children are killed with it
            )
        except OSError as error:
            raise InvalidInputError(f"{arguments[0]} cannot be run: {error.strerror or error}") from error
        # Neither an encoder that is garbage-collected nor a process that is killed may leave the program running.
        watchdog = _start_watchdog(self._popen) if os.name == "posix" else None
        self._finalizer = weakref.finalize(self, _kill, self._popen, watchdog)
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._output: queue.Queue[bytes] = queue.Queue(maxsize=64)
        self._buffer = bytearray()
        self._errors = bytearray()
        self._threads = [
            _start(_write_blobs, self._popen.stdin, self._input),
            _start(_read_chunks, self._popen.stdout, self._output),
            _start(_keep_tail, self._popen.stderr, self._errors),
        ]

    def send(self, blob: bytes) -> None:
        """Send a blob; raise if the program has written more than its last response."""
        if self.has_answered:
            with contextlib.suppress(queue.Empty):
                self._keep(self._output.get_nowait())
            self._check_nothing_left()
        self._input.put(blob)

    def end_input(self) -> None:
        self._input.put(None)

    def answers_within(self, seconds: float) -> bool:
        """Wait for the first bytes of a response; return whether they arrived in time."""
        try:
            chunk = self._output.get(timeout=max(0.0, min(seconds, self.deadline - time.monotonic())))
        except queue.Empty:
            return False
        self._keep(chunk)
        return bool(chunk)

    def has_ended_well(self) -> bool:
        """Wait for output or exit; return whether the program exited without error or output."""
        try:
            chunk = b"" if self._buffer else self._output.get(timeout=max(0.0, self.deadline - time.monotonic()))
        except queue.Empty:
            return False  # receive() raises the error
        if self._buffer or chunk:
            self._keep(chunk)
            return False
        self._keep(chunk)
        return self._exit_code() == 0

    def receive(self, n: int) -> NDArray[Any]:
        """Read one .npy blob with ``n`` rows."""
        for n_bytes in range(1, len(MAGIC) + 1):  # byte by byte, so as not to wait for the rest of an invalid response
            if self._read(n_bytes, keep=True) != MAGIC[:n_bytes]:
                raise self.failure(f"{ONLY_BLOBS}; it wrote {bytes(self._buffer[:50])!r}")
        start = self._read(8)
        length = int.from_bytes(self._read(2 if start[6] == 1 else 4), "little")
        if length > MAX_HEADER_BYTES:
            raise self.failure(f"wrote a .npy header of {length} bytes; the maximum is {MAX_HEADER_BYTES}")
        shape, dtype, by_columns = self._parsed(self._read(length))
        if dtype.kind not in "fiu":
            raise self.failure(f"must return real numbers; its .npy contains {dtype}")
        if math.prod(shape) * dtype.itemsize > n * MAX_BYTES_PER_ROW:
            raise self.failure(
                f"must return at most {MAX_BYTES_PER_ROW >> 20} MB per observation; its .npy has shape {shape}"
            )
        if not (len(shape) == 2 or (len(shape) == 3 and shape[1] == 2)) or shape[0] != n or min(shape) < 1:
            raise self.failure(
                f"must return codes ({n}, n_codes), or mean and log-variance ({n}, 2, n_codes), for a batch of {n}; "
                f"its .npy has shape {shape}"
            )
        flat = np.frombuffer(self._read(math.prod(shape) * dtype.itemsize), dtype)
        self.has_answered = True
        return flat.reshape(shape, order="F" if by_columns else "C")

    def _parsed(self, header: bytes) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
        try:
            entries = ast.literal_eval(header.decode("latin1").strip())
            shape = tuple(int(size) for size in entries["shape"])
            return shape, np.dtype(entries["descr"]), bool(entries["fortran_order"])
        except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
            raise self.failure(f"wrote a .npy header that cannot be read: {header[:100]!r}") from error

    def _read(self, n: int, *, keep: bool = False) -> bytes:
        while len(self._buffer) < n:
            try:
                chunk = self._output.get(timeout=max(0.0, self.deadline - time.monotonic()))
            except queue.Empty:
                raise self.failure(
                    f"did not respond in time ({len(self._buffer)} of {n} bytes received); "
                    "increase the limit by timeout="
                ) from None
            self._keep(chunk)
            if not chunk:
                raise self._ended_early(n)
        content = bytes(self._buffer[:n])
        if not keep:
            del self._buffer[:n]
        return content

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._buffer += chunk
        else:
            self._output.put(chunk)  # for the next reader

    def _ended_early(self, n: int) -> EncoderError:
        code = self._exit_code()
        if code:
            return self.failure(f"crashed before it responded ({_exit(code)})")
        received = f"{len(self._buffer)} of {n} bytes" if self._buffer else "nothing"
        return self.failure(f"exited, or closed its standard output, before it responded: {received} received")

    def expect_end(self) -> None:
        """Check that the program writes nothing after its last response and exits with code 0."""
        self.deadline = time.monotonic() + GRACE_SECONDS
        if self.answers_within(GRACE_SECONDS):
            self._check_nothing_left()
        self._check_nothing_left()
        code = self._exit_code(max(0.1, self.deadline - time.monotonic()))
        if code:
            raise self.failure(f"responded, but then failed ({_exit(code)})")
        if code is None:
            log.warning("the program %s did not exit at the end of its input and was killed", self.name)
        self.kill()

    def _check_nothing_left(self) -> None:
        if self._buffer:
            raise self.failure(f"{ONLY_BLOBS}; after its response it wrote {bytes(self._buffer[:50])!r}")

    def _exit_code(self, wait: float = 1.0) -> int | None:
        try:
            return self._popen.wait(wait)
        except subprocess.TimeoutExpired:
            return None

    def failure(self, what: str) -> EncoderError:
        """Kill the program and return the error, with the last lines of its standard error."""
        self.kill()
        lines = self._errors.decode(errors="replace").strip().splitlines()[-STDERR_LINES:]
        tail = ". Its standard error ends with:\n" + "\n".join(lines) if lines else "; its standard error is empty"
        return EncoderError(f"the program {self.name} {what}{tail}")

    def end(self) -> None:
        """Close the input, wait for the program to exit, and kill remaining processes."""
        self.end_input()
        self._exit_code(GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the program and its children, and wait for the threads."""
        self._finalizer()
        self.end_input()
        with contextlib.suppress(queue.Empty):
            while True:  # the reader may be waiting for room in the queue
                self._output.get_nowait()
        for thread in self._threads:
            thread.join(1.0)


def _start(serve: Any, pipe: IO[bytes] | None, store: Any) -> threading.Thread:
    thread = threading.Thread(target=serve, args=(pipe, store), daemon=True)
    thread.start()
    return thread


def _write_blobs(pipe: IO[bytes], blobs: "queue.SimpleQueue[bytes | None]") -> None:
    with contextlib.suppress(OSError), pipe:  # the reader detects a program that has exited
        while (blob := blobs.get()) is not None:
            view = memoryview(blob)
            while view:
                view = view[pipe.write(view) :]


def _read_chunks(pipe: IO[bytes], chunks: "queue.Queue[bytes]") -> None:
    with contextlib.suppress(OSError), pipe:
        while chunk := pipe.read(1 << 16):
            chunks.put(chunk)
    chunks.put(b"")


def _keep_tail(pipe: IO[bytes], tail: bytearray) -> None:
    with contextlib.suppress(OSError), pipe:
        while chunk := pipe.read(1 << 16):
            tail += chunk
            del tail[:-STDERR_BYTES]


def _start_watchdog(popen: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - a program of our own
        [sys.executable, "-IS", "-c", _WATCHDOG, str(popen.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that a signal to the group of this process leaves it alive
    )


def _kill(popen: "subprocess.Popen[bytes]", watchdog: "subprocess.Popen[bytes] | None") -> None:
    with contextlib.suppress(OSError):  # it may have exited already
        if os.name == "posix":
            os.killpg(popen.pid, signal.SIGKILL)
        else:
            popen.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(GRACE_SECONDS)
    if watchdog is not None:
        watchdog.kill()  # before the number of the group can belong to others
        watchdog.wait()
        if watchdog.stdin is not None:
            watchdog.stdin.close()


def _npy(observations: NDArray[np.generic]) -> bytes:
    blob = io.BytesIO()
    np.lib.format.write_array(blob, np.ascontiguousarray(observations), allow_pickle=False)
    return blob.getvalue()


def _exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by signal {-code}, {signal.strsignal(-code)}"


def _program(name: str) -> str:
    if name == "python" and sys.executable and not {"VIRTUAL_ENV", "CONDA_PREFIX"} & set(os.environ):
        return sys.executable  # disentmetrics may run from an environment that is not activated
    path = shutil.which(name)
    if path is None:
        reason = "is not executable (chmod +x)" if os.path.isfile(name) else "does not exist"  # noqa: PTH113 - "./x" is not "x"
        raise InvalidInputError(f"the program {name!r} {reason}; give one on the PATH, or a path such as ./my-encoder")
    return path


def load(target: str, *, timeout: str = "120", loop: str = "auto") -> Encoder:
    """Run a program in any language: .npy from stdin, .npy to stdout.

    The target is the program and its arguments, split as in a shell but run
    without one; ``python`` is the Python of the activated environment, or else the
    one that runs disentmetrics. For each batch the program receives one .npy blob,
    uint8 (n, height, width, channels), and writes one .npy blob: codes (n,
    n_codes), or mean and log-variance (n, 2, n_codes). It may respond to one
    blob after another until its input ends (it is then started once), or only to one.

    Options
    -------
    timeout : seconds, default 120
        Maximum duration of one batch, including the start of the program.
    loop : auto, yes or no; default auto
        Whether the program responds to several blobs in turn; auto detects it at the
        second batch.

    Example
    -------
    exec:python my_encoder.py --width 10?timeout=600
    """
    try:
        arguments = shlex.split(target, posix=os.name == "posix")
    except ValueError as error:
        raise InvalidInputError(f"the program and its arguments cannot be split: {error} in {target!r}") from error
    if not arguments:
        raise InvalidInputError("exec: requires a program, such as exec:./my-encoder; got nothing after the colon")
    return ExecEncoder(arguments, timeout=positive_number("timeout", timeout), loop=loop)
