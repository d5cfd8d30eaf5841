"""Tables as Markdown and LaTeX hold any text, and only as text."""

import re

import pytest
from hypothesis import given, strategies as st
from rich.table import Table

from disentmetrics._utils.tables import (
    Cell,
    escape_latex,
    escape_markdown,
    latex_table,
    markdown_table,
    one_line,
    plain_text,
)

texts = st.text(max_size=12)
tables = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(texts, min_size=width, max_size=width),
        st.lists(st.lists(st.builds(Cell, texts, best=st.booleans()), min_size=width, max_size=width), max_size=4),
    )
)


@given(tables)
def test_markdown_has_one_line_a_row_and_as_many_unescaped_pipes_everywhere(table) -> None:  # type: ignore[no-untyped-def] # headings and rows
    headings, rows = table
    lines = markdown_table(headings, rows).split("\n")
    assert len(lines) == 2 + len(rows)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(headings) + 1


@given(tables)
def test_latex_has_one_line_a_row_and_as_many_unescaped_ampersands_everywhere(table) -> None:  # type: ignore[no-untyped-def] # headings and rows
    headings, rows = table
    lines = latex_table(headings, rows).split("\n")
    assert lines[1::2][:2] == [r"\toprule", r"\midrule"]
    body = [lines[2], *lines[4:-2]]
    assert len(body) == 1 + len(rows)
    for line in body:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == len(headings) - 1


@given(texts)
def test_latex_leaves_no_character_that_means_something(text: str) -> None:
    escaped = escape_latex(text)
    assert not re.search(r"(?<!\\)[%#_]|[~|<>\"]|\\[^a-zA-Z&%$#_{}]", escaped)
    assert not escaped.startswith(("[", "*"))  # after a line break LaTeX would take them for its arguments
    assert len(re.findall(r"(?<!\\){", escaped)) == len(re.findall(r"(?<!\\)}", escaped))


@given(texts)
def test_what_markdown_escapes_can_be_read_back(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", escape_markdown(text)) == one_line(text)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b & 50%", r"a\_b \& 50\%"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("[-0.5, +0.5]", "{[}$-$0.5, +0.5]"),
        ("beta-vae", "beta-vae"),
        ("$x^2$ ~ #1", r"\$x\textasciicircum{}2\$ \textasciitilde{} \#1"),
    ],
)
def test_latex_of_known_texts(text: str, latex: str) -> None:
    assert escape_latex(text) == latex


def test_text_is_what_was_given_and_no_markup_or_emoji() -> None:
    table = Table("name", box=None, pad_edge=False)
    table.add_row("[bold]x[/] :smile:")
    assert plain_text(table, "", "• [red]a|seed:0|:smile:") == "name\n[bold]x[/] :smile:\n\n• [red]a|seed:0|:smile:"
