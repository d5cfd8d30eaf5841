"""WINDIN, and the formula that it shares with WSEPIN."""

import math
from typing import Literal

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
    known_failure="A latent of pure noise with a narrow posterior contributes its full information about the row.",
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
def windin(
    representation: Representation,
    *,
    name: Literal["windin", "wsepin"],
    seed: Seed,
    n_samples: int = 1_000,
    n_rows: int = 10_000,
) -> RawScore:
    """WINDIN: mean information of the latents about the row that they do not share with other latents, in nats.

    ``sum over j of w_j [I(z_j; x) - I(z_j; z without z_j)]``, with x the row, z ~ q(z | x)
    and weights w_j proportional to I(z_j; x).

    Parameters
    ----------
    representation : Representation
        With posterior variances; factors are ignored.
    name : {"windin", "wsepin"}
        Which of the two differences is averaged.
    seed : int or tuple of int
        Random seed of the samples and of the subset of rows; ``windin`` and ``wsepin`` share both.
    n_samples : int
        Number of samples of the aggregate posterior.
    n_rows : int
        Number of rows in the mixture; a random subset if there are more.

    Returns
    -------
    RawScore
        In nats, from 0 to the logarithm of the number of rows in the mixture. Details: ``indin`` (n_codes,),
        I(z_j; x) - I(z_j; z without z_j); ``information`` (n_codes,), I(z_j; x); ``weights`` (n_codes,).

    Raises
    ------
    UndefinedScoreError
        If a posterior is narrower than double precision resolves.

    Notes
    -----
    No mutual information exceeds the logarithm of the number of rows: compare only scores of equal numbers of rows.
    Posteriors are independent between latents, so that ``windin`` and ``wsepin`` are equal: both differences are
    H(z) - H(z without z_j) - H(z_j | x). The authors raise densities below 1e-8 to that value, which truncates the
    joint information of many latents and makes their two numbers differ; nothing is truncated here. Negative
    estimates are set to 0. A latent that equals its prior in every row has weight 0; the score is 0 if all do.
    Missing labels are ignored.

    Examples
    --------
    >>> codes = np.array([[-1.0], [1.0]])
    >>> value = windin(codes, log_variance=np.full((2, 1), -6.0)).value
    >>> round(value, 6), round(float(np.log(2)), 6)
    (0.693147, 0.693147)
    """
    information = representation.cached(posterior_information, n_samples, n_rows, seed)
    if name == "windin":
        unshared = np.maximum(information.of_code - information.with_others, 0.0)
    else:
        unshared = np.maximum(information.of_all - information.of_others, 0.0)
    return RawScore(
        value=float(information.weights @ unshared),
        details={name[1:]: unshared, "information": information.of_code, "weights": information.weights},
        settings={"code": "mean+logvar", "mixture": str(information.n_rows)},
    )
