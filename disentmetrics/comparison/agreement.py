"""Agreement of models: do runs that differ in their seed learn the same latents? No labels needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import RenderableType

from disentmetrics._utils.random import generator
from disentmetrics._utils.tables import TextTable, plain_text
from disentmetrics._utils.threads import single_threaded_blas
from disentmetrics._utils.typing import Floats
from disentmetrics._version import __version__
from disentmetrics.comparison.udr import divergence, relative_strength
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.estimators.activity import KL_THRESHOLD, constant
from disentmetrics.estimators.assignment import one_to_one_assignment
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.representation import Representation
from disentmetrics.representation.resampling import Split, folds_of_units
from disentmetrics.results.signature import Signature

Kind = Literal["udr", "mcc", "r2", "dictionary"]

N_FOLDS = 5
MIN_ROWS = 20


@dataclass(frozen=True, eq=False)
class AgreementResult:
    """Agreement of models with each other.

    Attributes
    ----------
    scores : (n_models,) float
        Median agreement of each model with the others, ``median over i of pairwise[i, m]``.
    pairwise : (n_models, n_models) float
        Agreement of each pair, NaN on the diagonal. Symmetric except for ``r2``, where model i predicts
        the codes of model j.
    null : (n_models,) float
        Mean of ``scores`` when the rows of every model are shuffled.
    medoid : int
        The model that agrees best with all others on average.
    stability : tuple of (n_codes,) float arrays
        Median over the other models of how well each latent of each model is matched there; 0 for a
        latent that is left out.
    uniqueness : (n_models,) float or None
        For ``dictionary``: median over the other models of the number of different best matches there,
        divided by the number of atoms here.
    kind : str
    names : tuple of str
        Names of the models.
    signature : str
        See :class:`disentmetrics.results.signature.Signature`.
    """

    scores: Floats
    pairwise: Floats
    null: Floats
    medoid: int
    stability: tuple[Floats, ...]
    uniqueness: Floats | None
    kind: str
    names: tuple[str, ...]
    signature: str

    @property
    def ranking(self) -> NDArray[np.int64]:
        """Models from the one that agrees best to the one that agrees least."""
        return np.argsort(-self.scores, kind="stable")

    def table(self) -> RenderableType:
        """Return the ranking as a table for terminals."""
        rows = []
        for m in self.ranking:
            least = f"{self.stability[m].min():.3f}" if len(self.stability[m]) else "—"
            note = "medoid" if m == self.medoid else ""
            rows.append((self.names[m], f"{self.scores[m]:.3f}", f"{self.null[m]:.3f}", least, note))
        return TextTable(("model", "agreement", "null", "least stable latent", "note"), rows, align="lrrrl").to_rich()

    def __str__(self) -> str:
        return f"{plain_text(self.table())}\n{self.signature}"


def agreement(
    representations: Sequence[Representation | Posterior | ArrayLike],
    kind: Kind = "udr",
    *,
    n_null: int = 5,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> AgreementResult:
    """Measure the agreement of models on the same rows, pair by pair.

    Parameters
    ----------
    representations : sequence of Representation, Posterior or (n_samples, n_codes) arrays
        Codes of the same rows, at least 20, by at least two models. Their numbers of latents may differ. For
        ``dictionary``, decoder directions: each column an atom, rows the dimensions of the space.
    kind : {"udr", "mcc", "r2", "dictionary"}
        ``udr``: how close the absolute rank correlations of two models' latents are to a permutation, as
        :func:`disentmetrics.udr` defines it (its in-sample bias is in ``null``).
        ``mcc``: latents are paired one to one and oriented on training rows by Spearman correlation; mean
        signed correlation on the other rows, unpaired latents of the larger model counting as 0.
        ``r2``: held-out R² of predicting each latent of j linearly from all latents of i.
        ``dictionary``: atoms are paired one to one by absolute cosine; mean over the larger number of atoms.
    n_null : int
        Number of shuffles of all rows for ``null``.
    names : sequence of str, optional
        Names of the models; their positions by default.
    seed : int
        Random seed for five folds (groups of the first representation stay together) and for shuffling.

    Returns
    -------
    AgreementResult
        ``scores`` are at most 1, if all latents are matched in every other run. Compare them with ``null``, the score
        of random codes of this size, which is not the score of untrained networks.

    Raises
    ------
    InvalidInputError
        If there are fewer than two models, rows do not match, a code is not finite or an option is invalid.

    Notes
    -----
    Constant latents are left out, and those whose mean KL to N(0, 1) is at most 0.01 nats if there are posterior
    variances; a model without any other latent has agreement 0. The lengths of atoms are
    irrelevant, and an atom of zeros matches none. Signed cosines, which some use, treat a feature of opposite sign as
    missing. Models with the same seed, or that all miss a factor, also agree: this measures reliability, not quality.

    References
    ----------
    Duan et al. (2020), *Unsupervised Model Selection for Variational Disentangled Representation Learning*,
    for ``udr``; Khemakhem et al. (2020), *ICE-BeeM*, for ``mcc``; Schneider, Lee & Mathis (2023), *Learnable
    Latent Embeddings for Joint Behavioural and Neural Analysis*, for ``r2``, which is fitted and measured on
    the same rows there; Song et al. (2025), *Mechanistic Interpretability Should Prioritize Feature
    Consistency in SAEs*, for ``dictionary``.

    Examples
    --------
    >>> codes = np.indices((8, 8)).reshape(2, -1).T - 3.5
    >>> result = agreement([codes, -codes[:, ::-1], codes @ [[1, 1], [1, -1]]], "mcc", names=["a", "b", "rotated"])
    >>> result.pairwise.round(1)
    array([[nan, 1. , 0.7],
           [1. , nan, 0.7],
           [0.7, 0.7, nan]])
    """
    if kind not in get_args(Kind):
        raise InvalidInputError(
            f"kind must be one of {', '.join(get_args(Kind))}; got {kind!r}{did_you_mean(kind, get_args(Kind))}"
        )
    if isinstance(n_null, bool) or not isinstance(n_null, int) or n_null < 1:
        raise InvalidInputError(f"n_null must be a whole number of at least 1; got {n_null!r}")
    models = [_codes(item, position) for position, item in enumerate(representations)]
    if len(models) < 2:
        raise InvalidInputError(f"agreement compares models with each other: give at least two; got {len(models)}")
    if names is not None and len(names) != len(models):
        raise InvalidInputError(f"names must have one entry for each of {len(models)} models; got {len(names)}")
    n_rows = _check_rows(representations, models, least=2 if kind == "dictionary" else MIN_ROWS)
    groups = next((item.resampling_units for item in representations if isinstance(item, Representation)), None)
    splits = folds_of_units(groups, n_rows, N_FOLDS, seed)
    alive = [
        (codes != 0).any(axis=0) if kind == "dictionary" else _informative(item, codes)
        for item, codes in zip(representations, models, strict=True)
    ]
    living = [codes[:, kept] for codes, kept in zip(models, alive, strict=True)]
    with single_threaded_blas():
        pairwise, matches = _all_pairs(living, _KINDS[kind], splits)
        rng = generator(seed, "agreement null")
        shuffled = [
            _all_pairs([codes[rng.permutation(n_rows)] for codes in living], _KINDS[kind], splits)[0]
            for _ in range(n_null)
        ]
    stability = []
    for m, kept in enumerate(alive):
        of_codes = np.zeros(len(kept))
        of_codes[kept] = np.median([matches[i, m] for i in range(len(models)) if i != m], axis=0)
        stability.append(of_codes)
    scores = _median_of_columns(pairwise)
    fields = {
        "kind": kind,
        "models": str(len(models)),
        "rows": str(n_rows),
        "folds": "none" if kind in {"udr", "dictionary"} else str(len(splits)),
        "null": str(n_null),
        "seed": str(seed),
        "v": __version__,
    }
    return AgreementResult(
        scores=scores,
        pairwise=pairwise,
        null=np.mean([_median_of_columns(matrix) for matrix in shuffled], axis=0),
        medoid=int(np.argmax(np.nanmean((pairwise + pairwise.T) / 2, axis=0))),
        stability=tuple(stability),
        uniqueness=_uniqueness(living) if kind == "dictionary" else None,
        kind=kind,
        names=tuple(names) if names is not None else tuple(str(m) for m in range(len(models))),
        signature=str(Signature("agreement", fields)),
    )


def _all_pairs(
    models: Sequence[Floats], kind: "_Kind", splits: list[Split]
) -> tuple[Floats, dict[tuple[int, int], Floats]]:
    """Compare every ordered pair; also return how well each latent of j is matched in i."""
    ready = [kind.prepare(codes, splits) if codes.shape[1] else [] for codes in models]
    pairwise = np.full((len(models), len(models)), np.nan)
    matches = {}
    for i, first in enumerate(models):
        for j, second in enumerate(models):
            if i == j:
                continue
            if first.shape[1] and second.shape[1]:
                pairwise[i, j], matches[i, j] = kind.compare(ready[i], ready[j], splits)
            else:
                pairwise[i, j], matches[i, j] = 0.0, np.zeros(second.shape[1])
    return pairwise, matches


@dataclass(frozen=True)
class _Kind:
    """Preparation of each model, once, and comparison of two prepared models."""

    prepare: Callable[[Floats, list[Split]], list[Floats]]
    compare: Callable[[list[Floats], list[Floats], list[Split]], tuple[float, Floats]]


def _ranked_folds(codes: Floats, splits: list[Split]) -> list[Floats]:
    """Return ranks among training rows and among test rows, fold by fold."""
    return [standardised_ranks(codes[rows]) for split in splits for rows in split]


def _compare_udr(first: list[Floats], second: list[Floats], _: list[Split]) -> tuple[float, Floats]:
    strengths = np.minimum(np.abs(first[0].T @ second[0]) / len(first[0]), 1.0)
    total = strengths.sum(axis=0)
    return relative_strength(strengths), np.divide(
        strengths.max(axis=0) ** 2, total, out=np.zeros_like(total), where=total > 0
    )


def _compare_mcc(first: list[Floats], second: list[Floats], splits: list[Split]) -> tuple[float, Floats]:
    match = np.zeros(second[0].shape[1])
    for fold, (_, test) in enumerate(splits):
        learned = first[2 * fold].T @ second[2 * fold]
        codes, others = one_to_one_assignment(np.abs(learned))
        held_out = np.mean(first[2 * fold + 1][:, codes] * second[2 * fold + 1][:, others], axis=0)
        match[others] += np.sign(learned[codes, others]) * held_out * len(test)
    match /= sum(len(test) for _, test in splits)
    return float(match.sum() / max(first[0].shape[1], second[0].shape[1])), match


def _compare_r2(first: list[Floats], second: list[Floats], splits: list[Split]) -> tuple[float, Floats]:
    source, target = first[0], second[0]
    errors, baseline = np.zeros(target.shape[1]), np.zeros(target.shape[1])
    for train, test in splits:
        centre, mean = source[train].mean(axis=0), target[train].mean(axis=0)
        weights = np.linalg.lstsq(source[train] - centre, target[train] - mean, rcond=None)[0]
        errors += (((source[test] - centre) @ weights + mean - target[test]) ** 2).sum(axis=0)
        baseline += ((mean - target[test]) ** 2).sum(axis=0)
    match = 1 - errors / baseline
    return float(match.mean()), match


def _compare_dictionaries(first: list[Floats], second: list[Floats], _: list[Split]) -> tuple[float, Floats]:
    cosines = np.abs(first[0].T @ second[0])
    atoms, others = one_to_one_assignment(cosines)
    match = np.zeros(cosines.shape[1])
    match[others] = np.minimum(cosines[atoms, others], 1.0)
    return float(match.sum() / max(cosines.shape)), match


_KINDS: dict[str, _Kind] = {
    "udr": _Kind(lambda codes, _: [standardised_ranks(codes)], _compare_udr),
    "mcc": _Kind(_ranked_folds, _compare_mcc),
    "r2": _Kind(lambda codes, _: [standardise(codes)], _compare_r2),
    "dictionary": _Kind(lambda atoms, _: [_unit(atoms)], _compare_dictionaries),
}


def _unit(atoms: Floats) -> Floats:
    scaled = atoms / np.abs(atoms).max(axis=0)  # or squares of extreme lengths overflow
    return np.asarray(scaled / np.linalg.norm(scaled, axis=0))


def _uniqueness(dictionaries: Sequence[Floats]) -> Floats:
    """Return the share of each dictionary's atoms with distinct best matches, median over the others."""
    unique = np.full((len(dictionaries), len(dictionaries)), np.nan)
    for i, first in enumerate(dictionaries):
        for j, second in enumerate(dictionaries):
            if i != j:
                both = bool(first.shape[1] and second.shape[1])
                best = np.abs(_unit(first).T @ _unit(second)).argmax(axis=0) if both else np.array([])
                unique[i, j] = len(np.unique(best)) / max(second.shape[1], 1)
    return _median_of_columns(unique)


