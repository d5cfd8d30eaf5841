"""The pytest plugin, in separate runs of pytest."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disentmetrics_adapters.integrations.pytest_plugin import assert_no_regression, assert_score, score_card
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError

pytest_plugins = ["pytester"]
HEAVY = ("numpy", "scipy", "sklearn", "h5py", "disentmetrics", "torch", "matplotlib")
FACTORS = np.random.default_rng(0).integers(5, size=(600, 2))
PERFECT = FACTORS.astype(float)
NOISE = np.random.default_rng(1).normal(size=FACTORS.shape)
HEADER = """
import numpy as np
from disentmetrics_adapters.integrations.pytest_plugin import assert_no_regression, assert_score
FACTORS = np.random.default_rng(0).integers(5, size=(600, 2))
NOISE = np.random.default_rng(1).normal(size=FACTORS.shape)
"""


OPTIONS = ("-p", "no:cacheprovider", "-W", "error")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest within this process, which has already imported everything that a score needs."""
    return pytester.runpytest_inprocess(*OPTIONS, *arguments)


def run_in_its_own_process(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*OPTIONS, *arguments, timeout=300)


def test_loading_imports_nothing_but_pytest() -> None:
    (entry,) = (point for point in entry_points(group="pytest11") if point.name == "disentmetrics")
    program = (
        f"import sys, pytest, importlib\nbefore = set(sys.modules)\nimportlib.import_module({entry.value!r})\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)), '|', len(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    heavy, _, n_new = done.stdout.partition("|")
    assert heavy.strip() == ""
    assert int(n_new) < 10


def test_a_run_without_scores_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"import sys\ndef test_light():\n    assert not set({HEAVY!r}) & set(sys.modules)\n")
    run_in_its_own_process(pytester).assert_outcomes(passed=1)


def test_a_run_knows_the_option_and_the_fixture(
    request: pytest.FixtureRequest, disentmetrics_score: Callable[..., dm.ScoreCard]
) -> None:
    assert request.config.getoption("--disentmetrics-update") in {False, True}
    card = disentmetrics_score(PERFECT, "mig", factors=FACTORS, interval=False, null=False)
    assert card["mig"].value == pytest.approx(1, abs=0.01)


def test_failures_show_value_table_interval_and_signature_and_little_else(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        HEADER
        + """
def test_fine():
    assert assert_score(FACTORS * 1.0, "mig", at_least=0.9, factors=FACTORS).value > 0.9

def test_low():
    assert_score(NOISE, "mig", at_least=0.3, factors=FACTORS)

def test_undefined():
    assert_score(NOISE[:, 0], "mig", at_least=0.3, factors=FACTORS)
"""
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=2)
    lines = [
        ">       assert_score(NOISE, *",
        "E       AssertionError: mig = 0.00* must be at least 0.3; it is 0.3 below",
        "E       metric *value   95 % interval *null*",
        "E       mig   * 0.00* [[]0.000, *",
        "E       signature: mig|protocol:default|rows:600|*",
        "test_*.py:*: AssertionError",
    ]
    result.stdout.fnmatch_lines(lines)
    result.stdout.fnmatch_lines(["E * mig is undefined: mig needs 2 or more latents; got 1"])
    assert "pytest_plugin/__init__" not in result.stdout.str()


MODEL = """
import pytest

@pytest.fixture(scope="session")
def card(disentmetrics_score):
    return disentmetrics_score(FACTORS + {blur} * NOISE, ["mig", "sap"], factors=FACTORS, null=False)

def test_card(card):
    assert_no_regression(card, "baselines/card.json")

@pytest.mark.parametrize("part", range(3))
def test_same_file(card, part):
    assert_no_regression(card, "baselines/card.json", tolerance=0.01)

def test_codes():
    assert_no_regression(FACTORS + {blur} * NOISE, "baselines/codes.json", metrics={metrics}, factors=FACTORS)
"""


def test_baselines_are_written_by_several_processes_guarded_and_renewed(pytester: pytest.Pytester) -> None:
    def write(blur: float, metrics: str) -> None:
        pytester.makepyfile(test_model=HEADER + MODEL.format(blur=blur, metrics=metrics))

    write(0.5, "['mig', 'linear_r2']")
    pytester.makeini("[pytest]")
    run_in_its_own_process(pytester, "--disentmetrics-update", "-n", "2").assert_outcomes(passed=5)
    baselines = Path(pytester.path / "baselines")
    assert sorted(path.name for path in baselines.iterdir()) == ["card.json", "codes.json"]
    card, codes = (json.loads((baselines / name).read_text()) for name in ("card.json", "codes.json"))
    assert list(card["scores"]) == ["mig", "sap"]
    assert list(codes["scores"]) == ["mig", "linear_r2"]
    assert list(codes["scores"]["linear_r2"]["parts"]) == ["codes_from_factors"]

    write(0.9, "None")
    worse = run(pytester, "-k", "card or codes")
    worse.assert_outcomes(failed=2, deselected=3)
    worse.stdout.fnmatch_lines(
        [
            "E * baselines/card.json: mig regressed: 0.37* below the baseline's 0.6* 95 % interval *; fell most for *",
            "E       score * outcome * baseline * value * change *",
            "E       failed: 2 regressed (tolerance interval)",
            "E       signature: mig|protocol:default|*",
            "E       if the change is intended: pytest --disentmetrics-update *, and commit the baseline",
        ]
    )
    assert json.loads((baselines / "card.json").read_text()) == card

    run(pytester, "--disentmetrics-update", "-k", "card").assert_outcomes(passed=1, deselected=4)  # and is checked
    again = json.loads((baselines / "card.json").read_text())
    assert again["scores"]["mig"]["value"] < card["scores"]["mig"]["value"]


