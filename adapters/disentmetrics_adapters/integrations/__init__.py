"""Metrics, scores and data sets of disentmetrics for use in other frameworks."""
