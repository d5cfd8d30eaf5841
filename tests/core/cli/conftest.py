"""Runs of the command, and the files that it reads."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from disentmetrics import cli
from disentmetrics.cli import console, scoring


class Ran(NamedTuple):
    code: object
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The single error line; there is no other output: no table, no traceback."""
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Run the command in this process, in a separate folder."""
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
    """Codes that follow two factors, in a file with a difficult name."""
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


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if an encoder is run or a metric computed."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("slow work was begun before the input was checked")

    monkeypatch.setattr(scoring, "encode_rows", fail)
    monkeypatch.setattr(scoring, "score_representation", fail)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """Run as in a terminal of 80 columns."""
    monkeypatch.setattr(console.out, "width", 80)
    monkeypatch.setenv("COLUMNS", "80")
    return run