@pytest.mark.parametrize(
    "call", ["assert_score(broken, 'mig', at_least=0.1, data='blobs')", "score_card(broken, data='blobs')"]
)
def test_an_encoder_that_fails_is_reported_in_a_few_lines(pytester: pytest.Pytester, call: str) -> None:
    pytester.makepyfile(
        "from disentmetrics_adapters.integrations.pytest_plugin import assert_score, score_card\n"
        "def broken(images):\n    raise KeyError('missing layer')\n"
        f"def test_it():\n    {call}\n"
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*EncoderError: the encoder failed with KeyError*missing layer*", "*raise KeyError('missing layer')*"]
    )
    assert len(result.outlines) < 30


def test_an_encoder_is_scored_on_data() -> None:
    def brightness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = images.mean(axis=(1, 2))
        return means

    for encoder in (brightness, "baseline:random?n_codes=3"):
        score = assert_score(encoder, "linear_r2", at_most=1, data="mini-sprites", n_samples=300)
        assert "|rows:300|" in score.signature
    small = dm.CustomDataSet(np.zeros((40, 4, 4, 1), np.uint8), np.arange(40) % 5)
    card = score_card(brightness, "linear_r2", data=small, interval=False, null=False)
    assert card.about["rows"] == 40


def test_the_interval_may_have_to_lie_within_the_limits_too() -> None:
    codes = PERFECT + 0.5 * NOISE
    score = assert_score(codes, "mig", at_least=0.63, factors=FACTORS)
    assert score.interval is None
    assert assert_score(codes, "mig", at_least=0.5, certain=True, factors=FACTORS).interval is not None
    with pytest.raises(AssertionError, match=r"the 95 % interval of mig = 0\.6\d+, \[0.*\], must be at least"):
        assert_score(codes, "mig", at_least=score.value - 0.01, certain=True, factors=FACTORS)
    with pytest.raises(AssertionError, match=r"must be at most 0\.1; it is 0\.5\d* above"):
        assert_score(codes, "mig", at_most=0.1, factors=FACTORS)


def test_cards_representations_and_parts_are_accepted(tmp_path: Path) -> None:
    representation = dm.Representation(PERFECT, FACTORS)
    card = dm.score(representation, ["linear_r2", "mig"], null=False)
    card.to_json(tmp_path / "card.json")
    part = "linear_r2.codes_from_factors"
    for what in (card, tmp_path / "card.json", representation):
        assert assert_score(what, part, at_least=0.9).value == card[part].value
        with pytest.raises(AssertionError, match=r"linear_r2.codes_from_factors = 1 must be at most 0\.5") as caught:
            assert_score(what, part, at_most=0.5)
        assert "mig" not in str(caught.value)


def test_without_pytest_a_baseline_path_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    program = (
        "import numpy as np, disentmetrics as dm\n"
        "from disentmetrics_adapters.integrations.pytest_plugin import assert_no_regression\n"
        "f = np.indices((6, 8)).reshape(2, -1).T.repeat(20, axis=0)\n"
        "assert_no_regression(f * 1.0, 'base.json', metrics=['mig'], factors=f)"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120)
    assert "AssertionError: there is no baseline base.json yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "given", "message"),
    [
        (PERFECT, {"at_least": None, "factors": FACTORS}, "assert_score requires a limit"),
        (PERFECT, {"factors": FACTORS, "n_samples": 3}, "codes are already computed; omit n_samples"),
        ("baseline:pca", {}, "the encoder 'baseline:pca' requires data to encode"),
        ("baseline:pca", {"data": "dsprites", "factors": FACTORS}, "whose factors are known; omit factors"),
        (dm.Representation(PERFECT, FACTORS), {"factors": FACTORS}, "omit factors"),
        (dm.score(dm.Representation(PERFECT, FACTORS), ["mig"], null=False), {"data": "x"}, "omit data"),
    ],
)
def test_options_that_cannot_be_combined_are_refused(what: object, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        assert_score(what, "mig", **{"at_least": 0.1, **given})


def test_a_wrong_name_is_reported_before_the_encoder_runs() -> None:
    def never(images: object) -> object:
        raise AssertionError

    with pytest.raises(InvalidInputError, match="no metric is named 'mik'"):
        assert_score(never, "mik", at_least=0, data="dsprites")


def test_an_invalid_baseline_is_not_a_regression(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text("{")
    with pytest.raises(dm.errors.CorruptFileError, match="must be a complete score card"):
        assert_no_regression(PERFECT, tmp_path / "base.json", factors=FACTORS)
