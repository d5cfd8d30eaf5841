"""Hoyer sparsity of the codes."""

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
    known_failure="Sparse noise scores high and a perfect code scores low: sparsity is not disentanglement.",
    needs=Needs(codes=2, factors=0, rows=2),
    # A noise latent pulls the score towards that of noise; on the examples, by just under the tolerance.
    invariant_to=all_except("shift", "monotone warp", "outlier", "duplicated code", "rotation", "dependent factors"),
    perfect=math.nan,
    noise=math.nan,
    protocols={
        "default": Protocol(
            reads="mean",  # of the means, as in the paper; the noise of the posterior is not sparse
            source="Mathieu et al. (2019): latents divided by their standard deviations, constant latents excluded",
        ),
    },
)
def hoyer_sparsity(representation: Representation) -> RawScore:
    """Hoyer sparsity of the codes: mean over rows, after dividing each latent by its standard deviation.

    ``(sqrt(d) - |z|_1 / |z|_2) / (sqrt(d) - 1)``: 1 if a single latent is non-zero, 0 if all have equal magnitude.

    Parameters
    ----------
    representation : Representation
        At least two latents that vary; factors are ignored.

    Returns
    -------
    RawScore
        In [0, 1].

    Raises
    ------
    UndefinedScoreError
        If fewer than two latents vary.

    Notes
    -----
    Constant latents are excluded; in the authors' code they cause a division by 0. Latents are not centred, so that
    zero must mean "not in use". Rows in which every latent is 0 have no sparsity and are excluded. Gaussian codes
    score 0.2 to 0.3, whatever information they carry. Missing labels are ignored.

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
        raise UndefinedScoreError(f"hoyer_sparsity needs at least two latents that vary; got {d}")
    codes = np.asarray(representation.codes[:, alive], dtype=np.float64)
    codes = codes / np.abs(codes).max(axis=0)  # squares of extreme scales would overflow
    codes /= codes.std(axis=0)
    largest = np.abs(codes).max(axis=1, keepdims=True)
    nonzero = largest[:, 0] > 0
    magnitude = np.abs(codes[nonzero]) / largest[nonzero]  # sparsity does not depend on the scale of a row
    ratio = magnitude.sum(axis=1) / np.sqrt(np.square(magnitude).sum(axis=1))
    sparsity = (math.sqrt(d) - ratio) / (math.sqrt(d) - 1)
    return RawScore(value=float(np.clip(sparsity, 0.0, 1.0).mean()))
