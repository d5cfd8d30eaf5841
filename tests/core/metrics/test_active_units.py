import numpy as np
import pytest

import disentmetrics as dm


def labels(codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(codes), dtype=int)


def score(name: str, codes: np.ndarray, **options: object) -> dm.Score:
    result: dm.Score = getattr(dm.metrics, name)(codes, labels(codes), **options)
    return result


def test_active_units_by_divergence_by_variance_and_without_either() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 3)) * [1.0, 0.02, 0.0]
    spread = np.tile([-4.0, 0.0, -4.0], (500, 1))  # the third posterior is narrow and the same in every row
    with_spread = score("active_units", codes, log_variance=spread)
    assert with_spread.value == 2.0
    assert with_spread.details["active"].tolist() == [True, False, True]
    plain = score("active_units", codes)
    assert plain.details["active"].tolist() == [True, True, False]
    assert any("z1" in note for note in plain.notes)
    assert plain.parts["share"].value == pytest.approx(2 / 3)
    assert score("active_units", codes, protocol="burda2016").value == 1.0
    assert score("active_units", 10 * codes, protocol="burda2016").value == 2.0
