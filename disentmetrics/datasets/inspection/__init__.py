"""Inspect a data set: previews, sweeps of one factor, identifiability of factors."""
