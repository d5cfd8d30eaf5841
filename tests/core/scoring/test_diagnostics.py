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


def test_copies_on_an_ordered_grid_are_those_of_all_rows(rng: np.random.Generator) -> None:
    """Every second row has one value of the factor that varies fastest, and 10,000 rows are twice as many as needed."""
    grid = np.indices((5_000, 2)).reshape(2, -1).T
    slow, fast = grid.T.astype(float)
    alike_in_every_second_row = np.where(fast == 0, slow, rng.permutation(slow))
    codes = np.stack([slow, alike_in_every_second_row, fast, -fast], axis=1)
    sentences = diagnostics(dm.Representation(codes, {"fast": grid[:, 1]}))
    assert "copies of each other (rank correlation above 0.999): z2 and z3;" in sentences


def unused(codes: np.ndarray, factors: np.ndarray | None) -> str:
    return "\n".join(line for line in diagnostics(dm.Representation(codes, factors)).split("\n") if "unused" in line)


@pytest.mark.parametrize("unit", [1e-3, 1e3, 1e30])
def test_a_latent_that_carries_information_is_not_called_unused_whatever_its_unit(
    factors: np.ndarray, unit: float
) -> None:
    assert not unused(factors * [1.0, unit, 1.0], factors)


def test_a_narrow_latent_that_is_not_informative_may_be_unused(factors: np.ndarray, rng: np.random.Generator) -> None:
    codes = np.hstack([factors, 1e-3 * rng.normal(size=(3_000, 2))])
    sentence = (
        "2 of 5 latents vary by less than 1 % of the widest (standard deviation 1.{}), are not informative about any "
        "factor and may be unused: z3 (0.001), z4 (0.00"
    )
    found = unused(codes, factors)
    assert any(sentence.format(digit) in found for digit in range(2, 6)), found
    without_factors = unused(codes, None)
    assert "any factor" not in without_factors
    assert "and may be unused: z3 (0.001)" in without_factors


@pytest.mark.parametrize("outlier", [1e6, -1e12])
def test_an_outlying_row_of_a_latent_does_not_make_others_narrow(
    factors: np.ndarray, rng: np.random.Generator, outlier: float
) -> None:
    codes = np.hstack([factors, rng.normal(size=(3_000, 2))])
    codes[7, 0] = outlier
    assert not unused(codes, factors)
    assert not unused(codes, None)


def test_a_latent_that_fires_rarely_is_not_narrow(factors: np.ndarray, rng: np.random.Generator) -> None:
    fires = (rng.random((3_000, 1)) < 0.02) * rng.normal(size=(3_000, 1))
    assert not unused(np.hstack([factors, fires]), factors)


def test_log_variances_that_are_all_positive_are_suspected_to_be_standard_deviations(
    factors: np.ndarray, rng: np.random.Generator
) -> None:
    sd = rng.uniform(0.05, 1, size=factors.shape)
    suspected = diagnostics(dm.Representation(factors.astype(float), factors, log_variance=sd))
    assert "all log-variances are positive (0.05 to 1), so that every posterior is wider than the prior" in suspected
    right = diagnostics(dm.Representation(factors.astype(float), factors, log_variance=2 * np.log(sd)))
    assert "log-variances" not in right


