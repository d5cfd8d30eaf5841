import numpy as np

import disentmetrics as dm


def test_msas_and_msgs_do_not_see_packing_and_say_so() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(900, 2))
    packed = (3 * factors[:, 0] + factors[:, 1]).astype(float)
    codes = np.stack([packed, rng.normal(size=900)], axis=1)
    score = dm.metrics.msgs(codes, factors)
    assert score.value > 0.97
    assert "is the best latent for values of factor_0 and factor_1" in score.notes[0]
    assert "values that share a latent" in dm.metrics.msas(codes, factors).notes[0]
    assert dm.metrics.lms(codes, factors).value < 0.2
