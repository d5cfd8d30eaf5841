"""Inspection of data sets: previews, sweeps of one factor, identifiability of factors."""
