"""Training data: nuisances as in the samples that are scored, vectors, and factors of large data sets."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.data import TrainingData, standardised_factors
from disentmetrics_reference_models.training.registry import find_method
from disentmetrics_reference_models.training.train import train
from disentmetrics_reference_models.training.trainer import Trainer, steps_per_chunk, train_to_end
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.datasets.arrays.custom import CustomDataSet
from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.nuisance import uniform
from disentmetrics.errors import InvalidInputError
from disentmetrics.factors import Factor, FactorSpace

CPU = torch.device("cpu")


class Lit(DataSet):
    """Images of one grey value: a factor, and an illumination that is a nuisance."""

    name = "lit"
    fingerprint = "lit-1"
    space = FactorSpace([Factor("level", 4, "ordinal")])
    observation_shape = (8, 8, 1)
    nuisances = ("illumination",)

    def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
        grey = 10 * factors[:, 0] + (200 * uniform(nuisance, 1)[:, 0]).astype(np.int64)
        return np.broadcast_to(grey.astype(np.uint8)[:, None, None, None], (len(factors), 8, 8, 1)).copy()


def config(**changes: Any) -> Config:
    tiny = {"architecture": "small-fc", "batch_size": 16, "n_steps": 60}
    return find_method("vae").preset("smoke").changed({**tiny, **changes})


def greys_of_training(trainer: Trainer) -> NDArray[np.float64]:
    """Return the grey value of every image that a chunk of training steps sees."""
    drawn = trainer._draw(steps_per_chunk(trainer.config))
    observations, _ = trainer._observe(drawn, slice(0, drawn.rows.shape[1]))
    return observations[..., 0, 0, 0].double().numpy().ravel()


def test_nuisances_of_training_have_the_distribution_of_those_that_are_scored() -> None:
    seen = greys_of_training(Trainer([config()], TrainingData(Lit())))
    draws = Lit().sample(len(seen), np.random.default_rng(0))
    scored = Lit().observations(draws.factors, draws.nuisance)[:, 0, 0, 0].astype(float)
    bins = np.linspace(0, 240, 9)
    one, other = (np.histogram(values, bins)[0] / len(seen) for values in (seen, scored))
    assert np.abs(one - other).max() < 0.06
    assert len(np.unique(seen)) > 150  # 4 if each combination of factors had one nuisance


@pytest.mark.parametrize(("spec", "least"), [("scenes", 0.99), ("faces-like", 0.99), ("dsprites-noise", 0.99)])
def test_rendered_data_have_another_nuisance_each_time(spec: str, least: float) -> None:
    data = TrainingData(dm.load_dataset(spec))
    rows, rng = np.zeros(40, np.int64), np.random.default_rng(0)
    nuisance = data.draw_nuisance(rows, rng)
    assert nuisance is not None
    assert len(np.unique(nuisance)) >= least * 40
    images = data.at(rows, CPU, nuisance).flatten(1)
    assert len(torch.unique(images, dim=0)) > 20  # of one combination of factors


def test_a_factor_turned_into_a_nuisance_varies(spots: DataSet) -> None:
    hidden = spots.with_nuisance("column")
    drawn = Trainer([config()], TrainingData(hidden))
    observations, _ = drawn._observe(drawn._draw(20), slice(0, 20))
    assert len(torch.unique(observations.flatten(0, 2).flatten(1), dim=0)) == 36


def test_rows_of_a_table_are_seen_as_they_are() -> None:
    images = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((50, 8, 8, 1), np.uint8)
    data = TrainingData(CustomDataSet(images, {"half": np.arange(50) // 25}, name="table"))
    assert not data.draws_nuisance
    assert sorted(data.at(np.arange(50), CPU)[:, 0, 0, 0].tolist()) == list(range(50))


def test_training_with_nuisances_resumes_to_identical_weights() -> None:
    data = TrainingData(Lit())
    unbroken, broken, fresh = (Trainer([config()], data) for _ in range(3))
    train_to_end(unbroken)
    train_to_end(broken, until=23)
    fresh.restore(broken.state())
    train_to_end(fresh)
    assert all(torch.equal(value, fresh.parameters[name]) for name, value in unbroken.parameters.items())


def test_vectors_are_standardised_and_decoded_in_their_units() -> None:
    rng = np.random.default_rng(0)
    loadings = np.array([[300.0, 0.0, 1e-3], [0.0, 2.0, 1e-3]])
    sources = rng.normal(size=(500, 2))
    table = np.column_stack([sources @ loadings + [5000.0, -3.0, 0.0], np.full(500, 7.0)])
    data = CustomDataSet(table, {"sign": (sources[:, 0] > 0).astype(int)}, name="units")
    mean, deviation = TrainingData(data).scaling
    assert mean.numpy() == pytest.approx(table.mean(0), rel=1e-4, abs=1e-4)
    assert deviation.numpy() == pytest.approx([*table.std(0)[:3], 1.0], rel=1e-3)
    preset = find_method("vae").preset("smoke", data).changed({"n_steps": 600, "learning_rate": 5e-3})
    assert (preset.architecture, preset.likelihood) == ("small-fc", "gaussian")
    run = train(preset, data, device="cpu")
    drawn = data.full_grid()
    observed = data.observations(drawn.factors, drawn.nuisance)
    decoded = run.decode(run.posterior(observed).mean)
    residual = ((decoded - observed) ** 2).mean(0)[:3] / table.var(0)[:3]
    assert residual.max() < 0.2
    assert decoded[:, 3] == pytest.approx(np.full(500, 7.0), abs=0.1)
    assert np.abs(run.sample(400).mean(0) - table.mean(0))[:3].max() < 0.5 * table.std(0).max()
    with pytest.raises(InvalidInputError, match="needs vectors of 4 real features; got float64 of shape"):
        run(np.zeros((2, 3)))


def test_vectors_with_a_bernoulli_likelihood_or_convolutions_are_refused() -> None:
    data = dm.load_dataset("linear-ica")
    for changes, message in (
        ({"architecture": "small-fc"}, "use likelihood=gaussian"),
        ({"architecture": "small-conv"}, r"small-conv needs images .*architectures that take them: higgins-fc, mlp"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            train(config(**changes), data, device="cpu")


def test_vectors_that_are_not_finite_are_refused() -> None:
    class Gaps(DataSet):
        name = "gaps"
        fingerprint = "gaps-1"
        space = FactorSpace([Factor("a", 3, "ordinal")])
        observation_shape = (4,)

        def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
            rows = np.ones((len(factors), 4))
            rows[:, 2] = np.nan
            return rows

    with pytest.raises(InvalidInputError, match="1 of 4 features of gaps have missing or infinite values"):
        train(config(likelihood="gaussian"), Gaps(), device="cpu")


def test_factors_of_a_large_grid_are_computed_row_by_row() -> None:
    class Large(DataSet):
        name = "large"
        fingerprint = "large-1"
        space = FactorSpace([Factor(f"f{j}", 60, "ordinal") for j in range(4)])  # 13 million combinations
        observation_shape = (8, 8, 1)

        def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.uint8]:
            return np.zeros((len(factors), 8, 8, 1), np.uint8)

    tracemalloc.start()
    data = TrainingData(Large())
    rows = np.random.default_rng(0).integers(len(data), size=20_000)
    factors = standardised_factors(data, data.draws(rows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data) == 60**4
    assert peak < 20e6  # 415 MB for the indices of all combinations
    assert factors.mean(0) == pytest.approx(np.zeros(4), abs=0.03)
    assert factors.std(0) == pytest.approx(np.ones(4), abs=0.03)


def test_observations_other_than_images_and_vectors_are_refused() -> None:
    class Sequences(DataSet):
        name = "sequences"
        fingerprint = "sequences-1"
        space = FactorSpace([Factor("a", 3, "ordinal")])
        observation_shape = (5, 4)

        def make(self, factors: NDArray[np.int64], nuisance: NDArray[np.uint64]) -> NDArray[np.float64]:
            return np.zeros((len(factors), 5, 4))

    with pytest.raises(InvalidInputError, match=r"images of shape .* or vectors; observations of sequences have shape"):
        TrainingData(Sequences())


def test_whole_numbers_are_vectors_too() -> None:
    table = np.random.default_rng(0).integers(0, 50, (60, 3)).astype(np.float64)
    data = CustomDataSet(table, {"a": np.arange(60) % 3}, name="counts")
    run = train(find_method("vae").preset("smoke", data).changed({"n_steps": 3}), data, device="cpu")
    assert np.array_equal(run.posterior(table.astype(np.int64)).mean, run.posterior(table).mean)


def test_features_that_single_precision_does_not_resolve_are_refused() -> None:
    table = np.random.default_rng(0).normal(size=(60, 2))
    table[:, 0] += 1.7e9
    data = CustomDataSet(table, {"a": np.arange(60) % 3}, name="times")
    with pytest.raises(InvalidInputError, match="the mean of 1 of 2 features of times is more than 100,000 times"):
        train(find_method("vae").preset("smoke", data), data, device="cpu")
