"""Codes and factors of the same observations: the input of every metric."""

from disentmetrics.representation._representation import FACTOR_BINS, Representation, is_binned
from disentmetrics.representation.provenance import Provenance

__all__ = ["FACTOR_BINS", "Provenance", "Representation", "is_binned"]
