"""TorchScript archives as encoders."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from disentmetrics.encoders.protocol import Posterior
from disentmetrics.encoders.registry import load_encoder
from disentmetrics.errors import CorruptFileError, InvalidInputError


class VAE(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3, 4)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self.dropout(self.head(table))
        return codes

    @torch.jit.export
    def encode(self, table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.forward(table).chunk(2, dim=1)
        return mean, log_variance


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(VAE().train()).save(tmp_path / "ein Kodierer.pt")
    return tmp_path / "ein Kodierer.pt"


def test_an_archive_saved_in_training_mode_is_evaluated(archive: Path) -> None:
    table = np.ones((64, 3), np.float32)
    encoder: Any = load_encoder(f"torchscript:{archive}?select=0,1")
    codes = encoder(table)
    assert isinstance(codes, Posterior)
    assert codes.mean.shape == codes.log_variance.shape == (64, 2)
    assert np.ptp(codes.mean, axis=0).max() == 0  # with dropout, equal rows would differ
    assert encoder.fingerprint.startswith("torchscript-")


def test_other_methods_and_conventions_are_chosen_as_for_torch(archive: Path) -> None:
    table = np.ones((2, 3), np.float32)
    one: Any = load_encoder(f"torchscript:{archive}?select=0,1")
    other: Any = load_encoder(f"torchscript:{archive}?method=forward&select=halves")
    assert (one(table).mean == other(table).mean).all()
    assert one.fingerprint != other.fingerprint
    with pytest.raises(InvalidInputError, match="select=0,1"):
        load_encoder(f"torchscript:{archive}")(table)


@pytest.mark.parametrize("n_bytes", [0, 1000])
def test_a_damaged_archive_is_named(archive: Path, n_bytes: int) -> None:
    archive.write_bytes(archive.read_bytes()[:n_bytes])
    with pytest.raises(CorruptFileError, match="is damaged, or not a TorchScript archive"):
        load_encoder(f"torchscript:{archive}")
