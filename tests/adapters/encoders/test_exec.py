"""Programs in any language as encoders."""

import gc
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import disentmetrics_adapters.encoders.exec as module
import numpy as np
import pytest
from disentmetrics_adapters.encoders.exec import ExecEncoder
from numpy.typing import NDArray

from disentmetrics.encoders.protocol import Posterior
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import EncoderError, InvalidInputError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are looked at in the way of POSIX")

EXAMPLES = Path(__file__).parents[3] / "examples"

# First lines of every program of these tests; without numpy, so that it starts immediately.
PRELUDE = """
import os, struct, sys, time
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
with open("starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")

def read():
    start = stdin.read(10)
    if not start:
        return None
    assert start[:6] == b"\\x93NUMPY", start
    header = eval(stdin.read(start[8] + 256 * start[9]))
    assert header["descr"] == "|u1", header
    n_bytes = 1
    for size in header["shape"]:
        n_bytes *= size
    pixels = stdin.read(n_bytes)
    width = n_bytes // header["shape"][0]
    return [pixels[i : i + width] for i in range(0, n_bytes, width)]

def blob(values, shape, descr="<f8", code="d", fortran=False):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {tuple(shape)}, }}\\n".encode()
    start = b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(header)) + header
    return start + struct.pack(f"{'>' if descr[0] == '>' else '<'}{len(values)}{code}", *values)

def write(*arguments, **options):
    stdout.write(blob(*arguments, **options))
    stdout.flush()

def sums(images):
    return [float(sum(image)) for image in images]
"""

LOOP = """
while (images := read()) is not None:
    write(sums(images), (len(images), 1))
"""

TO_THE_END = """
import io
stdin = io.BytesIO(stdin.read())
images = read()
write(sums(images), (len(images), 1))
"""

