"""Unsupervised disentanglement ranking: models that differ only in their seed should learn the same latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise as successive
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import RenderableType

from disentmetrics._utils.tables import TextTable, plain_text
from disentmetrics._utils.typing import Floats
from disentmetrics._version import __version__
from disentmetrics.encoders.protocol import Posterior
from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.estimators.activity import KL_THRESHOLD, constant, mean_kl
from disentmetrics.estimators.lasso import lasso_coefficients
from disentmetrics.estimators.rank_correlation import standardise, standardised_ranks
from disentmetrics.representation import OWN_PRIOR, STANDARD_NORMAL, Representation
from disentmetrics.results.signature import Signature

Variant = Literal["spearman", "lasso"]
Normaliser = Literal["informative", "paper", "disentanglement_lib"]
Mask = Literal["auto", "kl", "variance", "none"]

Reals = NDArray[np.floating]
Flags = NDArray[np.bool_]

ALPHA = 0.1
MIN_ROWS = 20


class Divergence(NamedTuple):
    """Mean KL divergence of each latent from the prior, (n_codes,), and its name in signatures."""

    mean: Floats
    name: str


def divergence(item: Any) -> Divergence | None:
    """Return the divergence of a Representation or Posterior from its prior; None without posterior variances."""
    if isinstance(item, Representation):
        return None if item.mean_kl is None else Divergence(item.mean_kl, item.kl_name)
    if not isinstance(item, Posterior):
        return None
    if item.kl is not None:
        return Divergence(np.asarray(item.kl).mean(axis=0, dtype=np.float64), OWN_PRIOR)
    return Divergence(mean_kl(np.asarray(item.mean), np.asarray(item.log_variance)), STANDARD_NORMAL)


@dataclass(frozen=True, eq=False)
class UDRResult:
    """Agreement of each model with its partners.

    Attributes
    ----------
    scores : (n_models,) float
        UDR of each model, higher is better: the median of ``pairwise[partners, model]``. NaN only
        where ``reasons`` gives the reason.
    pairwise : (n_models, n_models) float
        UDR of each pair, NaN on the diagonal and between groups. In column j, model j is the
        target: with the Lasso, its codes are regressed on those of the row's model. With Spearman
        correlation the matrix is symmetric.
    partners : tuple of (n_partners,) integer arrays
        The models each model is compared with.
    informative : tuple of (n_codes,) bool arrays
        Informative latents of each model, which are compared.
    reasons : tuple of str or None
        Why a score is NaN, 0 by definition, or limited by a partner without informative latents.
    names : tuple of str
        Names of the models.
    signature : str
        See :class:`disentmetrics.results.signature.Signature`.
    """

    scores: Floats
    pairwise: Floats
    partners: tuple[NDArray[np.int64], ...]
    informative: tuple[Flags, ...]
    reasons: tuple[str | None, ...]
    names: tuple[str, ...]
    signature: str

    @property
    def ranking(self) -> NDArray[np.int64]:
        """Models from best to worst, those without a score last."""
        return np.argsort(-self.scores, kind="stable")

    def table(self) -> RenderableType:
        """Return the ranking as a table for terminals."""
        rows = []
        for m in self.ranking:
            codes = self.informative[m]
            score = "—" if np.isnan(self.scores[m]) else f"{self.scores[m]:.3f}"
            counts = str(len(self.partners[m])), f"{codes.sum()} of {len(codes)}"
            rows.append((self.names[m], score, *counts, self.reasons[m] or ""))
        return TextTable(("model", "UDR", "partners", "informative latents", "note"), rows, align="lrrrl").to_rich()

    def __str__(self) -> str:
        return f"{plain_text(self.table())}\n{self.signature}"


def udr(
    representations: Sequence[Representation | Posterior | ArrayLike],
    *,
    variant: Variant = "spearman",
    normaliser: Normaliser = "informative",
    n_partners: int | None = None,
    groups: Sequence[Any] | None = None,
    mask: Mask | Sequence[ArrayLike] = "auto",
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> UDRResult:
    """Rank models of one kind by how well their latents match those of their partners; no labels needed.

    For models i and j, ``R(a, b)`` is the strength of association of latent a of i with latent b of j, and ::

        UDR_ij = [sum_b I(b) max_a R(a, b)^2 / sum_a R(a, b) + sum_a I(a) max_b R(a, b)^2 / sum_b R(a, b)] / (d_i + d_j)

    with I(a) = 1 for informative latents and 0 for others, and d_i the number of those of model i; 0 / 0 counts as 0.
    A model's score is the median over its partners.

    Parameters
    ----------
    representations : sequence of Representation, Posterior or (n_samples, n_codes) arrays
        Codes of the same rows, at least 20, by at least two models that differ in their seed. Their
        numbers of latents may differ. All rows have equal weight.
    variant : {"spearman", "lasso"}
        R is the absolute Spearman correlation, or the absolute coefficient of a Lasso regression
        (alpha 0.1) of each standardised latent of j on all those of i.
    normaliser : {"informative", "paper", "disentanglement_lib"}
        ``paper`` is the formula above, whose maxima and sums are over all latents: those that have collapsed lower
        the score by chance correlations, or by traces of factors in their means. ``informative`` leaves them out of
        maxima and sums as well, so that they change nothing. ``disentanglement_lib`` does so too, and takes the mean
        of the two directions' means, which differs if the numbers of informative latents do.
    n_partners : int, optional
        Number of partners drawn for each model, without replacement; all others by default. At least
        five are recommended.
    groups : sequence, optional
        One entry per model, such as its hyperparameters: partners are drawn from the same group.
    mask : {"auto", "kl", "variance", "none"} or sequence of (n_codes,) bool arrays
        Which latents are informative. ``kl``: mean KL to N(0, 1), or to the model's own prior where the posteriors have
        ``kl``, above 0.01 nats. ``variance``: not constant up to rounding, at any scale, because without a posterior
        there is no reference scale. ``auto``: ``kl`` for models with posterior variances and ``variance`` for others.
    names : sequence of str, optional
        Names of the models; their positions by default.
    seed : int
        Random seed for the draw of partners.

    Returns
    -------
    UDRResult
        Scores in [0, 1] for Spearman correlation; a perfect match of uncorrelated codes scores 1, and
        0.9 with the Lasso, whose penalty shrinks. On few rows chance correlation enters the
        denominators: two equal models of 3 latents score about 0.97 on 2,000 rows. A model without
        informative latents scores 0, with a reason.

    Raises
    ------
    InvalidInputError
        If there are fewer than two models, rows do not match, a code is not finite or an option is
        invalid.

    References
    ----------
    Duan et al. (2020), *Unsupervised Model Selection for Variational Disentangled Representation
    Learning*. Their code (disentanglement_lib) fixes ``normaliser="disentanglement_lib"``.

    Examples
    --------
    >>> codes = np.indices((5, 5)).reshape(2, -1).T - 2.0
    >>> print(udr([codes, -codes[:, ::-1], codes @ [[1, 1], [1, -1]]], names=["a", "b", "rotated"]))
    model      UDR  partners  informative latents  note
    a        0.675         2               2 of 2
    b        0.675         2               2 of 2
    rotated  0.351         2               2 of 2
    udr|variant:spearman|normaliser:informative|mask:varying|partners:all|models:3|groups:1|rows:25|...
    """
    for name, value, options in (("variant", variant, Variant), ("normaliser", normaliser, Normaliser)):
        _check_choice(name, value, get_args(options))
    models = [_posterior(item, position) for position, item in enumerate(representations)]
    n_models = len(models)
    if n_models < 2:
        raise InvalidInputError(f"udr compares models with each other: give at least two; got {n_models}")
    n_rows = _check_same_rows(representations, [codes for codes, _ in models])
    for name, given in (("groups", groups), ("names", names)):
        if given is not None and len(given) != n_models:
            raise InvalidInputError(f"{name} must have one entry for each of {n_models} models; got {len(given)}")
    informative, mask_name = _informative(models, mask)
    members = _members(groups if groups is not None else [0] * n_models)
    partners = _draw_partners(members, n_models, n_partners, np.random.default_rng(seed))

    if normaliser == "paper":
        pairwise = _pairwise([codes for codes, _ in models], informative, members, variant, normaliser)
    else:
        chosen = [codes[:, kept] for (codes, _), kept in zip(models, informative, strict=True)]
        all_of_them = [np.ones(codes.shape[1], dtype=bool) for codes in chosen]
        pairwise = _pairwise(chosen, all_of_them, members, variant, normaliser)
    scores = np.array([np.median(pairwise[others, m]) if len(others) else np.nan for m, others in enumerate(partners)])
    reasons = tuple(_reason(m, partners[m], informative) for m in range(n_models))
    fields = {
        "variant": variant if variant == "spearman" else f"{variant}({ALPHA})",
        "normaliser": normaliser,
        "mask": mask_name,
        "partners": "all" if n_partners is None else str(n_partners),
        "models": str(n_models),
        "groups": str(len(members)),
        "rows": str(n_rows),
        "data": _data(representations),
        "seed": str(seed),
        "v": __version__,
    }
    shown = tuple(names) if names is not None else tuple(str(m) for m in range(n_models))
    signature = str(Signature("udr", fields))
    return UDRResult(scores, pairwise, partners, informative, reasons, shown, signature)


def relative_strength(
    strengths: Floats,
    normaliser: Normaliser = "informative",
    informative: tuple[Flags, Flags] | None = None,
) -> float:
    """Return how close a matrix of non-negative strengths is to a permutation: 1 for one, 0 for an empty matrix.

    Parameters
    ----------
    strengths : (n_first, n_second) float
        R(a, b) of two models.
    normaliser : {"informative", "paper", "disentanglement_lib"}
        As in :func:`udr`.
    informative : tuple of (n_first,) and (n_second,) bool arrays, optional
        Latents of either model that count, for ``paper``; all by default.

    Returns
    -------
    float
        ``1 / d**2`` where all d x d strengths are ``1 / d``; 0 where there are none.

    Examples
    --------
    >>> three_of_five = np.eye(5)[:, :3]
    >>> relative_strength(three_of_five), round(relative_strength(three_of_five, "disentanglement_lib"), 6)
    (0.75, 0.8)
    """
    if not strengths.size:
        return 0.0
    parts = []
    of_first, of_second = informative or (slice(None), slice(None))
    for axis, counted in ((0, of_second), (1, of_first)):
        largest, total = strengths.max(axis=axis), strengths.sum(axis=axis)
        parts.append(np.divide(largest**2, total, out=np.zeros_like(total), where=total > 0)[counted])
    if normaliser == "disentanglement_lib":
        return float((parts[0].mean() + parts[1].mean()) / 2)
    each = np.concatenate(parts)
    return float(each.mean()) if each.size and all(map(len, parts)) else 0.0


def _pairwise(
    codes: Sequence[Reals],
    informative: Sequence[Flags],
    members: list[list[int]],
    variant: Variant,
    normaliser: Normaliser,
) -> Floats:
    pairwise = np.full((len(codes), len(codes)), np.nan)
    for group in members:
        strengths, blocks = _strengths([codes[m] for m in group], variant)
        for i, rows in zip(group, blocks, strict=True):
            for j, columns in zip(group, blocks, strict=True):
                if i != j:
                    flags = informative[i], informative[j]
                    pairwise[i, j] = relative_strength(strengths[rows, columns], normaliser, flags)
    return pairwise


def _reason(model: int, partners: NDArray[np.int64], informative: tuple[Flags, ...]) -> str | None:
    if not len(partners):
        return "no score: no other model in its group"
    if not informative[model].any():
        return "0 by definition: no informative latent"
    empty = sum(not informative[partner].any() for partner in partners)
    return f"pairs with {empty} of {len(partners)} partners are 0: no informative latent there" if empty else None


def _strengths(codes: Sequence[Reals], variant: Variant) -> tuple[Floats, list[slice]]:
    """Return R of all latents of all models with each other, and the slice of each model's latents."""
    prepare = standardised_ranks if variant == "spearman" else standardise
    ends = np.cumsum([0, *(part.shape[1] for part in codes)])
    blocks = [slice(start, end) for start, end in successive(ends.tolist())]
    table = np.empty((len(codes[0]), ends[-1]))
    for part, block in zip(codes, blocks, strict=True):
        table[:, block] = prepare(part)
    correlation = table.T @ table / len(table)
    if variant == "spearman":
        return np.minimum(np.abs(correlation), 1.0), blocks
    coefficients = [lasso_coefficients(correlation[block, block], correlation[block], ALPHA) for block in blocks]
    return np.abs(np.concatenate(coefficients)), blocks


