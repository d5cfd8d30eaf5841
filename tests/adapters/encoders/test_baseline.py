"""The baseline encoders."""

import hashlib
import logging
import re
from typing import Any

import numpy as np
import pytest
from disentmetrics_adapters.encoders import baseline
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import kstest
from sklearn.decomposition import PCA, FastICA

from disentmetrics.datasets import load_dataset
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet
from disentmetrics.encoders.encode import encode
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import InvalidInputError


def load(spec: str, **context: Any) -> Any:
    return load_encoder(f"baseline:{spec}", **context)


def grid(data: DataSet) -> NDArray[np.int64]:
    return data.space.indices_of(np.arange(len(data)))


# factors


def test_factors_are_standardised_over_the_grid_and_strictly_monotone(squares: DataSet) -> None:
    indices = grid(squares)
    codes = load("factors", data=squares)(indices)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(codes.std(axis=0), 1)
    for code, factor in zip(codes.T, indices.T, strict=True):
        assert (np.diff(code[np.argsort(factor, kind="stable")]) >= 0).all()
        assert len(np.unique(code)) == len(np.unique(factor))


def test_ordinal_factors_use_their_values_and_others_their_indices(squares: DataSet) -> None:
    codes = load("factors", data=squares)(grid(squares))
    brightness = np.unique(codes[:, 2])  # 60, 120, 240
    np.testing.assert_allclose(brightness[2] - brightness[1], 2 * (brightness[1] - brightness[0]))
    np.testing.assert_allclose(np.diff(np.unique(codes[:, 1])), np.diff(np.unique(codes[:, 0])))


def test_continuous_factors_are_their_own_codes_next_to_discrete_ones() -> None:
    data = load_dataset("pinwheel")
    codes = load("factors", data=data)(np.array([[0, 0.5, -2.0], [3, 1e9, 0.25]]))
    np.testing.assert_allclose(codes[:, 0], [-1.5 / 1.25**0.5, 1.5 / 1.25**0.5])  # of 0, 1, 2, 3
    assert codes[:, 1:].tolist() == [[0.5, -2.0], [1e9, 0.25]]
    with pytest.raises(InvalidInputError, match="'arm' must be whole"):
        load("factors", data=data)(np.array([[0.5, 1.0, 0.0]]))


@pytest.mark.parametrize("name", ["linear-ica", "pinwheel", "blobs", "digits-affine"])
def test_factors_and_components_of_every_kind_of_data_are_encoded(name: str) -> None:
    data = load_dataset(name)
    factors = encode("baseline:factors", data, n_samples=40, seed=1, cache=False)
    components = encode("baseline:pca?n_codes=2&n_fit=200", data, n_samples=40, seed=1, cache=False)
    assert factors.codes.shape == (40, len(data.space))
    assert components.codes.shape == (40, 2)
    assert (factors.factors == components.factors).all()


def test_factors_are_read_instead_of_observations(squares: DataSet) -> None:
    assert load("factors", data=squares).reads_factors
    assert not hasattr(load("pixels"), "reads_factors")


# pixels


def test_pixels_are_handed_through() -> None:
    images = np.array([0, 51, 255, 0], np.uint8).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(load("pixels")(images), [[0, 0.2, 1, 0]], rtol=1e-6)
    table = np.array([[3, -4]])
    assert load("pixels")(table).tolist() == [[3.0, -4.0]]


# pca and ica


def test_pca_is_that_of_scikit_learn_on_the_images_drawn(squares: DataSet) -> None:
    images = squares.observations(grid(squares))
    encoder = load("pca?n_codes=4&n_fit=2500", data=squares, seed=3)
    drawn = squares.sample_factors(2500, np.random.default_rng(3))
    reference = PCA(4).fit(squares.observations(drawn).reshape(2500, -1) / 255)
    expected = reference.transform(images.reshape(len(images), -1) / 255)
    codes = encoder(images)
    signs = np.sign((codes * expected).sum(axis=0))
    np.testing.assert_allclose(codes * signs, expected, atol=1e-3)


def test_ica_finds_independent_sources_that_pca_mixes(rng: np.random.Generator) -> None:
    sources = rng.uniform(-1, 1, (4000, 2))
    mixed = sources @ np.array([[1.0, 1.0, 0.2], [-1.0, 1.0, 0.5]])
    ica = baseline.fit_ica(mixed.copy(), 2, seed=0)
    pca = baseline.fit_pca(mixed.copy(), 2, seed=0)

    def worst_match(encoder: Any) -> float:
        correlations = np.abs(np.corrcoef(encoder(mixed).T, sources.T)[:2, 2:])
        return float(correlations.max(axis=0).min())

    assert worst_match(ica) > 0.99 > worst_match(pca)
    codes = ica(mixed)
    np.testing.assert_allclose(np.cov(codes.T), np.eye(2), atol=1e-2)


