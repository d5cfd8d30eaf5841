"""Data sets, one per file; a file placed here is a data set."""
