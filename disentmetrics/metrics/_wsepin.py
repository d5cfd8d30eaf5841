"""WSEPIN."""

from disentmetrics.metrics._windin import windin
from disentmetrics.metrics.base import Protocol, alias


@alias(
    of=windin,
    paper="Do & Tran (2020), Theory and Evaluation Metrics for Learning Disentangled Representations, section 4",
    known_failure="A latent of pure noise with a narrow posterior contributes its full information about the row.",
    slow=True,
    protocols={"do2020": Protocol(source="Do & Tran (2020): 10,000 samples", options={"n_samples": 10_000})},
)
def wsepin() -> None:
    """WSEPIN: mean information about the row that is lost with a latent, in nats.

    ``sum over j of w_j [I(z; x) - I(z without z_j; x)]``, with x the row, z ~ q(z | x)
    and weights w_j proportional to I(z_j; x).

    Returns
    -------
    RawScore
        In nats, from 0 to the logarithm of the number of rows in the mixture. Details: ``sepin`` (n_codes,),
        I(z; x) - I(z without z_j; x); ``information`` (n_codes,), I(z_j; x); ``weights`` (n_codes,).

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([[-1.0], [1.0]])
    >>> value = wsepin(codes, log_variance=np.full((2, 1), -6.0)).value
    >>> round(value, 6), round(float(np.log(2)), 6)
    (0.693147, 0.693147)
    """
