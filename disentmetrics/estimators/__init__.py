"""Shared numerics of the metrics; they take arrays and know nothing of metrics."""
