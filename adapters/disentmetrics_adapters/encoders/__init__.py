"""Encoder schemes, one per module: ``onnx.py`` with a function ``load`` is the scheme ``onnx:``."""
