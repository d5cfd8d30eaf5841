"""How few codes are in use in each row."""

import math

import numpy as np

from disentmetrics.errors import UndefinedScoreError
from disentmetrics.estimators.activity import constant
from disentmetrics.metrics.base import Needs, Protocol, RawScore, all_except, metric
from disentmetrics.representation import Representation


@metric(
    family="unsupervised",
    bounds=(0.0, 1.0),
    higher_is_better=True,
    paper="Mathieu, Rainforth, Siddharth & Teh (2019), Disentangling Disentanglement in VAEs, section 5.3; "
    "Hurley & Rickard (2009), Comparing Measures of Sparsity",
    known_failure="Sparse codes of pure noise score high, and perfect codes low: sparsity is not disentanglement.",
    needs=Needs(codes=2, factors=0, rows=2),
    # A noise code draws the score towards that of noise; on the examples, by just under the tolerance.
    invariant_to=all_except("shift", "monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
    perfect=math.nan,
    noise=math.nan,
    protocols={
        "default": Protocol(
            source="Mathieu et al. (2019): codes divided by their standard deviations, constant codes left out",
        ),
    },
)
def hoyer_sparsity(representation: Representation) -> RawScore:
    """Mean over rows of the Hoyer sparsity of the codes, each divided by its standard deviation.

    ``(sqrt(d) - |z|_1 / |z|_2) / (sqrt(d) - 1)``: 1 where one code is not zero, 0 where all are alike.

    Parameters
    ----------
    representation : Representation
        At least two codes that vary; factors are not looked at.

    Returns
    -------
    RawScore
        In [0, 1].

    Raises
    ------
    UndefinedScoreError
        If fewer than two codes vary.

    Notes
    -----
    Constant codes are left out, as in the authors' code their standard deviation divides by 0. Codes are not centred,
    so zero must mean "not in use". Rows where every code is 0 have no sparsity and are left out. Gaussian codes have
    0.2 to 0.3, whatever they tell. Missing labels are ignored.

    Examples
    --------
    >>> round(hoyer_sparsity(np.eye(4), np.arange(4)).value, 6)
    1.0
    >>> round(hoyer_sparsity(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.arange(2)).value, 6)
    0.0
    """
    alive = ~representation.cached_by_codes(constant)
    d = int(alive.sum())
    if d < 2:
        raise UndefinedScoreError(f"hoyer_sparsity needs two codes that vary; got {d}")
    codes = np.asarray(representation.codes[:, alive], dtype=np.float64)
    codes = codes / np.abs(codes).max(axis=0)  # or squares of extreme scales overflow
    codes /= codes.std(axis=0)
    longest = np.abs(codes).max(axis=1, keepdims=True)
    used = longest[:, 0] > 0
    share = np.abs(codes[used]) / longest[used]
    ratio = share.sum(axis=1) / np.sqrt(np.square(share).sum(axis=1))
    sparsity = (math.sqrt(d) - ratio) / (math.sqrt(d) - 1)
    return RawScore(value=float(np.clip(sparsity, 0.0, 1.0).mean()))