def test_ica_that_does_not_converge_is_used_with_a_warning(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_iterations(*args: Any, max_iter: int, **options: Any) -> FastICA:
        return FastICA(*args, max_iter=min(max_iter, 2), **options)

    monkeypatch.setattr("sklearn.decomposition.FastICA", two_iterations)
    gaussian = rng.normal(size=(200, 8))  # no direction is more independent than another
    with caplog.at_level(logging.WARNING, "disentmetrics"):
        encoder = baseline.fit_ica(gaussian.copy(), 8, seed=0)
    assert np.isfinite(encoder(gaussian)).all()
    assert "FastICA did not converge" in caplog.text


@pytest.mark.parametrize("name", ["pca", "ica"])
def test_fitting_is_decided_by_the_seed(squares: DataSet, name: str) -> None:
    images = squares.observations(grid(squares))
    one, same, other = (load(f"{name}?n_codes=3&n_fit=60", data=squares, seed=seed)(images) for seed in (0, 0, 1))
    assert (one == same).all()
    assert np.abs(one - other).max() > 1e-3


def test_every_image_drawn_is_fitted_whatever_the_batches(squares: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = baseline._fitting_observations(squares, 25, 0)
    monkeypatch.setattr(baseline, "FIT_BATCH", 10)
    assert (baseline._fitting_observations(squares, 25, 0) == whole).all()


def test_more_components_than_there_are_is_refused(squares: DataSet) -> None:
    with pytest.raises(InvalidInputError, match="n_codes must be at most 5, the smaller of n_fit = 5 observations"):
        load("pca?n_codes=6&n_fit=5", data=squares)
    with pytest.raises(InvalidInputError, match=r"span 1 dimensions.*n_codes=1"):
        baseline.fit_ica(np.outer(np.arange(9.0), np.ones(4)), 2, seed=0)
    with pytest.raises(InvalidInputError, match=r"span 0 dimensions"):
        baseline.fit_ica(np.ones((9, 4)), 2, seed=0)


class Flat(CustomDataSet):
    """Vectors of three dimensions, the last of which is the sum of the others."""

    def __init__(self, n_rows: int = 300) -> None:
        x, y = np.random.default_rng(0).uniform(size=(2, n_rows))
        super().__init__(np.stack([x, y, x + y], axis=1), {"a": np.arange(n_rows) % 3}, name="flat", fingerprint="1")


@pytest.mark.parametrize("name", ["pca", "ica"])
@pytest.mark.parametrize("data", ["pinwheel", "flat"])
def test_components_are_as_many_as_the_observations_have_dimensions(name: str, data: str) -> None:
    """Of three columns of which one is a sum, a third component would be rounding noise."""
    loaded = Flat() if data == "flat" else load_dataset(data)
    encoder = load(name, data=loaded)
    codes = encode(encoder, loaded, n_samples=200, seed=0, cache=False).codes
    assert codes.shape == (200, 2)
    assert (codes.std(axis=0) > 0.05).all()
    assert f"baseline-{name}-2-of-" in encoder.fingerprint
    with pytest.raises(InvalidInputError) as caught:
        load(f"{name}?n_codes=10", data=loaded)
    assert not {"pixels", "images"} & set(re.findall(r"\w+", str(caught.value)))


def rows_of_noise(n_rows: int) -> CustomDataSet:
    images = np.random.default_rng(0).integers(0, 256, (n_rows, 4, 4, 1), dtype=np.uint8)
    return CustomDataSet(images, {"a": np.arange(n_rows) % 3})


def test_all_rows_of_a_small_table_are_fitted_once(caplog: pytest.LogCaptureFixture) -> None:
    data = rows_of_noise(40)
    images = data.observations(data.full_grid().factors, data.full_grid().nuisance).reshape(40, -1) / 255
    with caplog.at_level(logging.INFO, "disentmetrics"):
        encoder = load("pca?n_codes=3", data=data)
    assert "fitting baseline:pca to 40 observations" in caplog.text
    assert "-3-of-40-seed-0-" in encoder.fingerprint
    np.testing.assert_allclose(encoder.encoder.mean, images.mean(axis=0), atol=1e-6)
    assert "-3-of-30-seed-0-" in load("pca?n_codes=3&n_fit=30", data=data).fingerprint
    assert len(np.unique(baseline._fitting_observations(data, 30, 0), axis=0)) == 30
    with pytest.raises(InvalidInputError, match="at most 12, the smaller of n_fit = 12 observations and 16 dimensions"):
        load("pca?n_codes=13", data=rows_of_noise(12))


@pytest.mark.parametrize("kind", ["complete grid", "selected", "mapped"])
def test_tables_are_known_however_they_are_cut(kind: str) -> None:
    data: DataSet = rows_of_noise(40)
    if kind == "complete grid":
        data = CustomDataSet(np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1), {"a": np.arange(6)})
    elif kind == "selected":
        data = data.select({"a": [0, 2]})
    else:
        data = data.map(np.negative, name="negative")
    assert f"-of-{len(data)}-seed-0-" in load("pca?n_codes=2", data=data).fingerprint


# random


@given(images=arrays(np.uint8, (3, 4, 4, 1)), seed=st.integers(0, 2**64))
def test_random_codes_are_a_function_of_the_observation_alone(images: NDArray[np.uint8], seed: int) -> None:
    encoder = load("random?n_codes=3", seed=seed)
    codes = encoder(images)
    assert np.isfinite(codes).all()
    assert (encoder(images[::-1]) == codes[::-1]).all()
    assert (encoder(images[1:2]) == codes[1:2]).all()
    different = (images[0] != images[1]).any()
    assert ((codes[0] != codes[1]).any()) == different


def test_random_codes_are_standard_normal_and_change_with_the_seed() -> None:
    table = np.arange(4000, dtype=np.int64)[:, None]
    codes = load("random?n_codes=4", seed=0)(table)
    for code in codes.T:
        assert kstest(code, "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(codes.T, table.T), np.eye(5), atol=0.08)
    other = load("random?n_codes=4", seed=1)(table)
    assert np.abs(np.corrcoef(codes.T, other.T)[:4, 4:]).max() < 0.08


def test_random_codes_are_frozen() -> None:
    codes = load("random?n_codes=2", seed=7)(np.arange(6, dtype=np.uint8).reshape(2, 3))
    np.testing.assert_allclose(codes, [[1.31010618, -0.58689655], [0.78666895, 0.75792714]], rtol=1e-7)


def test_the_extremes_of_the_uniform_stay_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    class Digest:
        def __init__(self, byte: bytes) -> None:
            self.byte = byte

        def digest(self, n: int) -> bytes:
            return self.byte * n

    for byte in (b"\x00", b"\xff"):
        monkeypatch.setattr(hashlib, "shake_256", lambda _, byte=byte: Digest(byte))
        assert np.isfinite(load("random")(np.zeros((1, 2), np.uint8))).all()


# All of them


def test_fingerprints_identify_all_that_determines_the_codes(squares: DataSet) -> None:
    class Renamed(type(squares)):  # type: ignore[misc]  # a class made on the spot
        fingerprint = "squares-2"

    specs = ["pca?n_codes=3&n_fit=50", "pca?n_codes=2&n_fit=50", "pca?n_codes=3&n_fit=51", "ica?n_codes=3&n_fit=50"]
    specs += ["random?n_codes=3", "random", "pixels", "factors"]
    names = [load(spec, data=squares, seed=0).fingerprint for spec in specs]
    names += [load(spec, data=squares, seed=1).fingerprint for spec in ("pca?n_codes=3&n_fit=50", "random")]
    names += [load(spec, data=Renamed(), seed=0).fingerprint for spec in ("pca?n_codes=3&n_fit=50", "factors")]
    assert len(set(names)) == len(names)
    assert load("random", seed=0).fingerprint == load("random?n_codes=10", data=squares, seed=0).fingerprint


@pytest.mark.parametrize("name", ["factors", "pca", "ica"])
def test_what_is_made_from_data_requires_data(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"baseline:{name} depends on the data set; specify it by --data"):
        load(name)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("pcas", "one of factors, pixels, pca, ica, random; got 'pcas'; did you mean 'pca'"),
        ("pixels?n_codes=3", "baseline:pixels has no option n_codes"),
        ("factors?n_fit=3", "baseline:factors has no option n_fit"),
        ("random?n_fit=3", "baseline:random has no option n_fit"),
        ("random?n_codes=0", "n_codes must be a whole number of at least 1; got '0'"),
        ("random?n_codes=1.5", "n_codes must be a whole number"),
        ("pca?n_fit=many", "n_fit must be a whole number"),
    ],
)
def test_wrong_options_report_the_requirement(squares: DataSet, spec: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        load(spec, data=squares)
