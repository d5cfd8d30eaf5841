"""Tables of short texts for people: for terminals, as Markdown and as LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLUMNS = 110
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # after a line break it would be taken as an argument
    "*": "{*}",  # idem
    "−": "$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "—": "---",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class Cell:
    """A text in a table, and whether it is marked as the best of its row."""

    text: str
    best: bool = False


Row = Sequence[Cell]


def plain_text(*parts: Table | str) -> str:
    """Return tables and lines as text of 110 columns, the same wherever it is printed; markup is not read.

    Examples
    --------
    >>> table = Table("metric", "value", box=None, pad_edge=False)
    >>> table.add_row("mig", "0.5")
    >>> print(plain_text(table, "", "• [bold] is a name"))
    metric value
    mig    0.5
    <BLANKLINE>
    • [bold] is a name
    """
    buffer = StringIO()
    console = Console(file=buffer, force_jupyter=False, width=_COLUMNS, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip().splitlines())


def one_line(text: str) -> str:
    r"""Return the text with every control character as a space, so that it cannot break out of its line.

    Examples
    --------
    >>> one_line("a\n::error::b\x1b[31m")
    'a ::error::b [31m'
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)


def escape_markdown(text: str) -> str:
    r"""Return what Markdown shows as the text itself, in a cell of a table too.

    Examples
    --------
    >>> print(escape_markdown("my_model|<b>"))
    my\_model\|\<b\>
    """
    return re.sub(r"([\\`*_{}\[\]<>|~#&$])", r"\\\1", one_line(text))


def escape_latex(text: str) -> str:
    r"""Return what LaTeX sets as the text itself.

    Examples
    --------
    >>> print(escape_latex("50% of my_model"))
    50\% of my\_model
    """
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)


def terminal_table(headings: Sequence[str], rows: Sequence[Row]) -> Table:
    """Return a rich table; the best cells are bold and end in a star."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, heading in enumerate(headings):
        justify: Literal["left", "right"] = "right" if position else "left"
        table.add_column(Text(one_line(heading)), justify=justify, overflow="fold")
    marks = any(cell.best for row in rows for cell in row)
    for row in rows:
        cells = []
        for position, cell in enumerate(row):
            mark = ("*" if cell.best else " ") if marks and position else ""
            cells.append(Text(one_line(cell.text) + mark, style="bold" if cell.best else ""))
        table.add_row(*cells)
    return table


def markdown_table(headings: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a table of GitHub's Markdown; the best cells are bold.

    Examples
    --------
    >>> print(markdown_table(["metric", "pca"], [[Cell("mig"), Cell("0.04", best=True)]]))
    | metric | pca |
    |:--|--:|
    | mig | **0.04** |
    """

    def shown(cell: Cell) -> str:
        text = escape_markdown(cell.text)
        return f"**{text}**" if cell.best else text

    head = [escape_markdown(heading) for heading in headings]
    lines = [f"| {' | '.join(texts)} |" for texts in (head, *([shown(cell) for cell in row] for row in rows))]
    return "\n".join([lines[0], f"|:--|{'--:|' * (len(headings) - 1)}", *lines[1:]])


def latex_table(headings: Sequence[str], rows: Sequence[Row]) -> str:
    r"""Return a ``tabular`` in the style of the package booktabs; the best cells are bold.

    Examples
    --------
    >>> print(latex_table(["metric", "pca"], [[Cell("mig"), Cell("0.04", best=True)]]))
    \begin{tabular}{lr}
    \toprule
    metric & pca \\
    \midrule
    mig & \textbf{0.04} \\
    \bottomrule
    \end{tabular}
    """

    def shown(cell: Cell) -> str:
        text = escape_latex(cell.text)
        return rf"\textbf{{{text}}}" if cell.best else text

    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}",
            r"\toprule",
            rf"{' & '.join(map(escape_latex, headings))} \\",
            r"\midrule",
            *(rf"{' & '.join(map(shown, row))} \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )
