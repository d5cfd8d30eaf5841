"""Profiles of Hypothesis: the number of examples that a test draws unless it states its own.

``make test`` draws few, ``make test-slow`` (``HYPOTHESIS_PROFILE=thorough``) many.
"""

import os

from hypothesis import HealthCheck, settings

_CHECKS = [HealthCheck.too_slow]
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=_CHECKS)
settings.register_profile("thorough", max_examples=250, deadline=None, suppress_health_check=_CHECKS)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
