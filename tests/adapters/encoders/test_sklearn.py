"""Fitted scikit-learn transformers as encoders."""

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from disentmetrics_adapters.encoders.sklearn import SklearnEncoder
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import CorruptFileError, EncoderError, InvalidInputError, UntrustedFileError

Images = NDArray[np.uint8]


@pytest.fixture
def pca(images: Images) -> Any:
    return make_pipeline(StandardScaler(), PCA(2)).fit(images.reshape(5, -1) / 255)


def codes_of(encoder: Any, observations: Any) -> NDArray[Any]:
    return np.asarray(encoder(observations))


def test_a_live_transformer_gets_flat_pixels(images: Images, pca: Any) -> None:
    expected = pca.transform(images.reshape(5, -1) / 255)
    np.testing.assert_allclose(codes_of(SklearnEncoder(pca), images), expected, atol=1e-5)
    raw = SklearnEncoder(PCA(2).fit(images.reshape(5, -1)), range="0..255")
    assert codes_of(raw, images).shape == (5, 2)


def test_tables_keep_their_precision() -> None:
    table = np.random.default_rng(0).normal(size=(20, 4))
    scaler = StandardScaler().fit(table)
    assert (codes_of(SklearnEncoder(scaler), table) == scaler.transform(table)).all()


def test_sparse_codes_and_other_methods() -> None:
    table = np.random.default_rng(0).integers(0, 3, (20, 2)).astype(float)
    assert codes_of(SklearnEncoder(OneHotEncoder().fit(table)), table).shape == (20, 6)
    mixture = GaussianMixture(3, random_state=0).fit(table)
    probabilities = codes_of(SklearnEncoder(mixture, method="predict_proba"), table)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    with pytest.raises(InvalidInputError, match="must have the method 'transform'; GaussianMixture has none"):
        SklearnEncoder(mixture)


def test_observations_of_another_size_are_an_encoder_error(pca: Any) -> None:
    with pytest.raises(EncoderError, match="144 features"):
        SklearnEncoder(pca)(np.zeros((2, 7), np.float32))


def test_a_skops_file_gives_the_codes_of_its_transformer(tmp_path: Path, images: Images, pca: Any) -> None:
    skops = pytest.importorskip("skops.io")
    skops.dump(pca, tmp_path / "my pca.skops")
    encoder: Any = load_encoder(f"sklearn:{tmp_path}/my pca.skops")
    np.testing.assert_allclose(codes_of(encoder, images), codes_of(SklearnEncoder(pca), images))
    other: Any = load_encoder(f"sklearn:{tmp_path}/my pca.skops?range=raw")
    assert encoder.fingerprint.startswith("sklearn-")
    assert encoder.fingerprint != other.fingerprint


def test_untrusted_types_in_a_skops_file_are_named(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    skops.dump(FunctionTransformer(os.path.getsize), tmp_path / "f.skops")
    with pytest.raises(UntrustedFileError, match=r"not trusted by default: (\S+getsize); .*add trust=\1$"):
        load_encoder(f"sklearn:{tmp_path}/f.skops")
    trusted: Any = load_encoder(f"sklearn:{tmp_path}/f.skops?trust=genericpath.getsize")
    assert callable(trusted)


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_skops_file_is_named(tmp_path: Path, pca: Any, content: bytes | None) -> None:
    skops = pytest.importorskip("skops.io")
    file = tmp_path / "x.skops"
    skops.dump(pca, file)
    file.write_bytes(file.read_bytes()[:300] if content is None else content)
    with pytest.raises(CorruptFileError, match="is damaged, or not a skops file"):
        load_encoder(f"sklearn:{file}")


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.victim}'",)


@pytest.mark.parametrize("name", ["x.pkl", "x.pickle", "x.joblib"])
def test_a_pickle_runs_only_when_it_is_trusted(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    (tmp_path / name).write_bytes(pickle.dumps(Malicious(victim)))
    with pytest.raises(UntrustedFileError, match="--trust-pickle"):
        load_encoder(f"sklearn:{tmp_path / name}")
    with pytest.raises(UntrustedFileError, match="--trust-pickle"):
        load_encoder(f"sklearn:{tmp_path / name}", trust_pickle=False)
    assert not victim.exists()
    with pytest.raises(InvalidInputError, match="int has none"):  # what os.system returned
        load_encoder(f"sklearn:{tmp_path / name}", trust_pickle=True)
    assert victim.exists()


def test_a_renamed_pickle_is_not_run(tmp_path: Path) -> None:
    pytest.importorskip("skops")
    (tmp_path / "x.skops").write_bytes(pickle.dumps(Malicious(tmp_path / "victim")))
    with pytest.raises(CorruptFileError):
        load_encoder(f"sklearn:{tmp_path}/x.skops", trust_pickle=True)
    assert not (tmp_path / "victim").exists()


def test_a_trusted_pickle_gives_the_codes_of_its_transformer(tmp_path: Path, images: Images, pca: Any) -> None:
    joblib.dump(pca, tmp_path / "pca.joblib")
    encoder = load_encoder(f"sklearn:{tmp_path}/pca.joblib", trust_pickle=True)
    assert (codes_of(encoder, images) == codes_of(SklearnEncoder(pca), images)).all()
    (tmp_path / "pca.joblib").write_bytes(b"garbage")
    with pytest.raises(CorruptFileError, match="cannot be unpickled"):
        load_encoder(f"sklearn:{tmp_path}/pca.joblib", trust_pickle=True)
