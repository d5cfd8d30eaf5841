"""The table that every metric reads: codes and factors of the same observations."""

from disentmetrics.representation._representation import FACTOR_BINS, Representation, is_binned
from disentmetrics.representation.provenance import Provenance

__all__ = ["FACTOR_BINS", "Provenance", "Representation", "is_binned"]
