"""From a representation to a score card: metrics, intervals, nulls, diagnostics."""
