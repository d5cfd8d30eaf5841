"""The property suite: tests of what a metric claims, for registered metrics and user-defined functions."""

from disentmetrics.testing.axioms import CASES as CASES, axiom_rows as axiom_rows, axiom_table as axiom_table
from disentmetrics.testing.changes import CHANGES as CHANGES
from disentmetrics.testing.check import (
    BrokenClaimError as BrokenClaimError,
    Finding as Finding,
    check_metric as check_metric,
)
from disentmetrics.testing.examples import EXAMPLES as EXAMPLES
