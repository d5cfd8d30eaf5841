"""Renderers shared by bundled data sets."""