def vae(rng: np.random.Generator, n_used: int = 3, n_collapsed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, log-variances and factors of a VAE with N(0, 1) as aggregate posterior."""
    factors = rng.integers(3, size=(2_000, 2))
    sd = rng.uniform(0.1, 0.4, size=n_used)
    means = np.hstack(
        [rng.normal(size=(2_000, n_used)) * np.sqrt(1 - sd**2), 0.01 * rng.normal(size=(2_000, n_collapsed))]
    )
    log_variance = 2 * np.log(np.append(sd, np.ones(n_collapsed))) + 0.02 * rng.normal(size=means.shape)
    return means, log_variance, factors


@pytest.mark.parametrize("arrangement", ["halves", "log_variance_first", "interleaved"])
def test_log_variances_among_the_latents_are_noticed_in_every_arrangement(
    arrangement: str, rng: np.random.Generator
) -> None:
    means, log_variance, factors = vae(rng)
    pair = (log_variance, means) if arrangement == "log_variance_first" else (means, log_variance)
    codes = np.stack(pair, axis=2).reshape(2_000, 10) if arrangement == "interleaved" else np.hstack(pair)
    found = diagnostics(dm.Representation(codes, factors))
    assert "the 10 latents may be means and log-variances of 5 latents, by their moments" in found
    assert f"if so, separate them (select={arrangement} for an encoder" in found
    assert "may be means" not in diagnostics(dm.Representation(codes, factors, log_variance=0 * codes - 3))
    assert "may be means" not in diagnostics(dm.Representation(means, factors))


def test_ordinary_latents_are_not_taken_for_log_variances(rng: np.random.Generator) -> None:
    factors = rng.integers(3, size=(500, 1))
    for _ in range(50):
        scale, shift = rng.choice([0.1, 1.0, 2.0], size=6), rng.choice([0.0, 0.0, -1.0], size=6)
        codes = rng.normal(size=(500, 6)) * scale + shift
        assert "may be means" not in diagnostics(dm.Representation(codes, factors))
        on_a_sphere = codes / np.linalg.norm(codes, axis=1, keepdims=True)
        shares = np.exp(codes) / np.exp(codes).sum(axis=1, keepdims=True)
        for bounded in (on_a_sphere, shares, np.tanh(codes), np.maximum(codes, 0), -1.0 * (codes > 0)):
            assert "may be means" not in diagnostics(dm.Representation(bounded, factors))


def test_an_encoder_that_sees_other_inputs_than_in_training_is_noticed(rng: np.random.Generator) -> None:
    means, log_variance, factors = vae(rng, n_used=4, n_collapsed=1)
    sentence = "check that its inputs have the range and layout that it was trained with"
    assert sentence not in diagnostics(dm.Representation(means, factors, log_variance=log_variance))
    elsewhere = diagnostics(dm.Representation(50 * means, factors, log_variance=log_variance))
    assert "the aggregate posterior of 4 of 5 latents is far from N(0, 1)" in elsewhere
    assert sentence in elsewhere


def test_a_factor_that_is_not_encoded_is_named(factors: np.ndarray, rng: np.random.Generator) -> None:
    codes = np.hstack([factors[:, :2], rng.normal(size=(3_000, 1))])
    assert "no latent is informative about factor_2" in diagnostics(dm.Representation(codes, factors))
    trace = np.hstack([factors[:, :2], factors[:, 2:] + 8 * rng.normal(size=(3_000, 1))])
    sentence = "factor_2 is barely encoded: z2 carries the most information ("
    assert sentence in diagnostics(dm.Representation(trace, factors))


def test_a_latent_that_encodes_two_factors_is_named_with_shares(factors: np.ndarray) -> None:
    codes = np.stack([factors[:, 0] * 5.0 + factors[:, 1], factors[:, 2]], axis=1)
    assert "z0 (factor_0 92 %, factor_1 55 %)" in diagnostics(dm.Representation(codes, factors))


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
    assert "factor type: 2 of 3 values have fewer than 10 rows (rarest: rare, 4 of them)" in sentences


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


NUMBERS = np.arange(600) % 100 + 0.0


def with_labels(values: dict[int, float]) -> np.ndarray:
    labels = NUMBERS.copy()
    labels[[*values]] = [*values.values()]
    return labels


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        ({5: 1000.0}, "1000 (1 row)"),
        ({5: 1000.0, 6: -999.0, 7: 5000.0}, "5000 (1 row), 1000 (1 row), -999 (1 row)"),
        (dict.fromkeys(range(30), -999.0), "-999 (30 rows)"),
    ],
)
def test_outlying_labels_are_named(values: dict[int, float], listed: str) -> None:
    labels = with_labels(values)
    sentence = f"factor a has outlying labels: {listed}, while all others are from 0 to 99; "
    assert sentence in diagnostics(dm.Representation(labels, {"a": labels}, kinds={"a": "continuous"}))
    assert sentence in diagnostics(dm.Representation(labels, {"a": labels}, kinds={"a": "ordinal"}))


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        with_labels({5: 150.0}),
        with_labels(dict.fromkeys(range(100), -999.0)),  # a group of its own
        np.exp(np.random.default_rng(0).normal(size=600)),
        np.random.default_rng(0).poisson(2, 600),
        np.where(NUMBERS < 97, 0.0, NUMBERS),
        np.where(NUMBERS < 99, NUMBERS % 2, 50),
    ],
)
def test_labels_of_one_range_are_not_outlying(labels: np.ndarray) -> None:
    assert "outlying" not in diagnostics(dm.Representation(labels.astype(float), {"a": labels}))


def test_notes_on_labels_stand_on_the_card() -> None:
    table = dm.Representation(NUMBERS, {"a": np.tile(["ball", "Ball", "cube"], 200)})
    assert "names that differ only in blanks or capitals are different values: 'Ball' and 'ball'" in diagnostics(table)
