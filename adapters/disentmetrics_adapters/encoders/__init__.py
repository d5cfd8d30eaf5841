"""Encoder schemes, one per file; a file placed here is a scheme."""
