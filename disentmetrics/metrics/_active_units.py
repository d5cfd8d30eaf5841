"""How many codes are in use."""

import math
from typing import Literal

import numpy as np

from disentmetrics.estimators.activity import KL_THRESHOLD, constant, mean_kl, standard_deviation
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation

Rule = Literal["kl", "variance"]
_QUIET = 0.1  # share of the widest code's standard deviation


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=True,
    paper="Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2",
    known_failure="A code of pure noise counts as active.",
    needs=Needs(factors=0, rows=1),
    protocols={
        "default": Protocol(
            source="disentmetrics: mean KL above 0.01 nats where posterior variances are given, else not constant",
            invariant_to=all_except("noise code", "duplicated code"),
            detects=frozenset({"synergy lost"}),
            perfect=math.nan,
            noise=math.nan,
        ),
        "burda2016": Protocol(
            source="Burda et al. (2016): variance of the posterior mean above 0.01",
            options={"rule": "variance"},
            invariant_to=all_except("scale", "noise code", "duplicated code"),
            detects=frozenset({"synergy lost"}),
            perfect=math.nan,
            noise=math.nan,
        ),
    },
    parts={"share": (0.0, 1.0)},
)
def active_units(representation: Representation, *, rule: Rule = "kl") -> RawScore:
    """Count the codes that are in use.

    Parameters
    ----------
    representation : Representation
        Factors are ignored.
    rule : {"kl", "variance"}
        ``kl``: a code is active if its mean KL to N(0, 1) is above 0.01 nats; without posterior variances, if it is
        not constant. ``variance``: if the variance of the code, a posterior mean, is above 0.01.

    Returns
    -------
    RawScore
        A whole number from 0 to the number of codes. Part ``share``: divided by the number of codes. Details:
        ``active`` (n_codes,), ``standard_deviation`` (n_codes,) and, where given, ``kl`` (n_codes,) in nats.

    Raises
    ------
    UndefinedScoreError
        Never.

    Notes
    -----
    The published threshold is for codes whose prior is N(0, 1): multiply a code by ten, and the count changes.
    Without posterior variances no threshold is sound, as a collapsed code looks like any narrow one; codes narrower
    than a tenth of the widest are then named in a note.

    Examples
    --------
    >>> codes = np.c_[np.arange(8.0), 1e-3 * np.arange(8.0), np.ones(8)]
    >>> active_units(codes, np.arange(8)).value, active_units(codes, np.arange(8), protocol="burda2016").value
    (2.0, 1.0)
    """
    codes, spread = representation.codes, representation.log_variance
    deviation = standard_deviation(codes)
    details = {"standard_deviation": deviation}
    notes: tuple[str, ...] = ()
    if rule == "variance":
        active, how = deviation > math.sqrt(0.01), "variance>0.01"
    elif spread is not None:
        details["kl"] = mean_kl(codes, spread)
        active, how = details["kl"] > KL_THRESHOLD, f"kl>{KL_THRESHOLD}"
    else:
        active, how = ~representation.cached_by_codes(constant), "not constant"
        quiet = active & (deviation < _QUIET * deviation.max())
        if quiet.any():
            names = ", ".join(np.array(representation.code_names)[quiet])
            notes = (
                f"much narrower than the widest code, and perhaps collapsed: {names}; give posterior variances to tell",
            )
    return RawScore(
        value=float(active.sum()),
        details={"active": active, **details},
        settings={"active": how},
        notes=notes,
        parts={"share": float(active.mean())},
    )
