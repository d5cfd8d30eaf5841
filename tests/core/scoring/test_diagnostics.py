"""Each diagnostic sentence appears where it applies, with its number, and nowhere else."""

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.metrics import find_metric
from disentmetrics.scoring.diagnostics import diagnose


def diagnostics(representation: dm.Representation, *names: str) -> str:
    return "\n".join(diagnose(representation, representation, [find_metric(name) for name in names or ("mig",)]))


@pytest.fixture
def factors(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(5, size=(3_000, 3))


def test_a_good_representation_needs_no_sentence(factors: np.ndarray) -> None:
    assert not diagnostics(dm.Representation(factors.astype(float), factors))


def test_copies_are_named_with_their_consequence(factors: np.ndarray) -> None:
    codes = np.hstack([factors, -3.0 * factors[:, :1]])
    assert "z0 and z3" in diagnostics(dm.Representation(codes, factors))


def test_a_factor_that_is_not_encoded_is_named(factors: np.ndarray, rng: np.random.Generator) -> None:
    codes = np.hstack([factors[:, :2], rng.normal(size=(3_000, 1))])
    assert "no latent is informative about factor_2" in diagnostics(dm.Representation(codes, factors))
    trace = np.hstack([factors[:, :2], factors[:, 2:] + 8 * rng.normal(size=(3_000, 1))])
    sentence = "factor_2 is barely encoded: z2 carries the most information ("
    assert sentence in diagnostics(dm.Representation(trace, factors))


def test_a_latent_that_encodes_two_factors_is_named_with_shares(factors: np.ndarray) -> None:
    codes = np.stack([factors[:, 0] * 5.0 + factors[:, 1], factors[:, 2]], axis=1)
    assert "z0 (factor_0 100 %, factor_1 100 %)" in diagnostics(dm.Representation(codes, factors))


def test_dependent_factors_are_measured_and_unaffected_metrics_are_named(rng: np.random.Generator) -> None:
    first = rng.integers(4, size=4_000)
    second = np.where(rng.random(4_000) < 0.7, first, rng.integers(4, size=4_000))
    factors = np.stack([first, second], axis=1)
    sentences = diagnostics(dm.Representation(factors.astype(float), factors), "mig", "mcc", "explicitness_adj")
    share = int(sentences.split("factor_0 and factor_1 (")[1].split(" %")[0])
    assert 30 < share < 60
    assert "a perfect code keeps its score under: mcc, explicitness_adj" in sentences


@pytest.mark.parametrize(
    ("exceptions", "unaffected"),
    [(0.4, "dci, factorvae, higgins, mcc"), (0.02, "higgins, mcc"), (0.0, "higgins, mcc")],
)
def test_metrics_that_do_not_tolerate_determined_factors_are_not_called_unaffected_by_them(
    rng: np.random.Generator, exceptions: float, unaffected: str
) -> None:
    first = rng.integers(10, size=4_000)
    second = np.where(rng.random(4_000) < exceptions, rng.integers(5, size=4_000), first // 2)
    representation = dm.Representation(np.stack([first, second], axis=1) + 0.0, np.stack([first, second], axis=1))
    sentences = diagnostics(representation, "mig", "dci", "factorvae", "higgins", "mcc")
    assert f"a perfect code keeps its score under: {unaffected}\n" in sentences + "\n"


def test_independent_factors_are_not_called_dependent_however_few_the_rows(rng: np.random.Generator) -> None:
    for n in (30, 300):
        factors = rng.integers(8, size=(n, 4))
        assert "dependent factors" not in diagnostics(dm.Representation(factors.astype(float), factors))


def test_rare_values_are_counted_and_the_rarest_named(rng: np.random.Generator) -> None:
    kind = np.where(np.arange(2_000) < 4, "rare", np.where(np.arange(2_000) < 11, "scarce", "common"))
    codes = rng.normal(size=(2_000, 2))
    sentences = diagnostics(dm.Representation(codes, {"type": kind, "other": rng.integers(2, size=2_000)}))
    assert "factor type: 2 of 3 values have fewer than 10 rows (rarest: rare, 4)" in sentences


def test_bins_of_real_values_are_not_called_values(rng: np.random.Generator) -> None:
    codes = rng.normal(size=(40, 2))
    circle = FactorSpace((Factor("angle", 360, "circular"),))
    real = diagnostics(dm.Representation(codes, {"z": rng.normal(size=40)}))
    fine = diagnostics(dm.Representation(codes, np.arange(0, 360, 9), space=circle))
    few = diagnostics(dm.Representation(codes[:20], {"z": rng.normal(size=20)}))
    expected = (
        "factor z has few rows: 10 of 10 bins of its values have fewer than 10 (fewest: {}); metrics that fix a "
        "factor leave them out and probes can barely learn them: add rows"
    )
    assert expected.format(4) in real
    assert expected.format(2) in few
    assert "merge them" not in real
    assert expected.replace("factor z", "factor angle").format(4) in fine
    assert "factor z has few rows" not in diagnostics(
        dm.Representation(rng.normal(size=(100, 2)), {"z": rng.normal(size=100)})
    )


def test_too_many_codes_for_probes_are_counted_when_probes_are_requested(rng: np.random.Generator) -> None:
    representation = dm.Representation(rng.normal(size=(200, 30)), rng.integers(3, size=(200, 2)))
    assert "30 latents for 200 rows" in diagnostics(representation, "linear_r2")
    assert "30 latents for 200 rows" not in diagnostics(representation, "mig")


def test_too_few_rows_for_bins_are_counted_when_binned_metrics_are_requested(rng: np.random.Generator) -> None:
    representation = dm.Representation(rng.normal(size=(300, 2)), rng.integers(10, size=(300, 2)))
    assert "300 rows are fewer than 5 per cell of bins and values (1000 would suffice)" in diagnostics(
        representation, "mig@locatello2019"
    )
    assert "per cell of bins" not in diagnostics(representation, "mig")


def test_clusters_do_not_make_the_gate_see_relations_that_do_not_exist() -> None:
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        donor = np.repeat(np.arange(24), 50)
        codes = rng.normal(size=(24, 4))[donor] + 0.1 * rng.normal(size=(1_200, 4))
        factors = {"sex": rng.integers(2, size=24)[donor], "site": rng.integers(3, size=24)[donor]}
        grouped = dm.Representation(codes, factors, groups=donor)
        found += dm.metrics.explicitness_adj.score(grouped).value > 0
        assert dm.metrics.explicitness_adj.score(dm.Representation(codes, factors)).value > 0  # without groups it does
    assert found <= 4


def test_two_latents_that_carry_one_factor_are_named_with_shares(factors: np.ndarray, rng: np.random.Generator) -> None:
    noise = 0.3 * rng.normal(size=(3_000, 1))
    twice = np.hstack([factors, factors[:, :1] + noise])
    sentences = diagnostics(dm.Representation(twice, factors))
    assert "z0 (100 %) and z3 (" in sentences
    assert "factor_0 is encoded in 2 latents, with the share of its entropy that each carries: " in sentences
    thrice = np.hstack([twice, factors[:, :1] - noise])
    assert "factor_0 is encoded in 3 latents" in diagnostics(dm.Representation(thrice, factors))
    faint = np.hstack([factors, factors[:, :1] + 5 * rng.normal(size=(3_000, 1))])
    assert "is encoded in" not in diagnostics(dm.Representation(faint, factors))


def test_two_latents_of_a_circular_factor_are_explained(rng: np.random.Generator) -> None:
    angle = rng.integers(24, size=3_000)
    codes = np.stack([np.cos(angle * np.pi / 12), np.sin(angle * np.pi / 12)], axis=1)
    sentences = diagnostics(dm.Representation(codes, angle, space=FactorSpace((Factor("angle", 24, "circular"),))))
    assert "angle is encoded in 2 latents" in sentences
    assert "a circular factor needs two latents" in sentences


@pytest.mark.parametrize(
    ("metrics", "seeing"), [(["higgins"], "factorvae"), (["higgins", "mig", "factorvae"], "mig, factorvae")]
)
def test_a_good_score_of_codes_that_miss_a_factor_is_qualified_by_a_note(
    factors: np.ndarray, rng: np.random.Generator, metrics: list[str], seeing: str
) -> None:
    codes = np.hstack([factors[:, :2], rng.normal(size=(3_000, 1))])
    card = dm.score(dm.Representation(codes, factors), metrics, interval=None)
    expected = (
        "higgins is 1.00 although factor_2 is missing from the codes: this metric does not penalise missing factors; "
        f"see {seeing}"
    )
    assert expected in card.notes


def test_a_good_score_is_left_alone_where_nothing_is_missing_and_a_bad_one_where_something_is(
    factors: np.ndarray, rng: np.random.Generator
) -> None:
    complete = dm.score(dm.Representation(factors.astype(float), factors), ["higgins"], interval=None)
    nothing = dm.score(dm.Representation(rng.normal(size=(3_000, 3)), factors), ["higgins", "mig"], interval=None)
    seen = dm.score(dm.Representation(np.eye(3)[[0]] + factors * [1, 1, 0.0], factors), ["mig"], interval=None)
    for card in (complete, nothing, seen):
        assert "although" not in "\n".join(card.notes)
