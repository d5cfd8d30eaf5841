"""Data sets derived from another: selections, nuisances, merged factors, distributions."""
