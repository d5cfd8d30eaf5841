"""Metrics as scorers of scikit-learn, for searches over transformers and cross-validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from disentmetrics._utils.random import generator
from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.factors import FactorSpace
from disentmetrics.representation import Representation
from disentmetrics.scoring.presets import expand
from disentmetrics_adapters.integrations._named_scores import NamedScore


@dataclass(frozen=True)
class Scorer:
    """A metric as ``scoring`` of scikit-learn; returned by :func:`scorer`.

    Attributes
    ----------
    name : str
        Such as ``mig@chen2018`` or ``dci.completeness``.
    greater_is_better : bool
        Whether the metric is returned unchanged; it is negated if not.
    """

    name: str
    greater_is_better: bool
    n_rows: int | None = None
    seed: int = 0
    method: str = "transform"
    table: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: N803 - scikit-learn's name
        """Score the codes that a fitted transformer computes from ``X`` against the factors ``y``; higher is better.

        Parameters
        ----------
        estimator : fitted transformer or pipeline
        X : (n_samples, n_features)
            Input of the estimator.
        y : (n_samples, n_factors) array or data frame
            None for a metric that does not use factors.
        sample_weight : (n_samples,), optional
            Weight of each row.

        Raises
        ------
        UndefinedScoreError
            If the metric is undefined on these rows; scikit-learn then applies ``error_score``.
        InvalidInputError
            If the estimator has no such method, or the numbers of rows differ.
        """
        encode = getattr(estimator, self.method, None)
        if not callable(encode):
            raise InvalidInputError(
                f"the transformer must have the method {self.method!r}; {type(estimator).__name__} has none"
            )
        observed, factors, weights = self._rows(X, y, sample_weight)
        codes = encode(observed)
        codes = np.asarray(codes.toarray() if hasattr(codes, "toarray") else codes)
        representation = Representation(codes, factors, weights=weights, **self.table)
        score = NamedScore.parse(self.name).of(representation, seed=self.seed, **self.options)
        if score.undefined:
            raise UndefinedScoreError(f"{score.name} is undefined: {score.undefined}")
        return score.value if self.greater_is_better else -score.value

    def __repr__(self) -> str:
        settings = {"n_rows": self.n_rows, "seed": self.seed, "method": self.method, **self.table, **self.options}
        defaults = {"n_rows": None, "seed": 0, "method": "transform"}
        shown = [
            f", {name}={value!r}" for name, value in settings.items() if name not in defaults or value != defaults[name]
        ]
        sign = "" if self.greater_is_better else ", greater_is_better=False"
        return f"scorer({self.name!r}{''.join(shown)}{sign})"

    def _rows(self, *arrays: Any) -> list[Any]:
        """Return a sample of ``n_rows`` rows, or all rows if there are no more."""
        if self.n_rows is None or _n_rows(arrays[0]) <= self.n_rows:
            return list(arrays)
        from sklearn.utils import resample

        given = [array for array in arrays if array is not None]
        sampled = resample(*given, replace=False, n_samples=self.n_rows, random_state=self.seed)
        remaining = iter(sampled if len(given) > 1 else [sampled])
        return [None if array is None else next(remaining) for array in arrays]


def scorer(
    metric: str,
    *,
    n_rows: int | None = None,
    seed: int = 0,
    method: str = "transform",
    greater_is_better: bool | None = None,
    kinds: Mapping[str, str] | None = None,
    factor_names: Sequence[str] | None = None,
    space: FactorSpace | None = None,
    **options: Any,
) -> Scorer:
    """Return a metric as a scorer for ``GridSearchCV``, ``cross_val_score`` and other functions with ``scoring``.

    Parameters
    ----------
    metric : str
        ``mig``, ``mig@chen2018``, or a part: ``dci.completeness``.
    n_rows : int, optional
        Number of rows of a fold to sample at random for scoring, the same rows for every candidate. All by default.
    seed : int
        Random seed of the sample and of the metric.
    method : str
        Method of the transformer that returns the codes, such as ``predict_proba``.
    greater_is_better : bool, optional
        By default as declared by the metric: a score whose lower values are better is negated, which is the
        convention of scikit-learn.
    kinds, factor_names, space
        Description of the factors, the columns of ``y``; see :class:`disentmetrics.Representation`. By default kinds
        are inferred from the values of each fold.
    **options
        Options of the metric that override the protocol's.

    Returns
    -------
    Scorer
        A callable ``(estimator, X, y) -> float`` that can be pickled and cloned.

    Raises
    ------
    InvalidInputError
        If the metric, protocol, part or option does not exist, or the direction of the score is not declared.

    Notes
    -----
    ``y`` contains the factors, one per column. An unsupervised transformer ignores them, but a supervised step of a
    pipeline is fitted to them: remove such a step unless this is intended.

    Scores on held-out folds measure how the codes generalise to rows to which the transformer was not fitted; on its
    training rows, a transformer that overfits is overrated. Metrics that train probes split the held-out rows again.
    This has three consequences. First, folds should be large, with thousands of rows if possible: on few rows,
    information metrics and probes are biased. On folds of equal size the bias is similar for all candidates and hardly
    affects their order, but it affects the values. Second, candidates with more latents reach higher scores by chance
    on few rows; metrics corrected for chance (the preset ``robust``) account for that. Third, the best score of a
    search is optimistic because it was selected: score the winner with :func:`disentmetrics.score` on rows that were
    not used in the search, which gives an interval too. The spread over folds is no substitute, because folds share
    training rows.

    A metric that is undefined for a candidate, such as MIG of a single latent, raises an error; scikit-learn then
    uses ``error_score`` (NaN by default, with a warning) and ranks the candidate last.

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
    generator(seed, "rows")  # raises if the seed is invalid
    if n_rows is not None and (isinstance(n_rows, bool) or not isinstance(n_rows, int) or n_rows < 1):
        raise InvalidInputError(f"n_rows must be a whole number of at least 1; got {n_rows!r}")
    better = named.higher_is_better if greater_is_better is None else greater_is_better
    about_factors = {"kinds": kinds, "factor_names": factor_names, "space": space}
    table = {name: value for name, value in about_factors.items() if value is not None}
    return Scorer(named.name, better, n_rows, seed, method, table, options)


def scorers(metrics: str | Sequence[str] = "default", **settings: Any) -> dict[str, Scorer]:
    """Return scorers of several metrics, for ``cross_validate`` or ``GridSearchCV(..., refit="mig")``.

    Parameters
    ----------
    metrics : str or sequence of str
        Presets and names, as for :func:`disentmetrics.score`.
    **settings
        Settings of all scorers, as for :func:`scorer`.

    Returns
    -------
    dict of str to Scorer
        By name; ``neg_NAME`` where lower values are better and the score is negated. Each scorer transforms the rows
        again.

    Raises
    ------
    InvalidInputError
        If a name is neither a preset nor a metric.

    Examples
    --------
    >>> scorers(["mig", "unfairness"], n_rows=500)
    {'mig': scorer('mig', n_rows=500), 'neg_unfairness': scorer('unfairness', n_rows=500, greater_is_better=False)}
    """
    made = [scorer(name, **settings) for name in expand(metrics, posterior=False)]
    return {one.name if one.greater_is_better else f"neg_{one.name}": one for one in made}


def _n_rows(table: Any) -> int:
    return int(table.shape[0]) if hasattr(table, "shape") else len(table)
