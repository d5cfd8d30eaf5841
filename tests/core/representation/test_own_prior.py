"""Divergences from a model's own prior travel with the codes and decide which latents have collapsed."""

from pathlib import Path

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.encoders.fixed_batch import FixedBatch
from disentmetrics.errors import EncoderError, InvalidInputError

N = 600
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    """Two used latents, and one that equals a prior of standard deviation 0.1: 1.8 nats from N(0, 1)."""
    factors = np.indices((4, 5)).reshape(2, -1).T.repeat(N // 20, axis=0)
    used = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    codes = np.column_stack([used, 1e-4 * rng.normal(size=N)])
    log_variance = np.tile([-4.0, -4.0, 2 * np.log(0.1)], (N, 1))
    kl = 0.5 * (codes**2 + np.exp(log_variance) - 1 - log_variance)
    kl[:, 2] = 0.0
    return factors, codes, log_variance, kl


def test_a_latent_collapsed_to_the_models_own_prior_is_named_and_masked_and_signatures_state_the_prior(
    arrays: Arrays,
) -> None:
    factors, codes, log_variance, kl = arrays
    own = dm.Representation(codes, factors, log_variance=log_variance, kl=kl)
    standard = dm.Representation(codes, factors, log_variance=log_variance)
    names = ["factorvae", "jemmig", "active_units"]
    card, other = (dm.score(table, names, interval=None, null=False) for table in (own, standard))
    assert "1 of 3 latents are collapsed to the model's own prior (mean KL at most 0.01 nats): z2" in card.notes
    assert "collapsed" not in " ".join(other.notes)
    assert (card["active_units"].value, other["active_units"].value) == (2.0, 3.0)
    assert card.summary is not None
    assert card.summary.active.tolist() == [True, True, False]
    assert "kl(own-prior)" in "".join(score.signature for score in card.values())
    assert "kl(own-prior)" not in "".join(score.signature for score in other.values())
    np.testing.assert_allclose(np.asarray(own.mean_kl), kl.mean(axis=0))
    assert own.without_posterior().mean_kl is None


def test_divergences_are_saved_selected_and_validated(arrays: Arrays, tmp_path: Path) -> None:
    factors, codes, log_variance, kl = arrays
    own = dm.Representation(codes, factors, log_variance=log_variance, kl=kl)
    own.save(tmp_path / "r.h5")
    back = dm.Representation.load(tmp_path / "r.h5")
    np.testing.assert_array_equal(np.asarray(back.kl), kl)
    np.testing.assert_array_equal(np.asarray(back.take(np.arange(0, N, 7)).kl), kl[::7])
    with pytest.raises(InvalidInputError, match="kl must have the shape of codes"):
        dm.Representation(codes, factors, log_variance=log_variance, kl=kl[:, :1])
    with pytest.raises(InvalidInputError, match="give log_variance as well"):
        dm.Representation(codes, factors, kl=kl)


def test_udr_leaves_such_latents_out(arrays: Arrays) -> None:
    _, codes, log_variance, kl = arrays
    own, standard = dm.Posterior(codes, log_variance, kl), dm.Posterior(codes, log_variance)
    assert dm.udr([own, own]).informative[0].tolist() == [True, True, False]
    assert "mask:kl(own-prior)>0.01|" in dm.udr([own, own]).signature
    assert dm.udr([standard, standard]).informative[0].all()


def test_encoders_give_them_through_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISENTMETRICS_CACHE", str(tmp_path))
    data = dm.load_dataset("blobs")
    calls = []

    class OwnPrior:
        fingerprint = "own-prior-1"

        def __call__(self, images: np.ndarray) -> dm.Posterior:
            calls.append(len(images))
            mean = images.reshape(len(images), -1)[:, :3].astype(np.float32)
            return dm.Posterior(mean, mean - 4, mean * 0 + np.float32(0.25))

    n_calls = []
    for _ in range(2):
        encoded = dm.encode(OwnPrior(), data, n_samples=200)
        n_calls.append(len(calls))
        np.testing.assert_array_equal(np.asarray(encoded.mean_kl), 0.25)
        np.testing.assert_array_equal(np.asarray(encoded.log_variance), encoded.codes - 4)
    assert n_calls[0] == n_calls[1] > 0  # the second time they come from the cache
    in_fours = FixedBatch(OwnPrior(), 4)(data.observations(data.full_grid().factors[:6]))
    assert in_fours.kl.shape == in_fours.mean.shape == (6, 3)

    def wrong(images: np.ndarray) -> dm.Posterior:
        mean = np.zeros((len(images), 3))
        return dm.Posterior(mean, mean, mean[:, :2])

    with pytest.raises(EncoderError, match="mean and log_variance and kl must have the same shape"):
        dm.encode(wrong, data, n_samples=20)
