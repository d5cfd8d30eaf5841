"""Verdicts on random encoders, by the script that measures how often they are right."""

import sys
from pathlib import Path

import numpy as np
import pytest

from disentmetrics.results.verdict import STATUSES

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import verdicts


def right(n_encoders: int) -> tuple[list[verdicts.Result], float]:
    drawn = list(verdicts.results(range(verdicts.FIRST_SEED, verdicts.FIRST_SEED + n_encoders)))
    return drawn, float(np.mean([result.right for result in drawn]))


def test_verdicts_on_random_encoders_are_right() -> None:
    drawn, share = right(40)
    assert share >= 0.97
    assert {r.status for r in drawn if r.truth.block == "noise"} <= {"missing"}


@pytest.mark.slow
def test_the_table_of_the_page_repeats() -> None:
    drawn, share = right(verdicts.N_ENCODERS)
    assert share >= 0.98
    for status in STATUSES:
        assert np.mean([r.right for r in drawn if r.truth.status == status]) >= 0.95
    noise = [r.status for r in drawn if r.truth.block == "noise"]
    assert len(noise) > 50
    assert noise.count("missing") >= 0.99 * len(noise)
    printed = verdicts.PAGE.read_text(encoding="utf-8").split(verdicts.START)[1].split(verdicts.END)[0]
    assert f"{verdicts.N_ENCODERS} encoders, " in printed
    documented = int(printed.split(" encoders, ")[1].split(" of ")[0]) / len(drawn)
    assert abs(documented - share) < 0.005
