"""InfoMEC: InfoM, InfoE and InfoC."""

import math
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from disentmetrics._utils.random import generator
from disentmetrics._utils.typing import Seed
from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.estimators.mutual_information import contingency, plug_in_information
from disentmetrics.estimators.nearest_neighbours import jittered, neighbour_information
from disentmetrics.estimators.rank_correlation import standardise
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.learning_curves import MOST_ROWS, fit_probe
from disentmetrics.statistics.mutual_information import factor_entropies
from disentmetrics.statistics.significance import above_chance, significant_information
from disentmetrics.statistics.targets import target, value_target, varied_factors

CodeKind = Literal["auto", "continuous", "discrete"]


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Hsu, Dorrell, Whittington, Wu & Finn (2023), Disentanglement via Latent Quantization, section 5",
    known_failure="A code that encodes a single factor has an InfoM of 1, although all other factors are missing.",
    needs=Needs(factors=2, rows=20),
    randomised=True,
    parts={"infoc": (0.0, 1.0), "infoe": (-math.inf, 1.0)},
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings at finite resolution, gate at a false discovery rate of 1 %, ratios "
            "weighted by information, cross-fitted InfoE",
            precision=0.025,
            unsettled={"duplicated code"},
        ),
        "hsu2023": Protocol(
            source="Hsu et al. (2023), released code: 10 neighbours or exact counts, latents of small range "
            "excluded, in-sample InfoE",
            options={"gated": False},
            invariant_to=all_except(
                "scale",
                "monotone warp",
                "noise code",
                "duplicated code",
                "repeated rows",
                "rotation",
                "dependent factors",
            ),
            detects={"rotated", "packed", "rotated copy", "missing factor"},
            perfect=math.nan,
            noise=math.nan,  # ratios of noise
        ),
    },
)
def infomec(
    representation: Representation, *, seed: Seed, gated: bool = True, code_kind: CodeKind = "auto"
) -> RawScore:
    """InfoM, InfoE and InfoC: information-theoretic modularity, explicitness and compactness; the value is InfoM.

    ``InfoM = (mean_j max_k R_jk / sum_k R_jk - 1 / K) / (1 - 1 / K)`` with ``R_jk = I(z_j; v_k) / H(v_k)`` and K
    factors; InfoC is the same with latents and factors exchanged, over the active latents; and
    ``InfoE = mean_k 1 - loss_k / H_k``, with loss_k the log loss of multinomial logistic regression on all latents
    and H_k that of constant probabilities.

    Parameters
    ----------
    representation : Representation
        At least two factors; continuous ones are discretised into 10 equal-frequency bins.
    seed : int or tuple of int
        Random seed for the folds, and for the noise of scale 1e-10 that breaks ties between values of a latent.
    gated : bool
        Whether only significant associations are used: R is 0 for latents and factors without an association at a
        false discovery rate of 1 %, the mean over latents (over factors, for InfoC) is weighted by information, and
        InfoE is scored out of fold, relative to the class frequencies of the training rows, with a penalty chosen by
        log loss.
    code_kind : {"auto", "continuous", "discrete"}
        Without the gate, whether information is estimated from 10 nearest neighbours or from counts; ``auto`` counts
        if all latents are marked as categorical, or if every latent takes each of its values at least ten times on
        average.

    Returns
    -------
    RawScore
        InfoM in [0, 1]; 1 if each latent is informative about one factor only. Parts: ``infoc`` in [0, 1], 1 if each
        factor is encoded in one latent, and ``infoe``, at most 1, and 0 if the regression does not improve upon
        constant probabilities (by chance below 0 out of fold). Details: ``share`` (n_codes, n_factors), the matrix R;
        ``explicitness`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary; without the gate, if no latent varies, or no active latent is informative.

    Notes
    -----
    Ratios of noisy estimates are not close to 0: the released code assigns an InfoM of .55 and an InfoC of .53 to
    pure noise, and InfoM decreases with every noise latent. With the gate, InfoM and InfoC are 0 if no pair is
    significantly associated. A single active latent has an InfoC of 1 with the gate, and NaN (0 / 0 in the released
    code) without. The released code excludes latents whose range is at most a twentieth of the largest, so that the
    score depends on their scale; a latent or factor without any information gives NaN there and is excluded from the
    mean here. Its regression is unpenalised, with balanced classes, stops after 100 iterations and is scored in
    sample.

    Examples
    --------
    >>> factors = np.indices((4, 5)).reshape(2, -1).T.repeat(30, axis=0)
    >>> score = infomec(factors.astype(float), factors)
    >>> score.value, score.parts["infoc"].value, score.parts["infoe"].value > 0.95
    (1.0, 1.0, True)
    """
    defined = representation.cached(varied_factors)
    return _gated(representation, defined, seed) if gated else _released(representation, defined, code_kind, seed)


