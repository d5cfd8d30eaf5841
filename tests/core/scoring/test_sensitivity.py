"""Notes on scores that another resolution of the codes would change."""

import numpy as np

import disentmetrics as dm

METRICS = ["mig", "compactness_adj", "factorvae"]


def notes(codes: np.ndarray, factors: np.ndarray, log_variance: np.ndarray | None = None) -> list[str]:
    table = dm.Representation(codes, factors, log_variance=log_variance)
    card = dm.score(table, METRICS, interval=None, null=False)
    return [note for note in card.notes if "resolution" in note or "posterior means" in note]


def factors_of(n: int = 3_000) -> np.ndarray:
    return np.random.default_rng(0).integers((10, 10, 8), size=(n, 3))


def test_perfect_codes_and_noise_do_not_depend_on_the_resolution() -> None:
    v = factors_of()
    assert notes(v.astype(float), v) == []
    assert notes(np.random.default_rng(1).normal(size=v.shape), v) == []


def test_a_trace_of_the_size_of_the_resolution_is_noted_with_the_finer_value() -> None:
    v = factors_of()
    (note,) = notes(v + 0.03 * np.roll(v, 1, axis=1), v)
    assert "traces of other factors" in note
    assert "three times finer: 0.6" in note
    assert "factorvae" not in note


def test_traces_in_the_means_of_collapsed_latents_are_noted_with_both_values() -> None:
    v = factors_of()
    codes = np.hstack([v * 1.0, 1e-3 * v])
    log_variance = np.hstack([np.full(v.shape, -4.0), np.zeros(v.shape)])
    (note,) = notes(codes, v, log_variance)
    assert "from samples of the posterior" in note
    assert "mig 0.99" in note
    assert "(0.00" in note
    assert notes(v * 1.0, v, np.full(v.shape, -4.0)) == []
