import pickle

import numpy as np

from disentmetrics.datasets.catalog.dsprites import DSprites


def test_very_many_categories_have_no_names() -> None:
    merged = DSprites().merge(["orientation", "x", "y"])
    assert merged.space["orientation_x_y"].values == ()
    assert len(DSprites().merge(["x", "y"]).space["x_y"].values) == 1024
    assert np.array_equal(merged.observations([[2, 5, 39 * 1024 + 33]]), DSprites().observations([[2, 5, 39, 1, 1]]))
    assert len(pickle.dumps(DSprites().merge(["x", "y"]))) < 100_000
