"""Transforms of data sets: selection, merged factors, nuisances, mapped observations, other distributions."""
