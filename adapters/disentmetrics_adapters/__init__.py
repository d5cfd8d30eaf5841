"""Encoders of other frameworks, and the metrics and data sets of disentmetrics for use in them.

``encoders`` contains one module per encoder scheme, ``integrations`` a pytest plugin, torchmetrics metrics,
scikit-learn scorers and PyTorch data sets. A framework is imported only when it is used.
"""
