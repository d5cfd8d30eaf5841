import numpy as np

import disentmetrics as dm


def test_boosting_finds_what_no_line_can() -> None:
    factors = np.random.default_rng(0).uniform(-1, 1, size=(1_500, 2))
    codes = np.stack([np.abs(factors[:, 0]), np.sign(factors[:, 0]), factors[:, 1] ** 3], axis=1)
    linear = dm.metrics.linear_r2(codes, factors)
    bent = dm.metrics.nonlinear_r2(codes, factors)
    assert linear.value < 0.9
    assert bent.value > 0.97
