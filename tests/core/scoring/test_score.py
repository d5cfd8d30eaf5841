import json
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError
from disentmetrics.representation import Provenance

HEADLINE = ["mig", "factorvae", "higgins"]


def blurred(n: int = 600, seed: int = 0, **options: Any) -> dm.Representation:
    rng = np.random.default_rng(seed)
    factors = rng.integers((3, 4, 5), size=(n, 3))
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.6], [0.7, 0.0, 1.0]])
    codes = np.hstack([factors @ mixing + 0.4 * rng.normal(size=factors.shape), rng.normal(size=(n, 1))])
    return dm.Representation(codes, factors, **options)


@pytest.mark.usefixtures("few_replicates")
def test_the_same_seed_gives_the_same_card_for_every_number_of_workers() -> None:
    cards = [dm.score(blurred(), [*HEADLINE, "modularity_adj"], seed=3, n_jobs=n).to_json() for n in (1, 2, 4)]
    assert cards[0] == cards[1] == cards[2]
    assert (
        dm.score(blurred(), ["factorvae"], seed=4, interval=None, null=False)["factorvae"].value
        != json.loads(cards[0])["scores"]["factorvae"]["value"]
    )


@pytest.mark.usefixtures("few_replicates")
def test_probes_and_forests_give_the_same_numbers_for_every_number_of_workers() -> None:
    names = ["dci", "nonlinear_r2", "explicitness"]
    cards = [dm.score(blurred(150), names, interval="half-sampling", null=False, n_jobs=n).to_json() for n in (1, 3)]
    assert cards[0] == cards[1]


@pytest.mark.usefixtures("few_replicates")
def test_scoring_leaves_the_global_random_state_alone() -> None:
    before = str(np.random.get_state())  # noqa: NPY002 # the global state is what is tested
    dm.score(blurred(300), [*HEADLINE, "linear_r2"])
    assert str(np.random.get_state()) == before  # noqa: NPY002 # idem


