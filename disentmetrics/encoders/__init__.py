"""Encoders: the protocol, loading by name, and encoding of data sets."""
