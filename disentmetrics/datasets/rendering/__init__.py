"""Renderers and generators shared by several bundled data sets."""
