"""Helpers without a subject of their own: caches, progress bars, random generators, threads, tables."""
