"""The toys of variational bias from the command line: the numbers are those of their closed forms."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from disentmetrics.cli import app
from disentmetrics.errors import InvalidInputError


def reproduced(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["reproduce", *arguments])
    assert result.exit_code == 0, result.exception or result.output
    return result.stdout


def test_factor_analysis_prefers_orthogonal_loadings_less_as_beta_grows(tmp_path: Path) -> None:
    table = json.loads(reproduced("fa-toy", "--preset", "smoke", "--out", str(tmp_path), "--json", "--quiet"))
    rotation = table["rotation"]
    assert rotation["gap"] == pytest.approx([0, 0.168, 0.394, 0.477, 0], abs=5e-4)
    assert rotation["log_likelihood"] == pytest.approx([rotation["log_likelihood"][0]] * 5)
    assert table["shared_axis"]["gap"] == pytest.approx([0, 0.593, 0], abs=5e-4)
    expected = {"1": 0.477, "2": 0.448, "5": 0.376, "10": 0.294, "100": 0.037}
    assert table["amplitude"] == pytest.approx(expected, abs=1e-3)
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_the_strongest_components_of_overcomplete_ica_become_orthogonal(tmp_path: Path) -> None:
    shown = reproduced("ica-toy", "--out", str(tmp_path), "--set", "betas=1", "--json", "--quiet")
    (fitted,) = json.loads(shown)["fits"]
    assert fitted["converged"]
    assert fitted["separation"] > 75
    assert len(fitted["contribution"]) == 3
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ica-toy", "--set", "nois=3"), "no setting 'nois'; did you mean 'noise'"),
        (("ica-toy", "--set", "angles=0,x"), "angles must be numbers, separated by commas"),
        (("fa-toy", "--device", "cuda"), "computed on the CPU"),
        (("fa-toy", "--preset", "smal"), "did you mean 'small'"),
        (("fa-toy", "--set", "noise=inf"), "noise must be finite"),
        (("higgins-table", "--set", "beta=3"), "takes no settings; got beta"),
        (("higins-table",), "did you mean 'higgins-table'"),
    ],
)
def test_wrong_settings_report_the_requirement(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["reproduce", *arguments, "--out", str(tmp_path / "none")])
    assert isinstance(result.exception, InvalidInputError)
    assert message in str(result.exception)
    assert not (tmp_path / "none").exists()
