"""Encoders: the protocol, schemes by name, and encoding a data set."""