def _gated(representation: Representation, defined: NDArray[np.bool_], seed: Seed) -> RawScore:
    gate = representation.cached(significant_information)
    share = gate.share[:, defined]
    share = share[share.any(axis=1)]
    total = share.sum()
    modularity = compactness = 0.0
    # sums before ratios: latents and factors are weighted by their information
    if total > 0:
        modularity = float(above_chance(share.max(axis=1).sum() / total, share.shape[1]))
        compactness = float(above_chance(share.max(axis=0).sum() / total, share.shape[0]))
    explicit = np.full(representation.n_factors, np.nan)
    for k in np.flatnonzero(defined):
        probe = representation.cached(fit_probe, int(k), MOST_ROWS, "logistic", seed)
        if probe is not None and probe.baseline_loss > 0:
            explicit[k] = 1 - probe.loss / probe.baseline_loss
    return _outcome(modularity, compactness, explicit, gate.share, gate.settings, gate.notes)


def _outcome(
    modularity: float,
    compactness: float,
    explicit: NDArray[np.float64],
    share: NDArray[np.float64],
    settings: dict[str, str],
    notes: tuple[str, ...],
) -> RawScore:
    return RawScore(
        value=min(max(modularity, 0.0), 1.0),
        details={"share": share, "explicitness": explicit},
        settings=settings,
        notes=notes,
        parts={
            "infoc": min(max(compactness, 0.0), 1.0) if not math.isnan(compactness) else math.nan,
            "infoe": float(np.nanmean(explicit)) if not np.isnan(explicit).all() else math.nan,
        },
    )


def _released(representation: Representation, defined: NDArray[np.bool_], code_kind: CodeKind, seed: Seed) -> RawScore:
    discrete = representation.cached_by_codes(_takes_few_values) or bool(representation.categorical_codes.all())
    discrete = discrete if code_kind == "auto" else code_kind == "discrete"
    values = np.asarray(representation.codes, dtype=np.float64)
    reach = np.where(constant(values), 0.0, np.ptp(values, axis=0))
    active = reach > (0.0 if discrete else reach.max() / 20)
    if not active.any():
        raise UndefinedScoreError("infomec without the gate needs a latent that varies; every latent is constant")
    share = representation.cached(_information_share, seed, discrete=discrete)
    kept = np.where(active[:, None], share, 0.0)[:, defined]
    of_code, of_factor = kept.sum(axis=1), kept.sum(axis=0)
    if not of_code.any():
        raise UndefinedScoreError("infomec without the gate is 0 / 0 here: no active latent is informative")
    informative, encoded = of_code > 0, of_factor > 0
    n_active = int(active.sum())
    modularity = float(above_chance(np.mean(kept[informative].max(axis=1) / of_code[informative]), kept.shape[1]))
    compactness = math.nan  # 0 / 0 for a single active latent
    if n_active > 1:
        compactness = float(above_chance(np.mean(kept[:, encoded].max(axis=0) / of_factor[encoded]), n_active))
    explicit = representation.cached(_in_sample_explicitness, discrete=discrete)
    settings = {"codes": "discrete" if discrete else "continuous", "active": str(n_active)}
    return _outcome(modularity, compactness, explicit, share, settings, ())


def _takes_few_values(codes: NDArray[np.floating]) -> bool:
    return all(len(np.unique(column)) * 10 <= len(column) for column in codes.T)


def _information_share(representation: Representation, seed: Seed, *, discrete: bool) -> NDArray[np.float64]:
    entropies = representation.cached(factor_entropies)
    varied = representation.cached(varied_factors)
    values = np.asarray(representation.codes, dtype=np.float64)
    columns = list(jittered(values, generator(seed, "jitter")).T)
    levels = [np.unique(column, return_inverse=True)[1].ravel() for column in values.T] if discrete else []
    dead = constant(values)
    mi = np.zeros((representation.n_codes, representation.n_factors))
    for k in np.flatnonzero(varied):
        factor = representation.cached(value_target, int(k))
        labels = factor.of(factor.values)
        for j in np.flatnonzero(~dead):
            if discrete:
                sizes = int(levels[j].max()) + 1, factor.n_classes
                mi[j, k] = plug_in_information(contingency(factor.of(levels[j]), labels, *sizes))
            else:
                mi[j, k] = neighbour_information(factor.of(columns[j]), labels, 10)
    return np.asarray(mi / np.where(varied, entropies, 1.0))


def _in_sample_explicitness(representation: Representation, *, discrete: bool) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    values = np.asarray(representation.codes, dtype=np.float64)
    features = OneHotEncoder().fit_transform(values) if discrete else standardise(values)
    explicit = np.full(representation.n_factors, np.nan)
    for k in np.flatnonzero(representation.cached(varied_factors)):
        classes = representation.cached(target, int(k), classes=True)
        rows = classes.rows
        y = classes.values[rows]
        model = LogisticRegression(C=math.inf, class_weight="balanced", max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are part of the protocol
            probability = model.fit(features[rows], y).predict_proba(features[rows])
        eps = np.finfo(np.float64).eps
        loss = -np.log(np.clip(probability[np.arange(len(y)), y], eps, 1.0)).mean()
        # With balanced classes the best constant probabilities are uniform: their loss is the log of their number.
        explicit[k] = 1 - loss / np.log(y.max() + 1)
    return explicit
