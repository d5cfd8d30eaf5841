"""Numerical estimators on plain arrays, shared by statistics and metrics."""
