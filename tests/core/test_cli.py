"""The command line: what it prints where, how it ends, and what it says when something is wrong."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import disentmetrics as dm
from disentmetrics import cli
from disentmetrics.cli import console, scoring
from disentmetrics.errors import InvalidInputError
from disentmetrics.presets import PRESETS
from disentmetrics.progress import progress_bar

FAST = ("--interval", "none", "--no-null", "--jobs", "1")
FEW = ("--data", "dsprites", "--samples", "300")


@dataclass(frozen=True)
class Ran:
    code: object
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[..., Ran]]:
    """Run the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    logger = logging.getLogger("disentmetrics")
    before = logger.handlers[:], logger.level

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["disentmetrics", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return Ran(stopped.value.code, *capsys.readouterr())

    yield run
    logger.handlers[:], level = before
    logger.setLevel(level)


@pytest.fixture
def table(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Codes that follow two factors, in a file with a name that is not easy."""
    factors = np.indices((4, 6)).reshape(2, -1).T.repeat(10, axis=0)
    path = tmp_path / "my codes ü.npz"
    np.savez(
        path, codes=factors + 0.2 * rng.normal(size=factors.shape), factors=factors, factor_names=["größe", "[/b]"]
    )
    return path


@pytest.fixture
def csv(tmp_path: Path, table: Path) -> Path:
    with np.load(table) as arrays:
        codes, factors = arrays["codes"], arrays["factors"]
    lines = [f"{a},{b},{'abcd'[v]},{w}" for (a, b), (v, w) in zip(codes, factors, strict=True)]
    path = tmp_path / "codes.csv"
    path.write_text("\n".join(["z0,z1,shape,size", *lines]))
    return path


def a_sentence(ran: Ran) -> str:
    """Return the one error; there is nothing else: no table, no traceback."""
    assert ran.out == ""
    lines = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, ran.err
    assert "Traceback" not in ran.err
    return lines[0]


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if an encoder is run or a metric computed."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("slow work was begun before the input was checked")

    monkeypatch.setattr(scoring, "encode_rows", fail)
    monkeypatch.setattr(scoring, "score_representation", fail)


# ------------------------------------------------------------------------------ help

COMMANDS = [
    (),
    ("score",),
    ("encode",),
    ("compare",),
    ("demo",),
    *((group, *rest) for group in ("datasets", "metrics", "adapters") for rest in ((), ("list",), ("info",))),
    ("datasets", "fetch"),
    ("cache",),
    ("cache", "list"),
    ("cache", "clear"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        ran = run(*command, option)
        assert ran.code == 0
        assert ran.err == ""
        assert f"Usage: {' '.join(('disentmetrics', *command))}" in ran.out
        explanation = ran.out.partition("Usage:")[2].splitlines()[1:4]
        assert any(line.strip() for line in explanation)


@pytest.mark.parametrize("command", ["score", "encode", "compare", "demo"])
def test_commands_with_arguments_show_an_example(run: Run, command: str) -> None:
    text = run(command, "--help").out
    assert re.search(rf"Examples?\s+disentmetrics {command} ", text)


def test_every_option_and_argument_is_explained() -> None:
    waiting = [("disentmetrics", typer.main.get_command(cli.app))]
    n_explained = 0
    for path, command in waiting:
        waiting += [(f"{path} {name}", sub) for name, sub in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            assert len(getattr(parameter, "help", None) or "") > 10, (path, parameter.name)
            n_explained += 1
    assert n_explained > 40


def test_without_arguments_the_help_is_shown(run: Run) -> None:
    ran = run()
    assert ran.code == 2
    assert "Usage: disentmetrics" in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == Ran(0, f"disentmetrics {dm.__version__}\n", "")


def test_it_is_a_module_too() -> None:
    command = [sys.executable, "-m", "disentmetrics", "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith("disentmetrics ")


def test_shells_complete_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DISENTMETRICS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "disentmetrics sc")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run().out.split() == ["score"]


def test_completion_is_shown_for_a_shell(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    ran = run("--show-completion", "bash")
    assert ran.code == 0
    assert "complete -o default -F _disentmetrics_completion disentmetrics" in ran.out


# ------------------------------------------------------------------------------ score


def test_an_encoder_is_scored_on_a_data_set(run: Run) -> None:
    ran = run("score", "baseline:random", *FEW, *FAST)
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()[:4]] == ["metric", "mig", "factorvae", "higgins"]
    assert "data:dsprites-1|draw:uniform/0|encoder:baseline-random-10-seed-0" in ran.out
    assert "first batch: observations uint8" in ran.err


def test_a_table_is_scored_with_what_was_inferred_said_aside(run: Run, table: Path) -> None:
    ran = run("score", "--codes", table, "--metrics", "mig", *FAST)
    assert ran.code == 0
    assert "größe is ordinal" in ran.err
    assert "ordinal" not in ran.out
    with np.load(table) as arrays:
        value = dm.metrics.mig(arrays["codes"], arrays["factors"]).value
    assert f"{value:.3f}" in ran.out
    assert re.search(r"by factor +größe +\[/b\]", ran.out)


def test_columns_and_kinds_are_chosen(run: Run, csv: Path) -> None:
    ran = run(
        "score", "--codes", csv, "--code-columns", "z?", "--factor-columns", "size,shape", "--kind", "size=circular",
        "--metrics", "mig", *FAST,
    )  # fmt: skip
    assert ran.code == 0
    assert "size is circular as asked" in ran.err
    assert re.search(r"by factor +size +shape", ran.out)


def test_quiet_leaves_the_numbers_alone(run: Run, table: Path) -> None:
    loud, quiet = (run("score", "--codes", table, "--metrics", "mig", *FAST, *more) for more in ((), ("-q",)))
    assert quiet.out == loud.out
    assert quiet.err == ""
    assert run("score", "baseline:random", *FEW, "--metrics", "mig", *FAST, "--quiet").err == ""


@pytest.mark.parametrize("of", ["encoder", "table"])
def test_json_stands_alone_on_standard_output(run: Run, table: Path, of: str) -> None:
    source = ("baseline:random", *FEW) if of == "encoder" else ("--codes", table)
    ran = run("score", *source, "--metrics", "mig,factorvae", "--json", *FAST)
    assert ran.code == 0
    plain = json.loads(ran.out, parse_constant=lambda name: pytest.fail(f"JSON holds {name}"))
    assert list(plain["scores"]) == ["mig", "factorvae"]
    assert dm.ScoreCard.from_json(ran.out)["mig"].value == plain["scores"]["mig"]["value"]
    assert ran.err


def test_the_card_is_written_to_a_folder_that_is_made(run: Run, table: Path, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "größer" / "card.json"
    ran = run("score", "--codes", table, "--metrics", "mig", "--out", path, *FAST)
    assert ran.code == 0
    assert f"score card written to {path}" in ran.err
    assert list(dm.ScoreCard.from_json(path)) == ["mig"]
    assert [p.name for p in path.parent.iterdir()] == ["card.json"]


@pytest.mark.parametrize(
    ("asked", "scored"),
    [
        ("mig", ["mig"]),
        (" mig , factorvae@kim2018,", ["mig", "factorvae@kim2018"]),
        ("mig,mig", ["mig"]),
        (" drvi ", list(PRESETS["drvi"].metrics)),
    ],
)
def test_metrics_are_named_with_or_without_spaces(run: Run, table: Path, asked: str, scored: list[str]) -> None:
    ran = run("score", "--codes", table, "--metrics", asked, "--json", *FAST)
    assert list(json.loads(ran.out)["scores"]) == scored


def test_a_metric_that_is_refused_says_why_and_the_others_run(run: Run, table: Path) -> None:
    ran = run("score", "--codes", table, "--metrics", "mig@chen2018,mig", *FAST)
    assert ran.code == 0
    assert re.search(r"^mig@chen2018 +undefined", ran.out, re.MULTILINE)
    assert "• mig@chen2018: undefined: mig@chen2018 needs posterior variances" in ran.out


def test_what_encode_wrote_is_scored_as_the_encoder_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "folder ü" / "codes.h5"
    ran = run("encode", "baseline:random", *FEW, "--out", path)
    assert (ran.code, ran.out) == (0, "")
    assert "Representation(300 rows, 10 codes, factors: shape (categorical, 3)" in ran.err
    direct = run("score", "baseline:random", *FEW, "--json", *FAST)
    assert run("score", "--codes", path, "--json", *FAST).out == direct.out


def test_a_second_score_encodes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "encoder.py").write_text(
        "import pathlib\n"
        "def encode(images):\n"
        "    with open('calls', 'a') as calls: calls.write('x')\n"
        "    return images.reshape(len(images), -1)[:, ::500] / 255.0 + images.mean(axis=(1, 2))\n"
    )
    spec = "python:encoder.py:encode?fingerprint=mine-1"
    cards = [
        run("score", spec, *FEW, "--metrics", "mig", "--json", *FAST, *more).out for more in ((), (), ["--no-cache"])
    ]
    assert cards[0] == cards[1] == cards[2]
    assert (tmp_path / "calls").read_text() == "x" * (2 + 1) * 2  # 2 batches and a second look, but for the second time


def test_numbers_do_not_depend_on_the_number_of_jobs(run: Run, table: Path) -> None:
    one, two = (run("score", "--codes", table, "--metrics", "mig", "--json", "--jobs", jobs).out for jobs in (1, 2))
    assert one == two


def test_a_small_data_set_is_encoded_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "DEFAULT_SAMPLES", 800_000)
    asked = {}

    def stop(*_: object, **options: Any) -> None:
        asked.update(options)
        raise InvalidInputError("enough")

    monkeypatch.setattr(scoring, "encode_rows", stop)
    ran = run("score", "baseline:random", "--data", "dsprites")
    assert "dsprites has 737280 rows: all are encoded" in ran.err
    assert asked["full_grid"] is True
    assert asked["n_samples"] is None


# ------------------------------------------------------------------------------ wrong input

ENCODER = ("score", "baseline:random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score",), "got neither; see disentmetrics score --help"),
        ((*ENCODER, "--codes", "codes.csv", "--data", "dsprites"), "got both"),
        (ENCODER, "give --data, such as --data dsprites"),
        ((*ENCODER, "--data", "dsprite"), "did you mean 'dsprites'?"),
        ((*ENCODER, "--data", "dsprites?sorce=x"), "has no option 'sorce'; did you mean 'source'"),
        ((*ENCODER, "--data", ""), "a data set is named NAME"),
        ((*ENCODER, "--data", "dsprites:missing.npz"), "missing.npz"),
        ((*ENCODER, *FEW, "--full-grid"), "either --samples or --full-grid"),
        ((*ENCODER, "--data", "dsprites", "--samples", "800000"), "at most 737,280, the rows of dsprites; got 800,000"),
        ((*ENCODER, *FEW, "--kind", "x=ordinal"), "--kind does not go with an encoder"),
        (("score", "basline:random", *FEW), "did you mean 'baseline'?"),
        (("score", "baseline:rndom", *FEW), "did you mean 'random'?"),
        (("score", "baseline:random?n_code=3", *FEW), "no option 'n_code'; did you mean 'n_codes'?"),
        (("score", "random", *FEW), "an encoder is named scheme:target"),
        (("score", "", *FEW), "an encoder is named scheme:target"),
        (("score", "python:no_such_file.py:f", *FEW), "no_such_file.py"),
        (("score", "--codes", "codes.csv", "--metrics", "mgi"), "did you mean 'mig'?"),
        (("score", "--codes", "codes.csv", "--metrics", "mig@chen"), "did you mean 'chen2018'?"),
        (("score", "--codes", "codes.csv", "--metrics", " ,"), "must name at least one metric"),
        (("score", "--codes", "codes.csv", "--metrics", ""), "must name at least one metric"),
        (("score", "--codes", "codes.csv", "--samples", "5"), "--samples does not go with --codes"),
        (("score", "--codes", "codes.csv", "--kind", "size"), "--kind must be name=kind"),
        (("score", "--codes", "codes.csv", "--kind", "size=round"), "--kind must be name=kind"),
        (("score", "--codes", "codes.csv", "--kind", "no=ordinal"), "there is no factor no"),
        (("score", "--codes", "codes.csv", "--code-columns", "y*"), "y*"),
        (("score", "--codes", "codes.csv", "--jobs", "0"), "--jobs must be a number from 1, or -1"),
        (("score", "--codes", "missing.npz"), "there is none at missing.npz"),
        (("score", "--codes", "missing.h5"), "there is no such file"),
        (("score", "--codes", "encoded.h5", "--code-columns", "z*"), "--code-columns does not go with a file of"),
        (("score", "--codes", "damaged.npz"), "damaged.npz"),
        (("score", "--codes", "damaged.h5"), "must be a whole HDF5 file"),
        (("score", "--codes", "codes.docx"), "a table must be a file of one of these kinds"),
        (("score", "--codes", "codes.csv", "--out", "folder"), "folder is a folder"),
        (("score", "--codes", "codes.csv", "--out", "codes.csv/card.json"), "codes.csv is a file"),
        (("encode", "baseline:random", *FEW, "--out", "folder.h5"), "folder.h5 is a folder"),
        (("encode", "baseline:random", *FEW, "--out", "codes.npz"), "ends in .h5"),
        (("score", "--codes", "codes.csv", "--interval", "bootstrap"), "jackknife"),
        (("score", "--codes", "codes.csv", "--seed", "-1"), "--seed"),
        (("score", "--codes", "codes.csv", "--seed", "x"), "--seed"),
        ((*ENCODER, "--data", "dsprites", "--samples", "0"), "--samples"),
        ((*ENCODER, *FEW, "--batch-size", "0"), "--batch-size"),
        ((*ENCODER, *FEW, "--batchsize", "5"), "--batch-size"),
        ((*ENCODER, "another", *FEW), "another"),
        (("encode", "baseline:random", *FEW), "--out"),
        (("scor",), "Did you mean 'score'?"),
        (("metrics", "info", "mgi"), "did you mean 'mig'?"),
        (("datasets", "info", "dsprite"), "did you mean 'dsprites'?"),
        (("datasets", "fetch", "dsprite"), "did you mean 'dsprites'?"),
        (("adapters", "info", "tourch"), "did you mean 'torch'?"),
        (("compare", "missing.json", "missing.json"), "missing.json"),
        (("demo", "--out", "codes.csv"), "codes.csv is a file"),
        (("demo", "--jobs", "0"), "--jobs must be"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("no_work")
def test_wrong_input_ends_with_2_and_a_sentence_before_any_work(
    run: Run, csv: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n nothing")
    dm.Representation(np.eye(3), np.eye(3, dtype=int)).save(tmp_path / "encoded.h5")
    before = sorted(tmp_path.rglob("*"))
    ran = run(*arguments)
    assert ran.code == 2
    assert message in a_sentence(ran)
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.parts] == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.usefixtures("no_work")
def test_a_read_only_folder_is_refused_before_any_work(run: Run, csv: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o500)
    ran = run("score", "--codes", csv, "--out", tmp_path / "mine" / "card.json")
    assert ran.code == 2
    assert "a folder that can be written" in a_sentence(ran)


def test_a_folder_that_may_not_be_written_is_refused(
    run: Run, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    assert "a folder that can be written" in a_sentence(run("score", "--codes", csv, "--out", tmp_path / "card.json"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no memory of shapes')", "raised ValueError at batch 0 (rows 0 to 15): no memory of shapes"),
        ("return images[:, 0, 0, 0] + 0.5", "n_codes"),
        ("return images.reshape(len(images), -1)[:5] / 1.0", "must return codes of shape (16, n_codes)"),
        ("import random; return [[random.random()] for _ in images]", "gave a list"),
        ("import sys; sys.exit(0)", "raised SystemExit at batch 0"),
        ("return images.reshape(len(images), -1) * float('nan')", "NaN or infinity"),
    ],
)
def test_an_encoder_that_fails_ends_with_3_and_a_sentence(run: Run, tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "bad.py").write_text(f"def encode(images):\n    {body}\n")
    for command in (("score", "--out", "out.json"), ("encode", "--out", "out.h5")):
        ran = run(*command, "python:bad.py:encode", *FEW, "--batch-size", 16)
        assert ran.code == 3
        assert message in a_sentence(ran)
    assert not list(tmp_path.glob("out*"))


def test_a_program_that_crashes_ends_with_3(run: Run) -> None:
    ran = run("score", f"exec:{sys.executable} -c 'raise SystemExit(7)'", *FEW)
    assert ran.code == 3
    assert "exit code 7" in a_sentence(ran)


def test_an_error_of_ours_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["disentmetrics", "score", "--codes", str(table)])
    monkeypatch.setattr(scoring, "score_representation", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


# ------------------------------------------------------------------------------ interrupted, broken off


def test_interrupted_work_ends_with_130(run: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score_representation", interrupt)
    ran = run("score", "--codes", table, "--out", "card.json")
    assert ran.code == 130
    assert a_sentence(ran) == "error: interrupted; nothing half-written was left behind"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "disentmetrics", *arguments]


def test_control_c_leaves_nothing_half_written_and_the_next_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "def encode(images):\n"
        "    with open('calls', 'a') as calls: calls.write('x')\n"
        "    time.sleep(0.02)\n"
        "    return images.reshape(len(images), -1)[:, ::500] / 255.0\n"
    )
    results = tmp_path / "results"
    results.mkdir()
    command = _command(
        "encode", "python:slow.py:encode?fingerprint=slow", *FEW, "--batch-size", "3", "--out", "results/codes.h5"
    )
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    calls = tmp_path / "calls"
    deadline = time.monotonic() + 60
    while not (calls.exists() and calls.stat().st_size > 10):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "error: interrupted; nothing half-written was left behind"
    assert not list(results.iterdir())
    n_before = calls.stat().st_size
    assert n_before < 101
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "an interrupted run left" in again.stderr
    assert calls.stat().st_size <= 100 + 2 + 1  # 100 batches, two second looks, one batch that was broken off
    assert [path.name for path in results.iterdir()] == ["codes.h5"]


@pytest.mark.parametrize("arguments", [("metrics", "list", "--json"), ("metrics", "info", "mig")])
def test_a_reader_that_leaves_is_not_an_error(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(_command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("arguments", [("metrics", "list", "--json"), ("metrics",)])
def test_an_output_that_is_full_is_said_in_a_sentence(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(_command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "error: the output could not be written: No space left on device\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_terminal_without_the_letters_gets_others(table: Path, as_json: bool) -> None:
    arguments = ("score", "--codes", str(table), "--metrics", "mig", *FAST, *(["--json"] if as_json else []))
    plain_ascii = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(_command(*arguments), env=plain_ascii, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    shown = ended.stdout.decode("ascii")
    if as_json:
        assert "größe" in json.loads(shown)["scores"]["mig"]["per_factor"]
    else:
        assert r"gr\xf6\xdfe" in shown


def test_remarks_and_the_progress_bar_do_not_write_into_each_other() -> None:
    """Both go through one console, which puts what is printed above the bar."""
    with progress_bar(shown=False) as bar:
        assert bar.console is console.err


# ------------------------------------------------------------------------------ compare


@pytest.fixture
def cards(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    factors = rng.integers((3, 4), size=(300, 2))
    paths = (tmp_path / "first one.json", tmp_path / "second.json")
    for path, noise in zip(paths, (0.1, 1.0), strict=True):
        codes = factors + noise * rng.normal(size=factors.shape)
        dm.score(dm.Representation(codes, factors), ["mig"], null=False).to_json(path)
    return paths


def test_two_cards_are_compared(run: Run, cards: tuple[Path, Path]) -> None:
    ran = run("compare", *cards)
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"metric +first one +second +difference +95 % interval", ran.out)
    plain = json.loads(run("compare", *cards, "--json").out)
    assert plain["names"] == ["first one", "second"]
    assert plain["differences"][0]["difference"] < 0


def test_cards_of_other_rows_and_damaged_cards_are_refused(
    run: Run, cards: tuple[Path, Path], tmp_path: Path, rng: np.random.Generator
) -> None:
    factors = rng.integers((3, 4), size=(200, 2))
    dm.score(dm.Representation(factors * 1.0, factors), ["mig"]).to_json(tmp_path / "other.json")
    (tmp_path / "damaged.json").write_text(cards[0].read_text()[:-50])
    for other, message in (("other.json", "scored on the same rows"), ("damaged.json", "whole score card")):
        ran = run("compare", cards[0], tmp_path / other)
        assert ran.code == 2
        assert message in a_sentence(ran)


# ------------------------------------------------------------------------------ lists


@pytest.mark.parametrize(
    ("group", "holds"), [("datasets", "dsprites"), ("metrics", "factorvae"), ("adapters", "baseline")]
)
def test_what_there_is_is_listed_for_people_and_machines(run: Run, group: str, holds: str) -> None:
    ran = run(group)
    assert ran == run(group, "list")
    assert (ran.code, ran.err) == (0, "")
    assert any(line.startswith(holds) for line in ran.out.splitlines())
    plain = json.loads(run(group, "list", "--json").out)
    assert holds in [entry.get("name", entry.get("scheme")) for entry in plain]


def test_one_thing_is_explained(run: Run) -> None:
    about = run("datasets", "info", "dsprites").out
    assert re.search(r"orientation +40 +circular", about)
    assert "licence: Apache-2.0" in about
    assert run("datasets", "info", "dsprites?source=original").out == about
    about = run("metrics", "info", "mig@chen2018").out
    assert "Mean gap between the two codes" in about
    assert "known failure: Two factors packed" in about
    assert re.search(r"locatello2019 +disentanglement_lib", about)
    assert "weights : file, or none" in run("adapters", "info", "torch").out


def test_the_cache_is_listed_and_cleared(run: Run, own_cache: Path) -> None:
    assert "0 files, 0.0 MB" in run("cache").out
    run("score", "baseline:random", *FEW, "--metrics", "mig", *FAST)
    (own_cache / "mine.txt").touch()
    listed = run("cache", "list")
    assert "1 files, 0.0 MB" in listed.out
    assert "mine.txt" not in listed.out
    (entry,) = json.loads(run("cache", "list", "--json").out)
    assert Path(entry["path"]).stat().st_size == entry["bytes"]
    assert f"{entry['bytes'] / 1e6:,.1f} MB freed" in run("cache", "clear").out
    assert json.loads(run("cache", "list", "--json").out) == []
    assert (own_cache / "mine.txt").exists()


# ------------------------------------------------------------------------------ how it looks


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """Run as in a terminal of 80 columns."""
    monkeypatch.setattr(console.out, "width", 80)
    monkeypatch.setenv("COLUMNS", "80")
    return run


def test_a_card_fits_80_columns_unbroken(narrow: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    factors = rng.integers(4, size=(400, 5))
    path = tmp_path / "codes.npz"
    names = ["shape", "scale", "orientation", "x", "y"]
    np.savez(path, codes=factors + rng.normal(size=factors.shape), factors=factors, factor_names=names)
    lines = narrow(
        "score", "--codes", path, "--metrics", "mig,factorvae@locatello2019", "-q", "-j", "1"
    ).out.splitlines()
    assert re.fullmatch(r"mig +0\.\d{3} +\[0\.\d{3}, 0\.\d{3}\] +0\.\d{3} +0\.\d{3} +0\.\d{3}", lines[1].rstrip())
    assert re.fullmatch(r"factorvae@locatello2019 +\d\.\d{3} +\[\d\.\d{3}, \d\.\d{3}\] +(\d\.\d{3} *){3}", lines[2])
    assert lines[4].split() == ["by", "factor", *names]
    assert all(len(line) <= 80 for line in lines[:7])


def test_texts_are_filled_to_the_terminal_and_left_alone_in_a_pipe(
    narrow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = narrow("metrics", "info", "mig").out
    prose = text.partition("Examples")[0].splitlines()
    assert max(map(len, prose)) <= 80
    words = [len(line.split()) for line in prose if line.startswith("    ")]
    assert np.mean(words) > 7  # no slivers
    monkeypatch.delenv("COLUMNS")
    assert dm.metrics.mig.__doc__ is not None
    longest = max(dm.metrics.mig.__doc__.splitlines(), key=len).strip()
    assert len(longest) > 80
    assert longest in narrow("metrics", "info", "mig").out


def test_tables_are_not_cut_in_a_pipe(run: Run) -> None:
    assert all(", ".join(preset.metrics) in run("metrics").out for preset in PRESETS.values())


def test_models_are_ranked_without_labels(run: Run) -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((4, 5), size=(300, 2))
    for name, codes in {"one": factors, "two": -factors[:, ::-1], "mixed": factors @ [[1, 1], [1, -1]]}.items():
        dm.Representation(codes.astype(float), factors).save(f"{name}.h5")
    found = json.loads(run("udr", "one.h5", "two.h5", "mixed.h5", "--json").out)
    assert found["scores"]["one"] == found["scores"]["two"] > found["scores"]["mixed"]
    assert "lasso" in run("udr", "one.h5", "two.h5", "--variant", "lasso").out
    alone = run("udr", "one.h5")
    assert alone.code == 2
    assert "at least two" in alone.err


def test_the_sheet_and_the_separator_of_a_table_can_be_named(run: Run) -> None:
    Path("t.csv").write_text("z0|z1|v\n" + "\n".join(f"{i}|{i % 7}|{i % 3}" for i in range(60)), encoding="utf-8")
    ran = run("score", "--codes", "t.csv", "--separator", "|", "--metrics", "mig", *FAST, "--json")
    assert json.loads(ran.out)["about"]["factors"] == ["v"]
    assert (
        "--sheet does not go with an encoder"
        in run("score", "baseline:random", "--data", "dsprites", "--sheet", "a").err
    )
