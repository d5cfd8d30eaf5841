"""Statistics of a representation, computed once and shared by metrics."""
