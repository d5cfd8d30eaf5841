import numpy as np
import pytest

import disentmetrics as dm


def cells(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = np.stack([rng.integers(4, size=n), rng.integers(3, size=n)], axis=1)
    markers = np.hstack([np.eye(4)[kinds[:, 0]], np.eye(3)[kinds[:, 1]]])
    return markers + 0.05 * rng.random(size=markers.shape), kinds


@pytest.mark.parametrize("protocol", ["default", "spn", "bmmi"])
def test_one_latent_per_value_scores_1(protocol: str) -> None:
    codes, kinds = cells()
    assert dm.metrics.lms(codes, kinds, protocol=protocol).value == pytest.approx(1.0)
    assert dm.metrics.msas(codes, kinds, protocol=protocol).value == pytest.approx(1.0)


def test_with_fewer_latents_than_targets_the_number_of_targets_divides() -> None:
    """Published on a perfect code of sizes 4, 5, 6, 8 and 12: 5 / 35."""
    grid = np.indices((4, 5, 6, 8, 12)).reshape(5, -1).T
    score = dm.metrics.lms(grid.astype(float), grid)
    assert score.value == pytest.approx(0.14285714285714302, abs=1e-12)
    assert any("no representation of this size can score above 0.143" in note for note in score.notes)
    assert dm.metrics.msas(grid.astype(float), grid).value == pytest.approx(0.9539708954972649, abs=1e-9)
    assert dm.metrics.msgs(grid.astype(float), grid, protocol="bmmi").value == pytest.approx(
        0.5580474357334287, abs=1e-9
    )
    assert dm.metrics.msas(grid.astype(float), grid, protocol="asc").value == pytest.approx(
        0.3522089956833525, abs=1e-9
    )
    # The authors' 0.367 depends on the order of tied rows.
    assert dm.metrics.msgs(grid.astype(float), grid, protocol="spn").value == pytest.approx(1.0, abs=1e-3)