def test_threads_never_set_the_filters_of_warnings_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn sets them for each task of its Parallel, so warnings would depend on the order of threads."""
    from sklearn.utils.parallel import Parallel

    inside, most, original = [], [], Parallel.__call__

    def watched(self: Parallel, tasks: Iterable[Any]) -> Any:
        inside.append(1)
        time.sleep(0.02)
        most.append(len(inside))
        try:
            return original(self, tasks)
        finally:
            inside.pop()

    monkeypatch.setattr(Parallel, "__call__", watched)
    names = ["nonlinear_r2", "downstream_accuracy@boosting", "dci", "dci@eastwood2018_forest"]
    dm.score(blurred(150), names, null=False, interval=None, n_jobs=4)
    assert set(most) == {1}


@pytest.mark.usefixtures("few_replicates")
def test_the_value_is_that_of_the_metric_alone() -> None:
    card = dm.score(blurred(), HEADLINE, seed=5)
    representation = blurred()
    assert card["mig"].value == dm.metrics.mig(representation.codes, representation.factors).value
    assert card["higgins"].value == dm.metrics.higgins(representation.codes, representation.factors, seed=5).value


def test_a_random_code_adjusts_to_zero_and_a_perfect_one_to_one(rng: np.random.Generator) -> None:
    factors = rng.integers((3, 4, 5), size=(2_000, 3))
    names = [*HEADLINE, "modularity_adj", "compactness_adj", "explicitness_adj"]
    noise = dm.score(dm.Representation(rng.normal(size=(2_000, 4)), factors), names, interval=None)
    perfect = dm.score(dm.Representation(factors.astype(float), factors), names, interval=None)
    for name in names:
        assert abs(noise[name].adjusted or 0.0) < 0.06
        assert noise[name].p_value > 0.05  # type: ignore[operator] # a null was asked for
        assert perfect[name].adjusted == pytest.approx(1.0, abs=0.01)
    assert perfect["mig"].p_value == 0.01
    assert perfect["higgins"].p_value == perfect["factorvae"].p_value == 0.01
    assert perfect["higgins"].null == pytest.approx(1 / 3)


def test_a_refused_metric_carries_its_reason_and_the_others_run() -> None:
    card = dm.score(blurred(), ["mig@chen2018", "mig"])
    assert card["mig"].value > 0.02
    assert card["mig@chen2018"].undefined == (
        "mig@chen2018 needs posterior variances (log_variance); the encoder returned codes only"
    )


def test_too_few_rows_refuse_a_metric_by_name() -> None:
    card = dm.score(blurred(15), HEADLINE)
    assert card["mig"].undefined == "mig needs 20 or more rows; got 15"


def test_posteriors_add_the_exact_gap_to_the_default() -> None:
    representation = blurred()
    with_posterior = dm.Representation(
        representation.codes, representation.factors, log_variance=np.full(representation.codes.shape, -3.0)
    )
    names = list(dm.score(with_posterior, interval=None, null=False))
    assert names[:3] == HEADLINE
    assert names[-1] == "mig@chen2018"


def test_a_full_grid_leaves_only_the_metrics_own_randomness() -> None:
    space = dm.FactorSpace([dm.Factor("a", 8, "ordinal"), dm.Factor("b", 9, "ordinal")])
    factors = space.indices_of(np.arange(72)).repeat(1, axis=0)
    codes = factors + 0.1 * np.random.default_rng(0).normal(size=factors.shape)
    grid = dm.Representation(codes, factors, space=space, provenance=Provenance("g-1", "e", "grid", population=True))
    mig = dm.score(grid, ["mig"], null=False)["mig"]
    assert mig.interval is not None
    assert (mig.interval.method, mig.interval.low, mig.interval.high) == ("exact", mig.value, mig.value)


def test_randomised_metrics_report_their_own_spread_apart() -> None:
    card = dm.score(blurred(), ["mig", "factorvae"], null=False)
    assert card["mig"].seed_sd == 0.0
    assert 0 < card["factorvae"].seed_sd < 0.05
    assert card["factorvae"].interval.method == "half-sampling"  # type: ignore[union-attr] # one was asked for


def test_rows_are_resampled_by_weight_and_the_card_reports_it() -> None:
    weights = np.where(np.arange(600) % 3, 1.0, 0.5)
    card = dm.score(blurred(weights=weights), ["mig"], interval=None, null=False)
    assert any("rows were retained" in note for note in card.notes)
    rows = int(dm.Signature.parse(card["mig"].signature).fields["rows"])
    assert 450 < rows < 550


def test_the_card_names_missing_labels_and_factors_of_one_value(rng: np.random.Generator) -> None:
    labels = [None if rng.random() < 0.2 else str(rng.choice(["a", "b"])) for _ in range(300)]
    card = dm.score(
        dm.Representation(rng.normal(size=(300, 2)), {"cell": labels, "still": np.zeros(300, int)}), ["mig"], null=False
    )
    missing = sum(label is None for label in labels)
    assert f"factor cell: {missing} of 300 rows have no label and are left out for it" in card.notes
    assert "factor still takes a single value and is left out" in card.notes


def test_codes_that_hardly_vary_are_shown_in_raw_units() -> None:
    representation = blurred()
    codes = representation.codes * [1.0, 1.0, 1.0, 1e-4]
    card = dm.score(dm.Representation(codes, representation.factors), ["mig"], interval=None, null=False)
    assert any("may be unused: z3 (0.0001" in note for note in card.notes)


def test_the_signature_repeats_the_number() -> None:
    card = dm.score(blurred(), ["factorvae@kim2018"], seed=11, interval=None, null=False)
    fields = dm.Signature.parse(card["factorvae@kim2018"].signature).fields
    representation = blurred()
    again = dm.metrics.factorvae(
        representation.codes, representation.factors, protocol=fields["protocol"], seed=int(fields["seed"])
    )
    assert again.value == card["factorvae@kim2018"].value
    assert again.signature == card["factorvae@kim2018"].signature


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["mgi"], "no metric and no preset is named 'mgi'; did you mean 'mig'"),
        (["mig@chen2019"], "no protocol 'chen2019'; did you mean 'chen2018'"),
        ("defualt", "did you mean 'default'"),
        ([], "at least one metric"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(metrics: list[str] | str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.score(blurred(), metrics)


def test_an_unknown_interval_or_option_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="interval must be"):
        dm.score(blurred(), interval="bootstrap")  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(InvalidInputError, match="no option 'nbins'; did you mean 'n_bins'"):
        dm.metrics.mig(np.zeros((30, 2)), np.arange(30) % 2, nbins=3)


def test_a_preset_named_all_runs_every_protocol() -> None:
    card = dm.score(blurred(40), "all", interval=None, null=False)
    assert {"mig", "mig@locatello2019", "factorvae@kim2018", "higgins@higgins2017"} <= set(card)


@pytest.mark.usefixtures("few_replicates")
def test_a_posterior_too_narrow_for_one_metric_leaves_the_others() -> None:
    representation = blurred()
    log_variance = np.full(representation.codes.shape, -60.0)
    narrow = dm.Representation(representation.codes, representation.factors, log_variance=log_variance)
    card = dm.score(narrow, [*HEADLINE, "mig@chen2018"], null=False)
    assert "cannot be integrated" in (card["mig@chen2018"].undefined or "")
    assert card["factorvae"].value > 0.5


def test_parts_of_a_metric_have_their_own_intervals_and_nulls() -> None:
    card = dm.score(blurred(400), ["mcc"])
    part = card["mcc.weakest"]
    assert part is card["mcc"].parts["weakest"]
    assert part.interval is not None
    assert part.interval.low <= part.value <= part.interval.high
    assert part.null is not None
    assert part.null < part.value < card["mcc"].value
    assert "mcc.weakest" in str(card)
    again = dm.ScoreCard.from_json(card.to_json())
    assert again["mcc.weakest"].value == part.value
    assert dm.ScoreCard.from_json(again.to_json())["mcc.weakest"].replicates == part.replicates


def test_the_jackknife_takes_the_bias_out_of_a_binned_information() -> None:
    codes = blurred(400).codes
    factors = np.random.default_rng(1).integers(4, size=(400, 2))
    score = dm.score(dm.Representation(codes, factors), ["average_maximal_mi"], null=False)["average_maximal_mi"]
    assert score.corrected is not None
    assert dm.ScoreCard.from_json(dm.ScoreCard({"x": score}).to_json())["x"].corrected == score.corrected


def test_one_group_has_no_interval_and_few_groups_a_note() -> None:
    one = dm.score(blurred(groups=np.zeros(600, int)), ["mig", "factorvae"])
    assert one["mig"].interval is None
    assert "no interval: all rows are of one group" in one["mig"].notes
    two = dm.score(blurred(groups=np.arange(600) % 2), ["mig"])
    assert any("the null permutes single rows" in note for note in two.notes)
    assert two["mig"].p_value == 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"n_jobs": 0}, "n_jobs must be a whole number other than 0"),
        ({"metrics": None}, "metrics must be a preset or a list of names"),
    ],
)
def test_wrong_types_are_refused_in_a_sentence(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dm.score(blurred(), **options)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(InvalidInputError, match="score takes a Representation"):
        dm.score(np.zeros((9, 2)))  # type: ignore[arg-type] # idem


def test_names_may_come_in_one_text() -> None:
    assert list(dm.score(blurred(), "mig, factorvae@kim2018", interval=None, null=False)) == [
        "mig",
        "factorvae@kim2018",
    ]


def biased(value: float, half: float, n_rows: int, enough_rows: int | None) -> dm.Score:
    """Return a score with its interval from given values on all rows, with other seeds and on halves of the rows."""
    from disentmetrics.scoring.score import _Replicates, _with_uncertainty

    rng = np.random.default_rng(0)
    drawn = _Replicates(
        seeds=(value + 0.001 * rng.normal(size=4)).tolist(), rows=(half + 0.005 * rng.normal(size=20)).tolist(), null=[]
    )
    point = dm.Score("dci", value, "dci|", bounds=(0.0, 1.0), higher_is_better=True, randomised=True)
    return _with_uncertainty(point, drawn, "half-sampling", population=False, n_rows=n_rows, enough_rows=enough_rows)


def test_intervals_of_few_rows_allow_for_a_bias_that_falls_slowly() -> None:
    """The forest of dci misses weak relations: .874 on 1,000 rows and .904 on halves, where many rows give .838."""
    plain, slow, enough = (biased(0.874, 0.904, n, rows) for n, rows in ((1_000, None), (1_000, 4_000), (4_000, 4_000)))
    assert plain.interval is not None
    assert slow.interval is not None
    assert enough.interval is not None
    assert slow.interval.low < plain.interval.low < 0.838 < slow.interval.high
    assert slow.interval.high == pytest.approx(0.885, abs=0.003)
    assert slow.corrected == pytest.approx(0.838, abs=0.003)
    (note,) = slow.notes
    assert note.startswith("the interval allows for a bias of up to 0.07, because predictors of 1,000 rows miss weak")
    assert note.endswith("4,000 rows suffice")
    assert enough.corrected == pytest.approx(0.874, abs=0.002)  # all rows are used, halves alone are biased
    assert enough.notes == plain.notes == ()


def test_too_few_rows_have_no_interval_but_replicates_that_can_be_paired() -> None:
    from disentmetrics.comparison.compare import paired_interval

    first, second = biased(0.95, 0.97, 999, 4_000), biased(0.85, 0.88, 999, 4_000)
    for score in (first, second):
        assert (score.interval, score.corrected) == (None, None)
        assert "no interval: predictors of 999 rows miss weak relations" in score.notes[0]
        assert score.notes[0].endswith("intervals need 1,000 rows")
    pair = paired_interval(first, second)
    assert pair is not None
    assert pair[1] < 0.001
    unpaired = dm.Score("dci", 0.9, "dci|", randomised=True)
    assert paired_interval(unpaired, first) is None
