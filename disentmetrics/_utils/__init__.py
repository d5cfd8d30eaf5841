"""General helpers: caches, progress bars, random generators, threads, tables."""
