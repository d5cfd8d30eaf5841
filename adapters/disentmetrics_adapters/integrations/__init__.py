"""Metrics, scores and data inside other frameworks."""
