"""Models as people save and write them: dtypes, attribute dicts, checkpoints with objects, fixed batch sizes."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="models of torch")

from disentmetrics_adapters.encoders.sklearn import SklearnEncoder  # noqa: E402
from disentmetrics_adapters.encoders.torch import TorchEncoder  # noqa: E402
from sklearn.decomposition import NMF, PCA, MiniBatchNMF, TruncatedSVD  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler  # noqa: E402

import disentmetrics as dm  # noqa: E402
from disentmetrics.errors import InvalidInputError, UntrustedFileError  # noqa: E402

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 6, 1), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "model",
    [
        PCA(3, random_state=0),
        NMF(3, max_iter=400, random_state=0),
        MiniBatchNMF(3, random_state=0),
        TruncatedSVD(3, random_state=0),
        make_pipeline(MinMaxScaler(clip=True), NMF(3, max_iter=400, random_state=0)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_transformer_gets_the_type_of_numbers_that_it_was_fitted_to(model: Any, dtype: type) -> None:
    rows = np.divide(IMAGES.reshape(60, -1), dtype(255), dtype=dtype)
    codes = SklearnEncoder(model.fit(rows))(IMAGES)
    np.testing.assert_array_equal(codes, model.transform(rows))


class Raises(dict[str, Any]):
    __getattr__ = dict.__getitem__


class Nothing(dict[str, Any]):
    __getattr__ = dict.get


class Grows(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        return self.setdefault(name, Grows())


@pytest.mark.parametrize("kind", [dict, Raises, Nothing, Grows])
@pytest.mark.parametrize("select", [None, "mu,logvar"])
def test_a_dict_whose_attributes_are_its_keys_is_a_dict(kind: Any, select: str | None) -> None:
    class Model(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(36, 4)

        def forward(self, images: Any) -> Any:
            mean, log_variance = self.layer(images.flatten(1)).chunk(2, 1)
            return kind(mu=mean, logvar=log_variance)

    posterior = TorchEncoder(Model(), layout="NCHW", select=select)(IMAGES)
    assert isinstance(posterior, dm.Posterior)
    assert posterior.mean.shape == posterior.log_variance.shape == (60, 2)


def test_a_checkpoint_with_objects_is_read_if_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(
        "import torch\ndef build():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3))\n"
    )
    weights = {f"encoder.1.{name}": value for name, value in torch.nn.Linear(36, 3).state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": argparse.Namespace(lr=1e-3)}, "last.ckpt")
    spec = "torch:model.py:build?weights=last.ckpt&prefix=encoder.&layout=flat"
    with pytest.raises(UntrustedFileError, match="add --trust-pickle"):
        dm.load_encoder(spec)
    codes = dm.load_encoder(spec, trust_pickle=True)(IMAGES)
    assert np.asarray(codes).shape == (60, 3)


@pytest.mark.parametrize("spec", ["onnx:m.onnx", "exec:true", "table:t.npz", "baseline:pca", "python:a.py:b"])
def test_trust_is_refused_where_it_does_not_apply(spec: str) -> None:
    with pytest.raises(InvalidInputError, match="reads no pickles"):
        dm.load_encoder(spec, trust_pickle=True)


def test_every_scheme_takes_a_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fixed.py").write_text(
        "def codes(images):\n    assert len(images) == 64\n    return images.reshape(64, -1)[:, :3].astype(float)\n"
    )
    data = dm.load_dataset("blobs")
    representation = dm.encode("python:fixed.py:codes?batch_size=64", data, n_samples=100, batch_size=50)
    assert representation.codes.shape == (100, 3)
    with pytest.raises(InvalidInputError, match="batch_size must be a whole number"):
        dm.load_encoder("python:fixed.py:codes?batch_size=0")
    with pytest.raises(InvalidInputError, match="its options: call, fingerprint, batch_size"):
        dm.load_encoder("python:fixed.py:codes?batchsize=64")
