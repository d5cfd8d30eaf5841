from importlib import import_module
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(folder))
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw just a few seeds, halves of the rows and permutations, where their number does not matter."""
    for module, name, n in (
        ("disentmetrics.scoring.score", "N_SEEDS", 2),
        ("disentmetrics.scoring.score", "N_PERMUTATIONS", 6),
        ("disentmetrics.scoring.score", "N_FEW_PERMUTATIONS", 3),
        ("disentmetrics.representation.resampling", "N_REPLICATES", 3),
    ):
        monkeypatch.setattr(import_module(module), name, n)  # the name of the first is that of the function too
