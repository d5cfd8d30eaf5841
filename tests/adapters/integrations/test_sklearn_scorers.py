"""Metrics as scorers of scikit-learn's hyperparameter searches."""

import pickle
from typing import Any

import numpy as np
import pytest
from disentmetrics_adapters.integrations.sklearn_scorers import Scorer, scorer, scorers
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import disentmetrics as dm
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.metrics import registered_metrics
from disentmetrics.scoring.presets import PRESETS

Table = tuple[NDArray[np.float64], NDArray[np.int64]]
AS_IT_IS = FunctionTransformer()


@pytest.fixture(scope="module")
def table() -> Table:
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(900, 2))
    codes = np.column_stack([4 * factors[:, 0] + rng.normal(size=900), factors[:, 1] + 0.1 * rng.normal(size=900)])
    return np.column_stack([codes, 0.01 * rng.normal(size=(900, 3))]), factors


def test_the_value_is_that_of_the_function(table: Table) -> None:
    assert scorer("mig")(AS_IT_IS, *table) == dm.metrics.mig(*table).value
    assert scorer("mig@locatello2019", n_bins=7)(AS_IT_IS, *table) == (
        dm.metrics.mig(*table, protocol="locatello2019", n_bins=7).value
    )
    assert scorer("sap", seed=4)(AS_IT_IS, *table) == dm.metrics.sap(*table, seed=4).value


def test_lower_is_better_is_negated() -> None:
    for name, metric in registered_metrics().items():
        assert scorer(name).greater_is_better is metric.higher_is_better
    rng = np.random.default_rng(1)
    codes = rng.normal(size=(200, 3))
    assert scorer("gaussian_total_correlation")(AS_IT_IS, codes) == (
        -dm.metrics.gaussian_total_correlation(codes, None).value
    )


def test_the_direction_of_a_part_is_declared_or_given(table: Table) -> None:
    part = "linear_r2.codes_from_factors"
    assert scorer(part).greater_is_better
    assert not scorer("block_identifiability.leakage").greater_is_better
    value = dm.metrics.linear_r2(*table).parts["codes_from_factors"].value
    assert scorer(part, greater_is_better=True)(AS_IT_IS, *table) == value
    assert scorer(part, greater_is_better=False)(AS_IT_IS, *table) == -value


def test_a_search_finds_the_number_of_components(table: Table) -> None:
    search = GridSearchCV(
        make_pipeline(StandardScaler(), PCA(random_state=0)),
        {"standardscaler": [StandardScaler(), "passthrough"], "pca__n_components": [2, 5]},
        scoring=scorer("mig"),
        cv=ShuffleSplit(2, test_size=300, random_state=0),
    ).fit(*table)
    assert search.best_params_ == {"pca__n_components": 2, "standardscaler": "passthrough"}
    assert search.best_score_ > 0.5
    train, test = next(ShuffleSplit(2, test_size=300, random_state=0).split(table[0]))
    rows, factors = table
    by_hand = dm.metrics.mig(PCA(2, random_state=0).fit(rows[train]).transform(rows[test]), factors[test]).value
    assert search.cv_results_["split0_test_score"][search.best_index_] == by_hand


def test_a_search_that_was_copied_or_pickled_finds_the_same(table: Table) -> None:
    search = GridSearchCV(PCA(random_state=0), {"n_components": [2, 3]}, scoring=scorer("mig", n_rows=200), cv=2)
    found = [one.fit(*table).cv_results_["mean_test_score"] for one in (search, clone(search))]
    found.append(pickle.loads(pickle.dumps(search)).cv_results_["mean_test_score"])
    found.append(pickle.loads(pickle.dumps(clone(search))).fit(*table).cv_results_["mean_test_score"])
    assert all((one == found[0]).all() for one in found)


def test_several_metrics_at_once_have_their_signs_in_their_names(table: Table) -> None:
    asked = scorers(["mig", "irs", "gaussian_total_correlation"], seed=2)
    assert list(asked) == ["mig", "irs", "neg_gaussian_total_correlation"]
    found = cross_validate(PCA(2), *table, scoring=asked, cv=3)
    assert (found["test_mig"] > 0.5).all()
    assert (found["test_neg_gaussian_total_correlation"] <= 0).all()
    assert list(scorers("robust")) == list(PRESETS["robust"].metrics)
    search = GridSearchCV(PCA(), {"n_components": [2, 3]}, scoring=asked, refit="mig", cv=2)
    assert search.fit(*table).best_params_ == {"n_components": 2}


def test_an_undefined_score_is_an_error_score(table: Table) -> None:
    search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=scorer("mig"), cv=2, error_score="raise")
    with pytest.raises(UndefinedScoreError, match="mig is undefined: mig needs 2 or more latents; got 1"):
        search.fit(*table)
    lenient = clone(search).set_params(error_score=-1.0)
    with pytest.warns(UserWarning, match="mig needs 2 or more latents"):
        lenient.fit(*table)
    assert lenient.cv_results_["mean_test_score"][0] == -1
    assert lenient.best_params_ == {"n_components": 2}


