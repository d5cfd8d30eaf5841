"""Tables and options that once broke a metric or a card."""

import math
import warnings

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError


@pytest.fixture
def table(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    factors = rng.integers((3, 4), size=(200, 2))
    return np.hstack([factors + 0.2 * rng.normal(size=factors.shape), rng.normal(size=(200, 1))]), factors


def test_one_group_leaves_cross_fitted_metrics_undefined_and_the_card_complete(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    one = dm.Representation(*table, groups=np.zeros(200, int))
    card = dm.score(one, "robust", null=False)
    assert "2 or more groups of rows" in (card["mcc"].undefined or "")
    assert card["mig"].value > 0.2


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_a_continuous_factor_with_few_labels_harms_no_other(
    table: tuple[np.ndarray, np.ndarray], n_labels: int
) -> None:
    codes, factors = table
    rare = factors[:, 1] + np.linspace(0, 0.5, 200)
    rare[n_labels:] = np.nan
    card = dm.score(
        dm.Representation(codes, {"a": factors[:, 0], "b": rare}, kinds={"b": "continuous"}), "robust", null=False
    )
    assert card["mig"].per_factor["a"] > 0.5
    assert all(math.isfinite(score.value) != bool(score.undefined) for score in card.every_score())


@pytest.mark.usefixtures("few_replicates")  # which make intervals wide
def test_intervals_and_corrected_values_stay_within_bounds() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        factors = rng.integers(3, size=(60, 3))
        card = dm.score(
            dm.Representation(factors + 0.1 * rng.normal(size=factors.shape), factors),
            ["explicitness", "mcc"],
            null=False,
        )
        for score in card.every_score():
            assert score.interval is not None
            assert score.corrected is not None
            assert -1 <= score.interval.low <= score.value <= score.interval.high <= 1
            assert score.interval.low <= score.corrected <= 1


def test_codes_that_rarely_differ_are_scored_at_chance(table: tuple[np.ndarray, np.ndarray]) -> None:
    _, factors = table
    codes = np.zeros((200, 2))
    codes[:3] = 1.0
    assert dm.metrics.higgins(codes, factors).value == pytest.approx(0.5, abs=0.15)


def test_a_fine_angle_is_discretised_and_a_latent_that_encodes_it_is_recognised(rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi, size=1_000)
    other = rng.integers(3, size=1_000)
    fine = dm.Representation(np.stack([angle, other], 1), {"angle": angle, "s": other}, kinds={"angle": "circular"})
    for name in ("mig", "explicitness_adj", "factorvae"):
        assert getattr(dm.metrics, name).score(fine).per_factor["angle"] > 0.9


def test_one_metric_alone_honours_weights_as_a_card_does(table: tuple[np.ndarray, np.ndarray]) -> None:
    codes, factors = table
    noise = np.random.default_rng(0).normal(size=codes.shape)
    weighted = dm.Representation(
        np.vstack([codes, noise]), np.vstack([factors, factors]), weights=np.repeat([1.0, 0.0], 200)
    )
    alone = dm.metrics.mig.score(weighted).value
    assert alone == dm.score(weighted, ["mig"], interval=None, null=False)["mig"].value
    assert alone == dm.metrics.mig(codes, factors).value


def test_an_identifier_among_the_factors_raises_no_warning(table: tuple[np.ndarray, np.ndarray]) -> None:
    codes, factors = table
    named = dm.Representation(codes, {"a": factors[:, 0], "id": [f"cell{i}" for i in range(200)]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("dci", "linear_r2", "explicitness", "snc"):
            assert getattr(dm.metrics, name).score(named).per_factor["a"] > 0.5


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mig", {"seed": -1}, "seed must be"),
        ("mig_sup", {"factor_bins": 0}, "factor_bins must be a whole number of at least 2"),
        ("med", {"top": -1}, "top must be a whole number of at least 1"),
        ("med", {"top": 1.5}, "top must be a whole number"),
        ("omes", {"alpha": 2.0}, "alpha must be at most 1"),
        ("explicitness", {"inverse_penalty": 0}, "inverse_penalty must be a finite number above 0"),
        ("loss_data_curve", {"tolerance": math.nan}, "tolerance must be a finite number above 0"),
        ("parallelism", {"corrected": "false"}, "corrected must be true or false"),
        ("higgins", {"n_train": 2}, "n_train must be a whole number of at least 10"),
    ],
)
def test_unfit_options_are_refused_in_one_sentence(
    table: tuple[np.ndarray, np.ndarray], name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        getattr(dm.metrics, name)(*table, **options)


def test_integers_in_details_are_read_back_as_integers(table: tuple[np.ndarray, np.ndarray]) -> None:
    card = dm.score(dm.Representation(*table), ["dmig", "mig"], interval=None, null=False)
    again = dm.ScoreCard.from_json(card.to_json())
    assert again["dmig"].details["owner"].dtype.kind == "i"
    assert again.to_json() == card.to_json()


def test_threads_share_cached_values_and_a_representation_can_still_be_pickled(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    import pickle
    from concurrent.futures import ThreadPoolExecutor

    calls = []

    def slow(representation: dm.Representation) -> int:
        calls.append(1)
        return len(representation)

    representation = dm.Representation(*table)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: representation.cached(slow), range(40))) == {200}
    assert len(calls) == 1
    copy = pickle.loads(pickle.dumps(representation))
    assert dm.metrics.mig.score(copy).value == dm.metrics.mig.score(representation).value


@pytest.mark.parametrize("name", ["dci", "nonlinear_r2", "sap", "unique_information", "block_identifiability"])
def test_one_outlying_label_does_not_hide_a_factor(name: str) -> None:
    rng = np.random.default_rng(0)
    label, other = np.arange(501) % 100 + 0.0, rng.normal(size=501)
    label[-1] = 1000
    codes = np.stack([label, other + rng.normal(0, 0.1, 501)], axis=1)
    assert dm.metrics.find_metric(name)[0](codes, {"a": label, "b": other}).per_factor["a"] > 0.93
