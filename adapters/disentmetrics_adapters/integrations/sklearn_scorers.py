"""Metrics as scorers of scikit-learn, for transformers that are searched or cross-validated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from disentmetrics._utils.random import generator
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.factors import FactorSpace, Kind
from disentmetrics.representation import Representation
from disentmetrics.scoring.presets import expand
from disentmetrics_adapters.integrations._named_scores import NamedScore


@dataclass(frozen=True)
class Scorer:
    """A metric as ``scoring`` of scikit-learn; made by :func:`scorer`.

    Attributes
    ----------
    name : str
        Such as ``mig@chen2018`` or ``dci.completeness``.
    greater_is_better : bool
        Whether the metric is returned as it is; negated if not.
    """

    name: str
    greater_is_better: bool
    n_rows: int | None = None
    seed: int = 0
    method: str = "transform"
    table: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: N803 - scikit-learn's name
        """Score what a fitted transformer makes of ``X`` against the factors ``y``, higher being better.

        Parameters
        ----------
        estimator : fitted transformer or pipeline
        X : (n_samples, n_features)
            Whatever the estimator takes.
        y : (n_samples, n_factors) array or data frame
            None for a metric that looks at codes alone.
        sample_weight : (n_samples,), optional
            How much each row counts.

        Raises
        ------
        UndefinedScoreError
            If the metric has no value on these rows; scikit-learn then does what ``error_score`` says.
        InvalidInputError
            If the estimator has no such method, or rows do not agree.
        """
        door = getattr(estimator, self.method, None)
        if not callable(door):
            raise InvalidInputError(
                f"a transformer with the method {self.method!r} is needed; {type(estimator).__name__} has none"
            )
        observed, factors, weights = self._rows(X, y, sample_weight)
        codes = door(observed)
        codes = np.asarray(codes.toarray() if hasattr(codes, "toarray") else codes)
        representation = Representation(codes, factors, weights=weights, **self.table)
        score = NamedScore.parse(self.name).of(representation, seed=self.seed, **self.options)
        if score.undefined:
            raise UndefinedScoreError(f"{score.name} has no value: {score.undefined}")
        return score.value if self.greater_is_better else -score.value

    def __repr__(self) -> str:
        settings = {"n_rows": self.n_rows, "seed": self.seed, "method": self.method, **self.table, **self.options}
        usual = {"n_rows": None, "seed": 0, "method": "transform"}
        told = [f", {name}={value!r}" for name, value in settings.items() if name not in usual or value != usual[name]]
        sign = "" if self.greater_is_better else ", greater_is_better=False"
        return f"scorer({self.name!r}{''.join(told)}{sign})"

    def _rows(self, *arrays: Any) -> list[Any]:
        """Return a sample of the rows, or all of them if they are not more."""
        if self.n_rows is None or _n_rows(arrays[0]) <= self.n_rows:
            return list(arrays)
        from sklearn.utils import resample

        given = [array for array in arrays if array is not None]
        taken = resample(*given, replace=False, n_samples=self.n_rows, random_state=self.seed)
        left = iter(taken if len(given) > 1 else [taken])
        return [None if array is None else next(left) for array in arrays]


def scorer(
    metric: str,
    *,
    n_rows: int | None = None,
    seed: int = 0,
    method: str = "transform",
    greater_is_better: bool | None = None,
    kinds: Mapping[str, Kind] | None = None,
    factor_names: Sequence[str] | None = None,
    space: FactorSpace | None = None,
    **options: Any,
) -> Scorer:
    """Make a scorer of a metric, for ``GridSearchCV``, ``cross_val_score`` and whatever else takes ``scoring``.

    Parameters
    ----------
    metric : str
        ``mig``, ``mig@chen2018``, or a part: ``dci.completeness``.
    n_rows : int, optional
        Score a random sample of so many rows of a fold, the same for every candidate. All by default.
    seed : int
        Decides the sample and the metric's own draws.
    method : str
        Of the transformer that gives the codes, such as ``predict_proba``.
    greater_is_better : bool, optional
        By default what the metric declares: a score whose lower values are better is negated, as scikit-learn
        wants it.
    kinds, factor_names, space
        What is known of the factors, the columns of ``y``; see :class:`disentmetrics.Representation`. Kinds are
        inferred from the values of each fold otherwise.
    **options
        Options of the metric that override the protocol's.

    Returns
    -------
    Scorer
        A callable ``(estimator, X, y) -> float`` that can be pickled and cloned.

    Raises
    ------
    InvalidInputError
        If there is no such metric, protocol, part or option, or nobody says which values are better.

    Notes
    -----
    ``y`` holds the factors, one column each. A transformer that learns without labels never sees them, but a
    supervised step would: leave it out of the pipeline unless that is meant.

    Scores of held-out folds say how the codes serve rows that the transformer was not fitted to; on the rows it
    was fitted to, one that overfits looks better than it is. Metrics that train probes split the held-out rows
    once more. Three things follow. Folds must be large, thousands of rows where there are some: on few rows
    information metrics and probes are biased, alike for candidates on equal folds and so harmless to their
    order, but not to the value. Candidates with more codes have more chances on few rows; metrics that are corrected
    for chance (the preset ``robust``) punish that. And the best score of a search is too good, for it was
    chosen: score the winner by :func:`disentmetrics.score` on rows that took no part, which gives an
    interval too; the spread over folds is none, because folds share their training rows.

    A metric that is undefined for a candidate, such as MIG of a single code, raises; scikit-learn then
    takes ``error_score`` (NaN by default, with a warning) and ranks the candidate last.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> factors = np.random.default_rng(0).integers(4, size=(600, 2))
    >>> X = np.column_stack([factors, 0.1 * factors.sum(axis=1), factors[:, 0]])
    >>> search = GridSearchCV(
    ...     make_pipeline(StandardScaler(), PCA()), {"pca__n_components": [2, 3]}, scoring=scorer("mig"), cv=3
    ... ).fit(X, factors)
    >>> search.best_params_
    {'pca__n_components': 2}
    """
    named = NamedScore.parse(metric)
    named.metric.check_options(options)
    generator(seed, "rows")  # refuses what is no seed
    if n_rows is not None and (isinstance(n_rows, bool) or not isinstance(n_rows, int) or n_rows < 1):
        raise InvalidInputError(f"n_rows must be a whole number of at least 1; got {n_rows!r}")
    better = named.higher_is_better if greater_is_better is None else greater_is_better
    known = {"kinds": kinds, "factor_names": factor_names, "space": space}
    table = {name: value for name, value in known.items() if value is not None}
    return Scorer(named.name, better, n_rows, seed, method, table, options)


def scorers(metrics: str | Sequence[str] = "default", **settings: Any) -> dict[str, Scorer]:
    """Make scorers of several metrics, for ``cross_validate`` or ``GridSearchCV(..., refit="mig")``.

    Parameters
    ----------
    metrics : str or sequence of str
        Presets and names, as for :func:`disentmetrics.score`.
    **settings
        Of every one, as for :func:`scorer`.

    Returns
    -------
    dict of str to Scorer
        By name; ``neg_NAME`` where lower values are better and the score is negated. Each transforms the rows anew.

    Raises
    ------
    InvalidInputError
        If one is neither a preset nor a metric.

    Examples
    --------
    >>> scorers(["mig", "unfairness"], n_rows=500)
    {'mig': scorer('mig', n_rows=500), 'neg_unfairness': scorer('unfairness', n_rows=500, greater_is_better=False)}
    """
    made = [scorer(name, **settings) for name in expand(metrics, posterior=False)]
    return {one.name if one.greater_is_better else f"neg_{one.name}": one for one in made}


def _n_rows(table: Any) -> int:
    return int(table.shape[0]) if hasattr(table, "shape") else len(table)