def test_one_undefined_metric_of_several_leaves_the_others(table: Table) -> None:
    with pytest.warns(UserWarning, match="mig needs 2 or more latents"):
        found = cross_validate(PCA(1), *table, scoring=scorers(["mig", "xmig"]), cv=2)
    assert np.isnan(found["test_mig"]).all()
    assert np.isfinite(found["test_xmig"]).all()


def test_a_sample_is_the_same_for_every_candidate_and_another_by_seed(table: Table) -> None:
    seen: list[NDArray[Any]] = []

    def keep(rows: NDArray[Any]) -> NDArray[Any]:
        seen.append(rows)
        return rows

    watch = FunctionTransformer(keep)
    for seed in (0, 0, 1):
        scorer("mig", n_rows=100, seed=seed)(watch, *table)
    assert [rows.shape for rows in seen] == [(100, 5)] * 3
    assert (seen[0] == seen[1]).all()
    assert not (seen[0] == seen[2]).all()
    assert len(np.unique(seen[0][:, 0])) == 100
    assert np.isin(seen[0][:, 0], table[0][:, 0]).all()
    assert scorer("mig", n_rows=900)(watch, *table) == dm.metrics.mig(*table).value


def test_rows_of_a_sample_keep_their_factors(table: Table) -> None:
    doubled = FunctionTransformer(lambda rows: np.asarray(rows, float))
    labels = table[1]
    assert scorer("mig", n_rows=400)(doubled, labels, labels) == pytest.approx(1, abs=0.02)
    assert scorer("mig", n_rows=400)(doubled, labels, labels[::-1]) < 0.2


def test_tables_of_all_kinds_are_accepted(table: Table) -> None:
    rows, factors = table
    whole = dm.metrics.mig(rows, factors).value
    assert scorer("mig", n_rows=899)(AS_IT_IS, sparse.csr_array(rows), factors) == pytest.approx(whole, abs=0.05)
    assert scorer("mig")(AS_IT_IS, sparse.csr_array(rows), factors) == whole
    pandas = pytest.importorskip("pandas", reason="data frames come from pandas")
    frame = pandas.DataFrame(
        {"shape": [("square", "heart", "oval", "star", "bar")[k] for k in factors[:, 0]], "x": factors[:, 1]}
    )
    named = cross_val_score(
        PCA(2), pandas.DataFrame(rows).add_prefix("f"), frame, scoring=scorer("mig", n_rows=250), cv=3
    )
    assert (named > 0.3).all()
    assert scorer("mig")(AS_IT_IS, rows, frame["x"]) == dm.metrics.mig(rows, factors[:, 1]).value


def test_kinds_are_those_that_are_given(table: Table) -> None:
    circular = scorer("d_lsbd", kinds={"a": "circular", "b": "circular"}, factor_names=["a", "b"])
    assert -1 <= circular(AS_IT_IS, table[1].astype(float), table[1]) <= 0
    with pytest.raises(UndefinedScoreError, match="d_lsbd"):
        scorer("d_lsbd")(AS_IT_IS, *table)


def test_codes_may_come_from_another_method(table: Table) -> None:
    class Probabilistic:
        def predict_proba(self, rows: Any) -> Any:
            return rows

    assert scorer("mig", method="predict_proba")(Probabilistic(), *table) == dm.metrics.mig(*table).value
    with pytest.raises(InvalidInputError, match="must have the method 'transform'; LinearRegression has none"):
        scorer("mig")(LinearRegression(), *table)


def test_weights_count(table: Table) -> None:
    weights = (np.arange(900) < 450).astype(float)
    half = dm.metrics.mig(table[0][:450], table[1][:450]).value
    assert scorer("mig")(AS_IT_IS, *table, sample_weight=weights) == half


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mik", {}, "no metric is named 'mik'"),
        ("dci.depth", {}, "dci has no part 'depth'"),
        ("mig", {"bins": 3}, "mig has no option 'bins'"),
        ("mig", {"n_rows": 0}, "n_rows must be a whole number of at least 1; got 0"),
        ("mig", {"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_invalid_input_is_refused_before_the_search(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        scorer(name, **settings)


def test_the_repr_of_a_scorer_names_its_metric() -> None:
    made = scorer("dci.completeness", n_rows=50, greater_is_better=True, n_trees=3)
    assert isinstance(made, Scorer)
    assert repr(made) == "scorer('dci.completeness', n_rows=50, n_trees=3)"
    assert repr(scorer("unfairness")) == "scorer('unfairness', greater_is_better=False)"


def test_a_vectoriser_is_a_transformer_too(table: Table) -> None:
    words = [{f"a{a}": 1, f"b{b}": 1} for a, b in table[1]]
    assert scorer("linear_r2", n_rows=300)(FeatureHasher(64), words, table[1]) > 0.9