def _members(groups: Sequence[Any]) -> list[list[int]]:
    """Return the positions of the models in each group, comparing groups by equality."""
    members: list[list[int]] = []
    for m, group in enumerate(groups):
        for others in members:
            if groups[others[0]] == group:
                others.append(m)
                break
        else:
            members.append([m])
    return members


def _draw_partners(
    members: list[list[int]], n_models: int, n_partners: int | None, rng: np.random.Generator
) -> tuple[NDArray[np.int64], ...]:
    fewest = min((len(group) - 1 for group in members if len(group) > 1), default=0)
    if not fewest:
        raise InvalidInputError(
            f"at least one group must contain two models to compare; got {len(members)} groups of one model each"
        )
    if n_partners is not None and not 1 <= n_partners <= fewest:
        raise InvalidInputError(
            f"n_partners must lie in 1 .. {fewest}, the other models of the smallest group; got {n_partners}"
        )
    partners = [np.empty(0, dtype=np.int64) for _ in range(n_models)]
    for group in members:
        for m in group:
            others = np.array([other for other in group if other != m], dtype=np.int64)
            if n_partners is not None and len(others):
                others = np.sort(rng.choice(others, n_partners, replace=False))
            partners[m] = others
    return tuple(partners)


def _posterior(item: Representation | Posterior | ArrayLike, position: int) -> tuple[Reals, Divergence | None]:
    """Return the codes of a model, and the mean KL divergence of each latent if it has posteriors."""
    if isinstance(item, Representation):
        return item.codes, divergence(item)
    codes = np.asarray(item.mean if isinstance(item, Posterior) else item)
    log_variance = np.asarray(item.log_variance) if isinstance(item, Posterior) else None
    if codes.ndim != 2 or codes.dtype.kind not in "fiub":
        raise InvalidInputError(
            f"codes of model {position} must be real numbers of shape (n_samples, n_codes); "
            f"got {codes.shape}, {codes.dtype}"
        )
    if log_variance is not None and log_variance.shape != codes.shape:
        raise InvalidInputError(
            f"log_variance of model {position} must have the shape of its mean, {codes.shape}; got {log_variance.shape}"
        )
    for array in (codes, log_variance):
        if array is not None and not np.isfinite(array).all():
            raise InvalidInputError(
                f"codes of model {position} must be finite; got NaN or infinity; leave such rows out of all models"
            )
    return codes if codes.dtype.kind == "f" else codes.astype(np.float64), divergence(item)


