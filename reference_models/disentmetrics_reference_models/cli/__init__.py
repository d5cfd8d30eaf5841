"""Commands of the reference trainers: ``train``, ``traverse``, ``reproduce`` and ``evaluate``."""
