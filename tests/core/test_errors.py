"""Errors of other packages in one line, and names that are no text."""

import pytest

from disentmetrics.errors import did_you_mean, one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first line\n\tsecond line"), "ValueError: first line second line"),
        (SystemExit(), "SystemExit"),
        (ImportError("a: b:"), "ImportError: a: b"),
    ],
    ids=str,
)
def test_an_error_is_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line


@pytest.mark.parametrize("name", [None, 3, ["mig"]], ids=str)
def test_nothing_is_suggested_for_anything_but_text(name: object) -> None:
    assert did_you_mean(name, ["mig", "3"]) == ""
