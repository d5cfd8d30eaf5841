"""The mutual information gap."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics.errors import InvalidInputError, UndefinedScoreError
from disentmetrics.estimators.activity import KL_THRESHOLD, constant, mean_kl
from disentmetrics.estimators.gaussian_mixture import mixture_information
from disentmetrics.estimators.mutual_information import (
    contingency,
    entropy,
    equal_width_bins,
    plug_in_information,
)
from disentmetrics.estimators.rank_spacing import SortedCode, rank_spacing_information, sort_code
from disentmetrics.metric import Needs, Outcome, Protocol, all_except, mean_over_factors, metric
from disentmetrics.representation import Representation
from disentmetrics.sampling import varied_factors

Estimator = Literal["rank-spacing", "equal-width", "posterior"]


@metric(
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Chen, Li, Grosse & Duvenaud (2018), Isolating Sources of Disentanglement in VAEs, section 4",
    known_failure="Two factors packed without loss into one code score 1.",
    needs=Needs(codes=2, rows=20),
    needs_of={"chen2018": Needs(codes=2, rows=2, log_variance=True)},
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings of the mean code, collapsed codes left out",
            invariant_to=all_except("duplicated code"),
        ),
        "chen2018": Protocol(
            source="Chen et al. (2018): aggregate posteriors, integrated exactly instead of sampled",
            options={"estimator": "posterior"},
            precision=1e-3,
            costly=True,
            invariant_to=all_except("duplicated code"),
        ),
        "locatello2019": Protocol(
            source="disentanglement_lib 1.5: mean code in 20 bins of equal width",
            options={"estimator": "equal-width"},
            invariant_to=all_except("monotone warp", "duplicated code", "outlier"),
        ),
    },
)
def mig(representation: Representation, *, estimator: Estimator = "rank-spacing", n_bins: int = 20) -> Outcome:
    """Mean gap between the two codes that tell most about each factor.

    ``mean over k of [I(z_(1); v_k) - I(z_(2); v_k)] / H(v_k)``, informations sorted over codes.

    Parameters
    ----------
    representation : Representation
        At least two codes. Rows that miss a factor's label are left out for that factor; a
        continuous factor is cut into 10 bins of equal frequency.
    estimator : {"rank-spacing", "equal-width", "posterior"}
        How I(z_j; v_k) is estimated, in nats. ``rank-spacing`` has no bins and is unbiased for
        unrelated codes; ``equal-width`` cuts each code into ``n_bins`` and plugs in;
        ``posterior`` integrates the aggregate posterior q(z_j) and q(z_j | v_k).
    n_bins : int
        Only for ``equal-width``.

    Returns
    -------
    Outcome
        In [0, 1]: 1 where one code tells all of each factor and no other code tells any. Details:
        ``mutual_information`` (n_codes, n_factors) in nats and ``average_maximal_information``,
        the mean over factors of I(z_(1); v_k) / H(v_k).

    Raises
    ------
    UndefinedScoreError
        If no factor takes two values.

    Notes
    -----
    With posterior variances, the default leaves out codes whose mean KL to N(0, 1) is at most
    0.01 nats (``mask`` in the signature): a collapsed code still carries a clean trace of a
    factor in its mean. The authors' code draws 10,000 samples, divides by log |V_k| (equal to
    H(v_k) on a full grid) and leaves the shape of dSprites out: average ``per_factor``
    without it to compare. An encoder whose mean code is a lookup table of few values is
    scored by the chance-corrected information of those values.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> mig(factors.astype(float), factors).value, mig(factors[:, [0, 0]].astype(float), factors).value
    (1.0, 0.0)
    """
    kept, settings = _kept_codes(representation, estimator)
    nats = np.zeros((representation.n_codes, representation.n_factors))
    nats[kept] = representation.shared(information_matrix, estimator, n_bins)[kept]
    entropies = representation.shared(factor_entropies)
    defined = representation.shared(varied_factors)
    if not defined.any():
        raise UndefinedScoreError("mig needs a factor that takes two values; every factor is constant")
    ranked = np.sort(np.maximum(nats, 0.0), axis=0)
    gaps = np.full(representation.n_factors, np.nan)
    gaps[defined] = (ranked[-1] - ranked[-2])[defined] / entropies[defined]
    most = (ranked[-1][defined] / entropies[defined]).mean()
    return Outcome(
        value=mean_over_factors(gaps),
        per_factor=gaps,
        details={"mutual_information": nats, "average_maximal_information": np.array([most])},
        settings=settings,
        notes=_packing_note(representation, nats, entropies, defined),
    )


def _kept_codes(representation: Representation, estimator: Estimator) -> tuple[NDArray[np.bool_], dict[str, str]]:
    if estimator == "posterior":
        return np.ones(representation.n_codes, dtype=bool), {"code": "mean+logvar"}
    if estimator == "rank-spacing" and representation.log_variance is not None:
        kl = mean_kl(representation.codes, representation.log_variance)
        return kl > KL_THRESHOLD, {"mask": f"kl>{KL_THRESHOLD}"}
    return np.ones(representation.n_codes, dtype=bool), {}


def _packing_note(
    representation: Representation,
    nats: NDArray[np.float64],
    entropies: NDArray[np.float64],
    defined: NDArray[np.bool_],
) -> tuple[str, ...]:
    names = np.array(representation.space.names)
    share = nats / np.where(defined, entropies, np.inf)
    best = np.argmax(nats, axis=0)
    notes = []
    for code in np.unique(best[defined & (share.max(axis=0) > 0.5)]):
        packed = defined & (best == code) & (share[code] > 0.5)
        if packed.sum() > 1:
            notes.append(
                f"code {representation.code_names[code]} tells most of {' and '.join(names[packed])}: "
                "this score does not punish packing two factors into one code"
            )
    return tuple(notes)


def information_matrix(representation: Representation, estimator: Estimator, n_bins: int = 20) -> NDArray[np.float64]:
    """Return I(z_j; v_k) in nats as (n_codes, n_factors), 0 for constant codes."""
    nats = np.zeros((representation.n_codes, representation.n_factors))
    if estimator == "posterior":
        table = np.stack([representation.labels(k) for k in range(representation.n_factors)], axis=1)
        if representation.log_variance is None:
            raise UndefinedScoreError("the posterior estimator needs posterior variances (log_variance)")
        sizes = [int(column.max()) + 1 for column in table.T]
        try:
            found = mixture_information(representation.codes, representation.log_variance, table, sizes)
        except InvalidInputError as error:
            raise UndefinedScoreError(f"the aggregate posteriors cannot be integrated: {error}") from error
        return found.mutual_information
    prepared = representation.shared_by_codes(_prepared, estimator, n_bins)
    for position in range(representation.n_factors):
        labels = representation.labels(position)
        present = labels >= 0
        codes, usable = representation.codes, prepared
        if not present.all():
            codes, labels = codes[present], labels[present]
            usable = _prepared(codes, estimator, n_bins)
        n_values = int(labels.max(initial=0)) + 1
        for code, ready in enumerate(usable):
            if isinstance(ready, SortedCode):
                nats[code, position] = rank_spacing_information(ready, labels, n_values)
            elif ready is not None:
                nats[code, position] = plug_in_information(contingency(ready, labels, n_bins, n_values))
    return nats


def _prepared(
    codes: NDArray[np.floating], estimator: Estimator, n_bins: int
) -> list[SortedCode | NDArray[np.int64] | None]:
    """Sort or bin each code; None for a constant one."""
    if not len(codes):
        return [None] * codes.shape[1]
    columns = (None if dead else np.ascontiguousarray(codes[:, j]) for j, dead in enumerate(constant(codes)))
    if estimator == "rank-spacing":
        return [None if column is None else sort_code(column) for column in columns]
    return [None if column is None else equal_width_bins(column, n_bins) for column in columns]


def factor_entropies(representation: Representation) -> NDArray[np.float64]:
    """Return the plug-in entropy of each factor in nats, as (n_factors,)."""
    labels = (representation.labels(k) for k in range(representation.n_factors))
    return np.array([entropy(np.bincount(column[column >= 0], minlength=1)) for column in labels])
