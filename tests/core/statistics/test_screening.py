"""Screening selects informative latents, never densifies the matrix, and notes what it did."""

import numpy as np
import pytest
from scipy import sparse

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError


def dictionary(n: int = 2_000, width: int = 5_000) -> tuple[sparse.csr_array, dict[str, np.ndarray], list[int]]:
    """Sparse codes of noise, among them one for each concept and two for an angle."""
    rng = np.random.default_rng(0)
    concepts = {f"c{k}": rng.random(n) < 0.2 for k in range(4)}
    angle = rng.integers(12, size=n)
    codes = sparse.random(n, width, density=0.01, format="lil", rng=rng)
    places = [7, 123, 250, width - 1, 44, 45]
    signals: list[np.ndarray] = [*concepts.values(), 1.5 + np.cos(angle * np.pi / 6), 1.5 + np.sin(angle * np.pi / 6)]
    for place, values in zip(places, signals, strict=True):
        codes[:, place] = (np.asarray(values, dtype=float) * rng.uniform(0.8, 1.2, size=n))[:, None]
    return codes.tocsr(), {**concepts, "angle": angle}, places


def test_informative_latents_are_selected_under_their_names() -> None:
    codes, factors, places = dictionary()
    kept = dm.screen(codes, factors, n_codes=64, kinds={"angle": "circular"})
    assert kept.n_codes == 64
    assert {f"z{place}" for place in places} <= set(kept.code_names)
    assert "64 of 5,000 latents were selected" in kept.inference[0]
    position = kept.code_names.index("z123")
    assert np.array_equal(kept.codes[:, position], codes[:, [123]].toarray().ravel())


def test_scores_of_single_codes_are_those_of_all_codes() -> None:
    codes, factors, _ = dictionary(width=400)
    everything = dm.Representation(codes.toarray(), factors)
    kept = dm.screen(codes, factors, n_codes=40)
    for name in ("mig", "explicitness_adj"):
        metric = getattr(dm.metrics, name)
        assert metric.score(kept).value == pytest.approx(metric.score(everything).value, abs=0.01)


def test_the_wide_matrix_never_becomes_dense() -> None:
    import tracemalloc

    codes, factors, _ = dictionary(n=1_000, width=16_384)
    tracemalloc.start()
    dm.screen(codes, factors, n_codes=64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000 * 16_384 * 8 / 4


def test_each_factor_selects_an_equal_share_of_the_latents(rng: np.random.Generator) -> None:
    easy, hard = rng.integers(2, size=(2, 3_000))
    codes = np.hstack(
        [easy[:, None] + 0.1 * rng.normal(size=(3_000, 50)), hard[:, None] + 3 * rng.normal(size=(3_000, 1))]
    )
    assert "z50" in dm.screen(codes, {"easy": easy, "hard": hard}, n_codes=4).code_names


def test_missing_labels_are_left_out(rng: np.random.Generator) -> None:
    label = rng.integers(2, size=1_000).astype(float)
    codes = np.where(np.arange(300) == 17, label[:, None], rng.normal(size=(1_000, 300)))
    holes = np.where(rng.random(1_000) < 0.5, np.nan, label)
    assert "z17" in dm.screen(codes, {"label": holes}, n_codes=2).code_names


def test_few_latents_are_all_selected_without_a_note(rng: np.random.Generator) -> None:
    kept = dm.screen(rng.normal(size=(30, 5)), rng.integers(2, size=30), n_codes=10)
    assert kept.code_names == ("z0", "z1", "z2", "z3", "z4")
    assert not any("kept" in sentence for sentence in kept.inference)


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.array([["a", "b"]] * 9), {}, "real numbers"),
        (np.full((9, 3), np.nan), {}, "must be finite; got 27"),
        (np.ones((9, 3)), {"n_codes": 0}, "at least one per factor"),
        (np.ones((9, 3)), {"code_names": ["a"]}, "must name 3 latents"),
    ],
)
def test_bad_input_gets_one_sentence(codes: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.screen(codes, np.arange(9) % 2, **options)  # type: ignore[arg-type] # wrong on purpose
