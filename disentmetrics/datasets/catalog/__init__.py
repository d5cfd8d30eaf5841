"""Data sets, one per file; every module in this folder is registered as a data set."""
