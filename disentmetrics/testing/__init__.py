"""The public property suite: what a metric claims, put to the test."""

from disentmetrics.testing.changes import CHANGES as CHANGES
from disentmetrics.testing.check import (
    BrokenClaimError as BrokenClaimError,
    Finding as Finding,
    check_metric as check_metric,
)
from disentmetrics.testing.examples import EXAMPLES as EXAMPLES
