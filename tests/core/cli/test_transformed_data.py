"""``score`` of data sets transformed by options: selected, merged, hidden or reweighted factors."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
FAST = ("--metrics", "mig", "--interval", "none", "--no-null")
WEIGHTED = "mini-sprites?correlate=x,y,0.9"


def test_scores_of_correlated_data_report_dependent_factors(run: Run) -> None:
    ran = run("score", "baseline:factors", "--data", WEIGHTED, "--samples", "3000", *FAST)
    assert ran.code == 0
    assert "dependent factors" in ran.out
    assert "x and y" in ran.out
    assert "data:mini-sprites-1+correlate(x,y,0.9)|draw:weighted/0" in ran.out


def test_weighted_data_are_sampled_independently(run: Run) -> None:
    small = f"{WEIGHTED}&select=shape:0,scale:0,orientation:0"
    ran = run("score", "baseline:factors", "--data", small, *FAST)
    assert ran.code == 0
    assert "rows:20000|" in ran.out
    ran = run("score", "baseline:factors", "--data", small, "--samples", "all", *FAST)
    assert ran.code == 2
    assert "draw a number of samples instead" in ran.sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("corelate=x,y,0.8", "did you mean 'correlate'"),
        ("select=shape:haert", "has no value 'haert'"),
        ("merge=x,why", "no factor is named 'why'"),
    ],
)
def test_invalid_options_are_reported_in_one_sentence(run: Run, options: str, message: str) -> None:
    ran = run("score", "baseline:factors", "--data", f"mini-sprites?{options}", *FAST)
    assert ran.code == 2
    assert message in ran.sentence
