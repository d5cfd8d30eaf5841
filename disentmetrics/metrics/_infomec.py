"""InfoM, InfoE and InfoC."""

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
from disentmetrics.statistics.factor_groups import varied_factors
from disentmetrics.statistics.learning_curves import MOST_ROWS, fit_probe
from disentmetrics.statistics.mutual_information import factor_entropies
from disentmetrics.statistics.significance import above_chance, significant_information

CodeKind = Literal["auto", "continuous", "discrete"]


@metric(
    family="information",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Hsu, Dorrell, Whittington, Wu & Finn (2023), Disentanglement via Latent Quantization, section 5",
    known_failure="Codes that tell a single factor and nothing else have an InfoM of 1, though all others are missing.",
    needs=Needs(factors=2, rows=20),
    randomised=True,
    parts={"infoc": (0.0, 1.0), "infoe": (-math.inf, 1.0)},
    invariant_to=all_except("duplicated code", "repeated rows", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy"},
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: rank spacings, gate at a false discovery rate of 1 %, ratios weighted by "
            "information, InfoE out of fold",
        ),
        "hsu2023": Protocol(
            source="Hsu et al. (2023), released code: 10 neighbours or exact counts, codes of small range left "
            "out, InfoE in sample",
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
    """Modularity, compactness and explicitness as ratios of information; the value is InfoM.

    With ``R_jk = I(z_j; v_k) / H(v_k)`` and K factors,
    ``InfoM = (mean_j max_k R_jk / sum_k R_jk - 1 / K) / (1 - 1 / K)``; InfoC is the same with codes and
    factors exchanged, over the active codes; and ``InfoE = mean_k 1 - loss_k / H_k``, with the log loss
    of multinomial logistic regression from all codes and that of constant probabilities.

    Parameters
    ----------
    representation : Representation
        Two factors or more; continuous ones are cut into 10 bins of equal frequency.
    seed : int or tuple of int
        Decides folds, and the noise of 1e-10 that breaks ties between codes.
    gated : bool
        Whether ratios are taken of what is beyond chance: R is 0 for pairs that are not related at a false
        discovery rate of 1 %, the mean over codes (and over factors, for InfoC) weighs each by its information, and
        InfoE is scored on rows that the regression has not seen, against the frequencies of classes in
        the rows it has seen, with a penalty chosen by log loss.
    code_kind : {"auto", "continuous", "discrete"}
        Without the gate, whether information is estimated from 10 neighbours or counted; ``auto`` counts if the
        codes are marked as categories, or if every code takes each of its values ten times or more on average.

    Returns
    -------
    RawScore
        InfoM in [0, 1]: 1 where each code tells of one factor. Parts: ``infoc`` in [0, 1], 1 where each factor is
        told by one code, and ``infoe``, at most 1 and 0 where the codes tell nothing to the regression (below 0 out
        of fold, by chance). Details: ``share`` (n_codes, n_factors), R; ``explicitness`` (n_factors,).

    Raises
    ------
    UndefinedScoreError
        If fewer than two factors vary; without the gate, if no code varies, or no active code tells anything.

    Notes
    -----
    Ratios of estimates that are all noise are not near 0: the released code gives InfoM .55 and InfoC .53 to
    codes of pure noise, and InfoM falls with every noise code. With the gate both are 0 there. Where no pair is
    related InfoM and InfoC are 0; one active code alone has an InfoC of 1 with the gate, and NaN (0 / 0 in the
    released code) without. The released code leaves out codes whose range is at most a twentieth of the
    largest, so that scales matter; a code, or a factor, without any information gives NaN there
    and is left out of the mean here. Its regression is unpenalised, weighs classes alike, stops after 100
    iterations and is scored in sample.

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
    if total > 0:
        modularity = float(above_chance(share.max(axis=1).sum() / total, share.shape[1]))
        compactness = float(above_chance(share.max(axis=0).sum() / total, share.shape[0]))
    explicit = np.full(representation.n_factors, np.nan)
    for k in np.flatnonzero(defined):
        found = representation.cached(fit_probe, int(k), MOST_ROWS, "logistic", seed)
        if found is not None and found.baseline_loss > 0:
            explicit[k] = 1 - found.loss / found.baseline_loss
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
        raise UndefinedScoreError("infomec without the gate needs a code that varies; every code is constant")
    share = representation.cached(_information_share, seed, discrete=discrete)
    kept = np.where(active[:, None], share, 0.0)[:, defined]
    of_code, of_factor = kept.sum(axis=1), kept.sum(axis=0)
    if not of_code.any():
        raise UndefinedScoreError("infomec without the gate is 0 / 0 here: no active code tells anything of a factor")
    told, found = of_code > 0, of_factor > 0
    n_active = int(active.sum())
    modularity = float(above_chance(np.mean(kept[told].max(axis=1) / of_code[told]), kept.shape[1]))
    compactness = math.nan
    if n_active > 1:
        compactness = float(above_chance(np.mean(kept[:, found].max(axis=0) / of_factor[found]), n_active))
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
    counted = [np.unique(column, return_inverse=True)[1].ravel() for column in values.T] if discrete else []
    dead = constant(values)
    nats = np.zeros((representation.n_codes, representation.n_factors))
    for k in np.flatnonzero(varied):
        labels = representation.labels(int(k))
        present = labels >= 0
        for j in np.flatnonzero(~dead):
            if discrete:
                sizes = int(counted[j].max()) + 1, int(labels.max()) + 1
                nats[j, k] = plug_in_information(contingency(counted[j][present], labels[present], *sizes))
            else:
                nats[j, k] = neighbour_information(columns[j][present], labels[present], 10)
    return np.asarray(nats / np.where(varied, entropies, 1.0))


def _in_sample_explicitness(representation: Representation, *, discrete: bool) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    values = np.asarray(representation.codes, dtype=np.float64)
    features = OneHotEncoder().fit_transform(values) if discrete else standardise(values)
    explicit = np.full(representation.n_factors, np.nan)
    for k in np.flatnonzero(representation.cached(varied_factors)):
        labels = representation.labels(int(k))
        rows = np.flatnonzero(labels >= 0)
        truth = np.unique(labels[rows], return_inverse=True)[1].ravel()
        model = LogisticRegression(C=math.inf, class_weight="balanced", max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are part of the protocol
            found = model.fit(features[rows], truth).predict_proba(features[rows])
        tiny = np.finfo(np.float64).eps
        loss = -np.log(np.clip(found[np.arange(len(truth)), truth], tiny, 1.0)).mean()
        # Balanced classes make constant probabilities uniform, whose loss is log K whatever the frequencies.
        explicit[k] = 1 - loss / np.log(truth.max() + 1)
    return explicit
