"""Weighted independence and informativeness of sampled codes."""

import math

import numpy as np

from disentmetrics._utils.typing import Seed
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation
from disentmetrics.statistics.posteriors import posterior_information


@metric(
    family="unsupervised",
    bounds=(0.0, math.inf),
    higher_is_better=True,
    paper="Do & Tran (2020), Theory and Evaluation Metrics for Learning Disentangled Representations, section 4",
    known_failure="A code of pure noise with a narrow posterior counts for its full information about the row.",
    needs=Needs(factors=0, rows=2, log_variance=True),
    randomised=True,
    invariant_to=all_except("monotone warp", "noise code", "duplicated code", "rotation", "dependent factors"),
    detects={"rotated", "packed", "rotated copy", "blurred"},
    perfect=math.nan,
    noise=math.nan,
    costly=True,
    protocols={
        "default": Protocol(
            source="disentmetrics: 1,000 samples, at most 10,000 rows in the mixture",
        ),
        "do2020": Protocol(
            source="Do & Tran (2020): 10,000 samples",
            options={"n_samples": 10_000},
            slow=True,
        ),
    },
)
def windin(representation: Representation, *, seed: Seed, n_samples: int = 1_000, n_rows: int = 10_000) -> RawScore:
    """Information of a sampled code less what it shares with the others, in nats.

    ``sum over j of w_j [I(z_j; x) - I(z_j; z without z_j)]``, with x the row, z ~ q(z | x)
    and weights w_j proportional to I(z_j; x).

    Parameters
    ----------
    representation : Representation
        With posterior variances; factors are not looked at.
    seed : int or tuple of int
        Decides samples, and the subset of rows; shared with ``wsepin``.
    n_samples : int
        Codes sampled from the aggregate posterior.
    n_rows : int
        Rows in the mixture; a random subset if there are more.

    Returns
    -------
    RawScore
        In nats, from 0 to the logarithm of the number of rows in the mixture. Details:
        ``indin`` (n_codes,), I(z_j; x) - I(z_j; z without z_j); ``information`` (n_codes,),
        I(z_j; x); ``weights`` (n_codes,).

    Raises
    ------
    UndefinedScoreError
        If a posterior is narrower than double precision can tell.

    Notes
    -----
    Every information is at most the logarithm of the number of rows: compare scores of equally many rows alone. The
    authors raise densities below 1e-8 to it, which cuts off what many codes tell together; nothing is cut off here.
    Posteriors are taken as independent between codes, and then this equals ``wsepin``: both are H(z) - H(z without
    z_j) - H(z_j | x). The authors' two numbers differ by that cut alone. Terms that fall below 0 by chance are set to
    0. A code equal to its prior in every row has weight 0, and the score is 0 if all are. Missing labels are ignored.

    Examples
    --------
    >>> codes = np.array([[-1.0], [1.0]])
    >>> told = windin(codes, np.arange(2), log_variance=np.full((2, 1), -6.0)).value
    >>> round(told, 6), round(float(np.log(2)), 6)
    (0.693147, 0.693147)
    """
    found = representation.cached(posterior_information, n_samples, n_rows, seed)
    indin = np.maximum(found.of_code - found.with_others, 0.0)
    return RawScore(
        value=float(found.weights @ indin),
        details={"indin": indin, "information": found.of_code, "weights": found.weights},
        settings={"code": "mean+logvar", "mixture": str(found.n_rows)},
    )