ONE_ANSWER = """
images = read()
write(sums(images), (len(images), 1))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def program(folder: Path) -> Callable[[str], list[str]]:
    def write(source: str) -> list[str]:
        (folder / "program.py").write_text(PRELUDE + textwrap.dedent(source))
        return [sys.executable, "-S", "program.py"]

    return write


Program = Callable[[str], list[str]]
IMAGES = np.arange(24, dtype=np.uint8).reshape(3, 2, 2, 2)


def started() -> list[int]:
    return [int(line) for line in Path("starts").read_text().split()]


def is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)  # a zombie child would still exist
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def expected(images: NDArray[np.uint8]) -> list[list[float]]:
    return images.reshape(len(images), -1).sum(axis=1, keepdims=True, dtype=float).tolist()  # type: ignore[no-any-return]  # tolist is untyped


# Ways of working


@pytest.mark.parametrize(
    ("source", "loop", "n_starts"),
    [
        (LOOP, "auto", 2),
        (LOOP, "yes", 1),
        (LOOP, "no", 5),
        (TO_THE_END, "auto", 5),
        (TO_THE_END, "no", 5),
        (ONE_ANSWER, "auto", 5),
        (ONE_ANSWER, "yes", 5),
        (ONE_ANSWER, "no", 5),
    ],
)
def test_every_kind_of_program_answers_every_batch(program: Program, source: str, loop: str, n_starts: int) -> None:
    with ExecEncoder(program(source), loop=loop) as encoder:
        for n in (3, 1, 2, 3, 3):
            codes: Any = encoder(IMAGES[:n])
            assert codes.tolist() == expected(IMAGES[:n])
    assert len(started()) == n_starts
    assert all(is_gone(pid) for pid in started())


def test_a_program_that_stops_looping_is_started_again(program: Program) -> None:
    source = """
    for _ in range(3):
        if (images := read()) is not None:
            write(sums(images), (len(images), 1))
    """
    with ExecEncoder(program(source)) as encoder:
        for _ in range(7):
            codes: Any = encoder(IMAGES)
            assert codes.tolist() == expected(IMAGES)


def test_the_detected_kind_is_logged(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "disentmetrics"), ExecEncoder(program(LOOP)) as encoder:
        encoder(IMAGES)
        encoder(IMAGES)
    assert "is kept running" in caplog.text


@pytest.mark.parametrize(
    ("descr", "code", "fortran"),
    [
        ("<f8", "d", False),
        (">f8", "d", False),
        ("<f4", "f", True),
        ("<f2", "e", False),
        ("<i4", "i", False),
        ("|u1", "B", True),
    ],
)
def test_every_real_number_type_and_both_orders_are_read(
    program: Program,
    descr: str,
    code: str,
    fortran: bool,
) -> None:
    source = f"""
    import io
    stdin.read()
    write([1, 2, 3, 4, 5, 6], (3, 2), descr={descr!r}, code={code!r}, fortran={fortran})
    """
    codes: Any = ExecEncoder(program(source))(IMAGES)
    assert codes.tolist() == ([[1, 4], [2, 5], [3, 6]] if fortran else [[1, 2], [3, 4], [5, 6]])
    assert codes.dtype.isnative
    assert codes.dtype.kind == "f"


def test_two_rows_per_observation_are_mean_and_log_variance(program: Program) -> None:
    codes = ExecEncoder(program("read(); write(list(range(12)), (3, 2, 2))"))(IMAGES)
    assert isinstance(codes, Posterior)
    assert codes.mean.tolist() == [[0, 1], [4, 5], [8, 9]]
    assert codes.log_variance.tolist() == [[2, 3], [6, 7], [10, 11]]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_of_the_npy_header_is_read(program: Program, version: int) -> None:
    source = f"""
    read()
    old = blob([1, 2, 3], (3, 1))
    length = struct.pack("<H" if {version} == 1 else "<I", struct.unpack("<H", old[8:10])[0])
    stdout.write(old[:6] + bytes([{version}, 0]) + length + old[10:])
    """
    codes: Any = ExecEncoder(program(source))(IMAGES)
    assert codes.tolist() == [[1], [2], [3]]


# Pipes that fill up


def test_much_standard_error_blocks_nothing(program: Program) -> None:
    source = """
    sys.stderr.write("x" * 5_000_000)
    while (images := read()) is not None:
        sys.stderr.write("y\\n" * 500_000)
        write(sums(images), (len(images), 1))
        sys.stderr.write("z" * 5_000_000)
    """
    with ExecEncoder(program(source), timeout=60) as encoder:
        for _ in range(3):
            codes: Any = encoder(IMAGES)
            assert codes.tolist() == expected(IMAGES)


def test_a_program_that_answers_before_it_has_read_blocks_nothing(program: Program) -> None:
    source = "write([1.0] * 400_000, (4, 100_000)); stdin.read()"
    big = np.zeros((4, 1000, 1000, 1), np.uint8)
    codes = ExecEncoder(program(source), timeout=60)(big)
    assert np.asarray(codes).shape == (4, 100_000)


def test_a_program_that_never_reads_may_still_respond(program: Program) -> None:
    big = np.zeros((4, 1000, 1000, 1), np.uint8)
    codes = ExecEncoder(program("write([1.0] * 4, (4, 1))"), timeout=60)(big)
    assert np.asarray(codes).tolist() == [[1]] * 4


# What goes wrong


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("print('hello', flush=True); stdin.read()", r"nothing else; it wrote b'hello"),
        ("sys.stderr.write('hm'); print('hi', flush=True); time.sleep(60)", r"nothing else; it wrote b'hi"),
        ("stdin.read()", "before it responded: nothing received"),
        ("os.close(1); stdin.read(); time.sleep(60)", "closed its standard output"),
        ("read(); stdout.write(blob([1.0] * 3, (3, 1))[:-5])", "19 of 24 bytes received"),
        ("read(); stdout.write(blob([1.0] * 3, (3, 1))[:30])", "20 of "),
        ("read(); write([1.0] * 2, (2, 1))", r"codes \(3, n_codes\).*for a batch of 3.*has shape \(2, 1\)"),
        ("read(); write([1.0] * 3, (3,))", r"has shape \(3,\)"),
        ("read(); write([1.0] * 9, (3, 3, 1))", r"has shape \(3, 3, 1\)"),
        ("read(); write([], (3, 0))", r"has shape \(3, 0\)"),
        ("read(); write([1.0] * 3, (3, -1))", r"has shape \(3, -1\)"),
        ("read(); write([1.0] * 3, (3, 10**15)); stdout.flush()", "at most 1 MB per observation"),
        ("read(); write([1.0] * 3, (3, 1000)); stdout.flush()", "bytes received"),
        ("read(); write([1] * 3, (3, 1), descr='|b1', code='B')", "real numbers; its .npy contains bool"),
        ("read(); write([1.0] * 3, (3, 1), descr='|O')", "real numbers; its .npy contains object"),
        ("read(); write([1.0] * 3, (3, 1), descr='nonsense')", "header that cannot be read"),
        ("stdout.write(b'\\x93NUMPY\\x01\\x00\\x05\\x00{{{{{')", r"header that cannot be read: b'\{\{"),
        ("stdout.write(b'\\x93NUMPY\\x02\\x00\\xff\\xff\\xff\\xff')", "header of 4294967295 bytes"),
        ("read(); write([1.0] * 3, (3, 1)); print('done')", r"after its response it wrote b'done"),
        ("read(); write([1.0] * 3, (3, 1)); sys.exit(4)", r"responded, but then failed \(exit code 4\)"),
        ("sys.exit(3)", r"crashed before it responded \(exit code 3\)"),
        ("os.kill(os.getpid(), 9)", r"killed by signal 9, Killed"),
        ("stdin.read(); 1 / 0", r"exit code 1\)(.|\n)*ends with:(.|\n)*ZeroDivisionError: division by zero"),
    ],
)
def test_invalid_output_is_one_clear_error(program: Program, source: str, words: str) -> None:
    with pytest.raises(EncoderError, match=words) as caught:
        ExecEncoder(program(source), timeout=20)(IMAGES)
    assert str(caught.value).startswith(f"the program {sys.executable} ")
    assert all(is_gone(pid) for pid in started())


def test_only_the_last_lines_of_standard_error_are_shown(program: Program) -> None:
    source = "sys.stderr.write(''.join(f'line {i}\\n' for i in range(1000))); sys.exit(1)"
    with pytest.raises(EncoderError) as caught:
        ExecEncoder(program(source))(IMAGES)
    assert "line 999" in str(caught.value)
    assert "line 900" not in str(caught.value)


def test_a_failure_without_output_is_reported(program: Program) -> None:
    with pytest.raises(EncoderError, match="its standard error is empty"):
        ExecEncoder(program("sys.exit(1)"))(IMAGES)


@pytest.mark.parametrize(
    "source",
    [
        "time.sleep(600)",
        "sys.stderr.write('still here\\n'); read(); stdout.write(b'\\x93NUM'); stdout.flush(); time.sleep(600)",
    ],
)
def test_a_program_that_takes_too_long_is_killed(program: Program, source: str) -> None:
    begin = time.monotonic()
    with pytest.raises(EncoderError, match=r"did not respond in time.*timeout="):
        ExecEncoder(program(source), timeout=1)(IMAGES)
    assert time.monotonic() - begin < 20
    assert all(is_gone(pid) for pid in started())


def test_children_of_the_program_are_killed_with_it(folder: Path, program: Program) -> None:
    program("time.sleep(600)")
    (folder / "script.sh").write_text(f"#!/bin/sh\n{sys.executable} -S program.py\nexit 0\n")
    (folder / "script.sh").chmod(0o755)
    with pytest.raises(EncoderError, match="did not respond in time"):
        ExecEncoder(["./script.sh"], timeout=2)(IMAGES)
    assert started()
    assert all(is_gone(pid) for pid in started())


def test_a_second_answer_to_one_batch_is_never_mistaken_for_the_next(program: Program) -> None:
    source = """
    while (images := read()) is not None:
        write(sums(images), (len(images), 1))
        write(sums(images), (len(images), 1))
    """
    with ExecEncoder(program(source), loop="yes") as encoder:
        encoder(IMAGES)
        time.sleep(0.5)
        with pytest.raises(EncoderError, match="after its response it wrote"):
            encoder(IMAGES[:2])
    with pytest.raises(EncoderError, match="after its response it wrote"):
        ExecEncoder(program(source))(IMAGES)


def test_a_program_that_crashes_between_batches_is_not_started_again(program: Program) -> None:
    source = """
    images = read()
    write(sums(images), (len(images), 1))
    sys.exit(5)
    """
    encoder = ExecEncoder(program(source), loop="yes")
    encoder(IMAGES)
    with pytest.raises(EncoderError, match="exit code 5"):
        encoder(IMAGES)
    assert len(started()) == 1


def test_a_program_that_does_not_end_is_killed_and_named(
    program: Program, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.5)
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        codes: Any = ExecEncoder(program(ONE_ANSWER + "time.sleep(600)"))(IMAGES)
    assert codes.tolist() == expected(IMAGES)
    assert "did not exit at the end of its input" in caplog.text
    assert all(is_gone(pid) for pid in started())


# The end


def test_a_closed_encoder_leaves_nothing_and_may_be_used_again(program: Program) -> None:
    encoder = ExecEncoder(program(LOOP), loop="yes")
    encoder(IMAGES)
    encoder.close()
    encoder.close()
    assert all(is_gone(pid) for pid in started())
    codes: Any = encoder(IMAGES)
    assert codes.tolist() == expected(IMAGES)
    encoder.close()


def test_a_forgotten_encoder_leaves_nothing(program: Program) -> None:
    encoder = ExecEncoder(program(LOOP), loop="yes")
    encoder(IMAGES)
    del encoder
    gc.collect()
    assert all(is_gone(pid) for pid in started())


def test_no_thread_and_no_file_stays_open(program: Program) -> None:
    def open_files() -> int:
        return len(os.listdir(f"/proc/{os.getpid()}/fd"))  # noqa: PTH208 - numbers are asked for

    if not Path("/proc").is_dir():
        pytest.skip("open files are counted in /proc")
    with ExecEncoder(program(TO_THE_END)) as encoder:
        encoder(IMAGES)
        before = open_files()
        for _ in range(3):
            encoder(IMAGES)
    gc.collect()
    assert open_files() <= before


@pytest.mark.parametrize("source", ["time.sleep(600)", LOOP])
def test_ctrl_c_and_the_end_of_the_interpreter_leave_no_process(program: Program, source: str) -> None:
    arguments = program(source)
    parent = f"""
        import numpy as np
        from disentmetrics_adapters.encoders.exec import ExecEncoder
        ExecEncoder({arguments!r}, loop="yes")(np.zeros((1, 2, 2, 1), np.uint8))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent)], stderr=subprocess.PIPE, start_new_session=True
    )
    if source == LOOP:
        assert process.wait(60) == 0
    else:
        for _ in range(600):
            if Path("starts").exists() and started():
                break
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        process.wait(60)
        assert process.stderr
        assert b"KeyboardInterrupt" in process.stderr.read()
    assert process.stderr
    process.stderr.close()
    assert len(started()) == 1
    assert all(is_gone(pid) for pid in started())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_program_and_its_children_die_with_a_killed_parent(program: Program, number: signal.Signals) -> None:
    arguments = program("""
        import subprocess
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        with open("starts", "a") as starts:
            starts.write(f"{child.pid}\\n")
        time.sleep(600)
    """)
    code = f"""
        import numpy as np
        from disentmetrics_adapters.encoders.exec import ExecEncoder
        ExecEncoder({arguments!r})(np.zeros((1, 2, 2, 1), np.uint8))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    while not (Path("starts").exists() and len(started()) == 2):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(number)
    assert parent.wait(60) == -number
    assert all(ends(pid) for pid in started())


def ends(pid: int) -> bool:
    """Wait for the end of a process, which may remain as a zombie where nothing collects orphans."""
    for _ in range(600):
        stat = Path(f"/proc/{pid}/stat")
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


# Names


def test_arguments_are_split_as_by_a_shell_but_no_shell_runs(folder: Path) -> None:
    (folder / "mein Kodierer 狐.py").write_text(PRELUDE + "assert sys.argv[1:] == ['a b', '$HOME;*', '?']\n" + LOOP)
    spec = f"exec:{sys.executable} 'mein Kodierer 狐.py' 'a b' '$HOME;*' ??timeout=30"
    encoder: Any = load_encoder(spec)
    assert encoder(IMAGES).tolist() == expected(IMAGES)
    encoder.close()
    assert not hasattr(encoder, "fingerprint")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("exec:no-such-program-x", "'no-such-program-x' does not exist"),
        ("exec:./plain.txt", r"is not executable \(chmod \+x\)"),
        ("exec:cat 'unbalanced", "No closing quotation"),
        ("exec: ", "requires a program"),
        ("exec:cat?timeout=0", "timeout must be a number greater than 0"),
        ("exec:cat?timeout=nan", "timeout must be a number"),
        ("exec:cat?loop=maybe", "loop must be one of auto, yes, no"),
    ],
)
def test_a_program_that_cannot_be_named_is_refused(folder: Path, spec: str, words: str) -> None:
    (folder / "plain.txt").touch()
    with pytest.raises(InvalidInputError, match=words):
        load_encoder(spec)


def test_a_script_without_its_interpreter_is_refused(folder: Path) -> None:
    (folder / "script").write_text("#!/no/such/interpreter\n")
    (folder / "script").chmod(0o755)
    with pytest.raises(InvalidInputError, match="cannot be run: No such file"):
        ExecEncoder(["./script"])(IMAGES)


def test_python_is_ours_unless_an_environment_is_activated(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    assert module._program("python") == sys.executable
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/bin/{name}")
    assert module._program("python") == "/somewhere/bin/python"


# The examples


def centres(images: NDArray[np.uint8]) -> NDArray[np.floating]:
    light = images.astype(float).sum(axis=3)
    rows, columns = np.indices(light.shape[1:])
    total = light.sum(axis=(1, 2))
    return np.stack([(light * rows).sum(axis=(1, 2)) / total, (light * columns).sum(axis=(1, 2)) / total], axis=1)


def check_example(encoder: ExecEncoder, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (40, 9, 7, 3), dtype=np.uint8)
    with encoder:
        for size in (40, 3, 17):
            codes = np.asarray(encoder(images[:size]))
            np.testing.assert_allclose(codes[:, 0] * math.prod(images.shape[1:]), images[:size].sum(axis=(1, 2, 3)))
            np.testing.assert_allclose(codes[:, 1:3], centres(images[:size]), rtol=1e-6)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")
def test_the_example_in_python_works(rng: np.random.Generator) -> None:
    check_example(ExecEncoder([sys.executable, str(EXAMPLES / "exec_encoder.py")]), rng)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_example_in_c_works(folder: Path, rng: np.random.Generator) -> None:
    source = str(EXAMPLES / "exec_encoder.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", "my encoder", source], check=True)
    check_example(ExecEncoder(["./my encoder"]), rng)
    with pytest.raises(EncoderError, match="must be uint8 of shape"):
        ExecEncoder(["./my encoder"])(np.zeros((2, 3)))
