"""Encoders from every framework: one module a scheme, its framework imported only when used.

Packages among the modules are other doors to a framework, such as data of PyTorch: no schemes.
"""