def _check_same_rows(items: Sequence[Any], codes: list[Reals]) -> int:
    n_rows = len(codes[0])
    for m, other in enumerate(codes):
        if len(other) != n_rows:
            raise InvalidInputError(
                "all models must have encoded the same rows; "
                f"got {n_rows} rows from model 0 and {len(other)} from model {m}"
            )
    keys = {m: item.row_key for m, item in enumerate(items) if isinstance(item, Representation)}
    for m, key in keys.items():
        if key != (first := next(iter(keys.values()))):
            raise InvalidInputError(
                f"all models must have encoded the same rows; model {next(iter(keys))} has rows {first} "
                f"and model {m} has rows {key}; encode them with one data set, n_samples and seed"
            )
    if n_rows < MIN_ROWS:
        raise InvalidInputError(f"udr needs at least {MIN_ROWS} rows; got {n_rows}")
    return n_rows


def _informative(
    models: list[tuple[Reals, Divergence | None]], mask: Mask | Sequence[ArrayLike]
) -> tuple[tuple[Flags, ...], str]:
    """Return which latents are informative, and by which criteria, for the signature."""
    if not isinstance(mask, str):
        flags = tuple(np.asarray(given) for given in mask)
        shapes = [(codes.shape[1],) for codes, _ in models]
        if [given.shape for given in flags] != shapes or any(given.dtype != bool for given in flags):
            raise InvalidInputError(
                "mask must contain one boolean array per model with one entry per latent, so of shapes "
                f"{shapes}; got {[given.shape for given in flags]}"
            )
        return flags, "given"
    _check_choice("mask", mask, get_args(Mask))
    kept, criteria = [], []
    for m, (codes, kl) in enumerate(models):
        if mask == "none":
            kept.append(np.full(codes.shape[1], True))
            criteria.append("none")
        elif mask == "variance" or (mask == "auto" and kl is None):
            kept.append(~constant(codes))
            criteria.append("varying")
        elif kl is None:
            raise InvalidInputError(
                f"mask='kl' needs posterior variances of every model; model {m} has none; use 'auto' or 'variance'"
            )
        else:
            kept.append(kl.mean > KL_THRESHOLD)
            criteria.append(f"{kl.name}>{KL_THRESHOLD}")
    return tuple(kept), ",".join(sorted(set(criteria)))


def _data(items: Sequence[Any]) -> str:
    for item in items:
        if isinstance(item, Representation):
            data = item.provenance.data
            return data if data != "table" else f"table/{item.row_key[:8]}"
    return "unknown"


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInputError(
            f"{name} must be one of {', '.join(choices)}; got {value!r}{did_you_mean(value, choices)}"
        )
