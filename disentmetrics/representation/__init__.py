"""Codes and factors of the same observations: the input of every metric."""

from disentmetrics.representation._representation import (
    FACTOR_BINS,
    OWN_PRIOR,
    STANDARD_NORMAL,
    Representation,
    is_binned,
)
from disentmetrics.representation.provenance import Provenance

__all__ = ["FACTOR_BINS", "OWN_PRIOR", "STANDARD_NORMAL", "Provenance", "Representation", "is_binned"]