def _median_of_columns(pairwise: Floats) -> Floats:
    return np.asarray(np.nanmedian(pairwise, axis=0))


def _codes(item: Representation | Posterior | ArrayLike, position: int) -> Floats:
    if isinstance(item, Representation):
        return np.asarray(item.codes, dtype=np.float64)
    codes = np.asarray(item.mean if isinstance(item, Posterior) else item)
    if codes.ndim != 2 or codes.dtype.kind not in "fiub":
        raise InvalidInputError(
            f"codes of model {position} must be real numbers of shape (n_samples, n_codes); "
            f"got {codes.shape}, {codes.dtype}"
        )
    if not np.isfinite(codes).all():
        raise InvalidInputError(
            f"codes of model {position} must be finite; got NaN or infinity; leave such rows out of all models"
        )
    return codes.astype(np.float64)


def _informative(item: Representation | Posterior | ArrayLike, codes: Floats) -> NDArray[np.bool_]:
    """Return which latents are informative: as in ``udr``, by their KL if there are posterior variances."""
    kl = divergence(item)
    return ~constant(codes) if kl is None else (kl.mean > KL_THRESHOLD) & ~constant(codes)


def _check_rows(items: Sequence[object], codes: list[Floats], *, least: int) -> int:
    n_rows = len(codes[0])
    for m, other in enumerate(codes):
        if len(other) != n_rows:
            raise InvalidInputError(
                "all models must have encoded the same rows; "
                f"got {n_rows} rows from model 0 and {len(other)} from model {m}"
            )
    keys = {item.row_key for item in items if isinstance(item, Representation)}
    if len(keys) > 1:
        raise InvalidInputError(
            f"all models must have encoded the same rows; got rows {', '.join(sorted(keys))}; "
            "encode them with one data set, n_samples and seed"
        )
    if n_rows < least:
        raise InvalidInputError(f"agreement needs at least {least} rows; got {n_rows}")
    return n_rows
