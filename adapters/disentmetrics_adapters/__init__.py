"""Encoders of other frameworks, and the metrics and data sets of disentmetrics inside them.

``encoders`` contains one module per encoder scheme, ``integrations`` the plugin of pytest, metrics of torchmetrics,
scorers of scikit-learn and data sets of PyTorch. A framework is imported only when it is used.
"""
