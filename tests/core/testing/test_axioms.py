"""The table of axioms and metrics."""

import numpy as np
import pytest

from disentmetrics.metrics import find_metric
from disentmetrics.testing import CASES, axiom_rows, axiom_table
from disentmetrics.testing.axioms import case, satisfied_axioms
from disentmetrics.testing.check import AXIOMS


@pytest.mark.parametrize("name", CASES)
def test_a_case_represents_four_factors_and_repeats(name: str) -> None:
    first, second = (case(name, 200, seed=3) for _ in range(2))
    assert first.n_factors == 4
    assert np.array_equal(first.codes, second.codes)
    assert not np.array_equal(first.codes, case(name, 200, seed=4).codes)


def test_factors_are_correlated_in_the_case_of_dependent_factors_alone() -> None:
    correlation = {name: np.corrcoef(case(name, 4_000).factors, rowvar=False)[0, 1] for name in CASES}
    assert correlation.pop("dependent") == pytest.approx(0.7, abs=0.05)
    assert max(map(abs, correlation.values())) < 0.05


def test_a_row_has_a_value_per_case_and_the_table_a_line_per_metric() -> None:
    rows = list(axiom_rows([find_metric("mig"), find_metric("d_lsbd")], n_rows=300, n_seeds=1))
    assert [row.name for row in rows] == ["mig", "d_lsbd"]
    assert all(len(row.values) == len(CASES) for row in rows)
    assert set(rows[1].values) == {None}
    lines = axiom_table(rows).splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("| d_lsbd | – | – |")


def test_axioms_follow_from_the_declaration() -> None:
    satisfied = satisfied_axioms(*find_metric("mig"))
    declared = find_metric("mig")[0].protocol("default")
    for axiom in ("A1", "A2", "A3", "A7", "A8", "A12", "A13", "A14"):
        assert (axiom in satisfied) == (set(AXIOMS[axiom]) <= set(declared.invariant_to))
    assert "A6" in satisfied_axioms(*find_metric("linear_r2"))
