"""Metrics, scores and data sets of disentmetrics inside other frameworks."""
