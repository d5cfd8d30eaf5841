"""Encoders from every framework: one module a scheme, its framework imported only when used."""
