"""Number of active units."""

import math
from typing import Literal

import numpy as np

from disentmetrics.estimators.activity import KL_THRESHOLD, constant, standard_deviation
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation

Rule = Literal["kl", "variance"]
_NARROW = 0.1  # fraction of the largest standard deviation of a latent


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=True,
    paper="Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2",
    known_failure="A latent of pure noise counts as active.",
    needs=Needs(factors=0, rows=1),
    parts={"share": (0.0, 1.0)},
    invariant_to=all_except("noise code", "duplicated code"),
    detects={"synergy lost"},
    perfect=math.nan,
    noise=math.nan,
    protocols={
        "default": Protocol(
            reads="mean",
            source="disentmetrics: mean KL above 0.01 nats where posterior variances are given, else not constant",
        ),
        "burda2016": Protocol(
            source="Burda et al. (2016): variance of the posterior mean above 0.01",
            options={"rule": "variance"},
            invariant_to=all_except("scale", "noise code", "duplicated code"),
        ),
    },
)
def active_units(representation: Representation, *, rule: Rule = "kl") -> RawScore:
    """Active units: number of latents that are not collapsed to the prior.

    ``sum over j of [KL_j > 0.01]`` with ``KL_j`` the mean over rows of ``KL(q(z_j | x) || N(0, 1))`` in nats.

    Parameters
    ----------
    representation : Representation
        Factors are ignored.
    rule : {"kl", "variance"}
        ``kl``: a latent is active if its mean KL to N(0, 1) exceeds 0.01 nats; without posterior variances, if it is
        not constant. ``variance``: if the variance over rows of the latent, a posterior mean, exceeds 0.01.

    Returns
    -------
    RawScore
        An integer from 0 to the number of latents. Part ``share``: the fraction of latents that are active. Details:
        ``active`` (n_codes,), ``standard_deviation`` (n_codes,) and, with posterior variances, ``kl`` (n_codes,) in
        nats.

    Raises
    ------
    UndefinedScoreError
        Never.

    Notes
    -----
    The published threshold assumes the prior N(0, 1): rescaling a latent changes the count. Without posterior
    variances no threshold is reliable, because a collapsed latent looks like any other narrow one; a note then names
    the latents whose standard deviation is below a tenth of the largest.

    Examples
    --------
    >>> codes = np.c_[np.arange(8.0), 1e-3 * np.arange(8.0), np.ones(8)]
    >>> active_units(codes, np.arange(8)).value, active_units(codes, np.arange(8), protocol="burda2016").value
    (2.0, 1.0)
    """
    codes = representation.codes
    deviation = standard_deviation(codes)
    details = {"standard_deviation": deviation}
    notes: tuple[str, ...] = ()
    if rule == "variance":
        active, criterion = deviation > math.sqrt(0.01), "variance>0.01"
    elif representation.mean_kl is not None:
        details["kl"] = representation.mean_kl
        active, criterion = details["kl"] > KL_THRESHOLD, f"{representation.kl_name}>{KL_THRESHOLD}"
    else:
        # the scale of the prior is unknown: only constant latents are certain to be inactive
        active, criterion = ~representation.cached_by_codes(constant), "not constant"
        narrow = active & (deviation < _NARROW * deviation.max())
        if narrow.any():
            names = ", ".join(np.array(representation.code_names)[narrow])
            notes = (
                f"possibly collapsed (much narrower than the widest latent): {names}; pass log_variance to decide",
            )
    return RawScore(
        value=float(active.sum()),
        details={"active": active, **details},
        settings={"active": criterion},
        notes=notes,
        parts={"share": float(active.mean())},
    )
