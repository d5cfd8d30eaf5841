"""Tables contain any text, and only as text, in every format."""

import re

import pytest
from hypothesis import given, strategies as st

from disentmetrics._utils.tables import (
    Cell,
    Section,
    TextTable,
    escape_latex,
    escape_markdown,
    html_caption,
    html_lines,
    plain_text,
)
from disentmetrics._utils.text import one_line

EVIL = '"><script>alert(1)</script>'
GROUPED = TextTable(
    ["metric", "value"],
    [
        Section("Is each factor in one latent?"),
        [Cell("mig", indent=1), Cell("0.5", best=True)],
        Section("Others"),
        [Cell("dci", indent=1), "0.25"],
        [Cell("dci.x", indent=2), "—"],
    ],
    titles=["mig|seed:0", "dci|seed:0", "dci|seed:0"],
)

texts = st.text(max_size=12)
tables = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(texts, min_size=width, max_size=width),
        st.lists(st.lists(st.builds(Cell, texts, best=st.booleans()), min_size=width, max_size=width), max_size=4),
    )
)


@given(tables)
def test_markdown_has_one_line_per_row_and_as_many_unescaped_pipes_everywhere(table) -> None:  # type: ignore[no-untyped-def] # headings and rows
    headings, rows = table
    lines = TextTable(headings, rows).to_markdown().split("\n")
    assert len(lines) == 2 + len(rows)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(headings) + 1


@given(tables)
def test_latex_has_one_line_per_row_and_as_many_unescaped_ampersands_everywhere(table) -> None:  # type: ignore[no-untyped-def] # headings and rows
    headings, rows = table
    lines = TextTable(headings, rows).to_latex().split("\n")
    assert lines[1::2][:2] == [r"\toprule", r"\midrule"]
    body = [lines[2], *lines[4:-2]]
    assert len(body) == 1 + len(rows)
    for line in body:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == len(headings) - 1


@given(texts)
def test_latex_escapes_every_special_character(text: str) -> None:
    escaped = escape_latex(text)
    assert not re.search(r"(?<!\\)[%#_]|[~|<>\"]|\\[^a-zA-Z&%$#_{}]", escaped)
    assert not escaped.startswith(("[", "*"))  # after a line break LaTeX would read them as arguments
    assert len(re.findall(r"(?<!\\){", escaped)) == len(re.findall(r"(?<!\\)}", escaped))


@given(texts)
def test_text_that_markdown_escapes_can_be_read_back(text: str) -> None:
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


@given(tables)
def test_html_has_one_cell_per_text_and_no_other_tag(table) -> None:  # type: ignore[no-untyped-def] # headings and rows
    headings, rows = table
    html = TextTable(headings, rows).to_html()
    assert len(re.findall(r"</t[dh]>", html)) == len(headings) * (1 + len(rows))
    assert set(re.findall(r"</?([a-z0-9]+)", html)) <= {"div", "table", "thead", "tbody", "tr", "th", "td"}


def test_text_is_what_was_given_and_no_markup_or_emoji() -> None:
    table = TextTable(["name"], [["[bold]x[/] :smile:"]]).to_rich()
    assert plain_text(table, "", "• [red]a|seed:0|:smile:") == "name\n[bold]x[/] :smile:\n\n• [red]a|seed:0|:smile:"


def test_a_section_spans_all_columns_in_every_format() -> None:
    assert plain_text(GROUPED.to_rich()).splitlines() == [
        "metric     value",
        "Is each factor in one latent?",
        "  mig       0.5*",
        "Others",
        "  dci       0.25",
        "    dci.x      —",
    ]
    assert GROUPED.to_markdown().splitlines()[2:4] == [
        "| **Is each factor in one latent?** |  |",
        "| &nbsp;&nbsp;mig | **0.5** |",
    ]
    assert r"\multicolumn{2}{l}{\textit{Is each factor in one latent?}} \\" in GROUPED.to_latex()
    assert r"\quad \quad dci.x & --- \\" in GROUPED.to_latex()
    html = GROUPED.to_html()
    assert html.count('colspan="2"') == 2
    assert re.findall(r'<tr title="([^"]+)"', html) == ["mig|seed:0", "dci|seed:0", "dci|seed:0"]
    assert "font-weight:bold" in html


def test_columns_are_aligned_as_specified() -> None:
    table = TextTable(["a", "b"], [["x", "longer"], ["yy", "1"]], align="rl")
    assert plain_text(table.to_rich()) == " a  b\n x  longer\nyy  1"
    assert table.to_markdown().splitlines()[1] == "|--:|:--|"
    assert table.to_latex().startswith(r"\begin{tabular}{rl}")
    assert table.to_html().count("text-align:right") == 3


def test_nothing_that_users_named_becomes_html() -> None:
    html = html_caption(EVIL) + html_lines([EVIL]) + TextTable([EVIL], [[EVIL]], titles=[EVIL]).to_html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 5
    assert html_lines([]) == ""


def test_html_inherits_its_colours() -> None:
    colours = set(re.findall(r"(?<![a-z-])(?:color|background):([^;]+)", GROUPED.to_html()))
    assert colours == {"inherit", "none"}
