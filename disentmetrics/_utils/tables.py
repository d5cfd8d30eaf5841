"""Tables of short texts: for terminals, as Markdown, as LaTeX and as HTML for notebooks.

Texts are given unescaped. Each format escapes them once, when the table is rendered.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from io import StringIO
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from disentmetrics._utils.text import one_line

_COLUMNS = 110
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # after a line break LaTeX would read it as an optional argument
    "*": "{*}",  # idem
    "−": "$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "—": "---",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
# Notebooks drop style sheets, so every tag carries its style; colours are inherited from a light or dark page.
_HTML_CELL = "padding:0.15em 0.8em;white-space:nowrap;border:0;background:none;color:inherit;"
_HTML_RULE = "border-bottom:1px solid rgba(128,128,128,0.5);"
_HTML_TABLE = (
    "border-collapse:collapse;margin:0.4em 0;font-size:0.9em;font-variant-numeric:tabular-nums;"
    "color:inherit;background:none;border:0;"
)


@dataclass(frozen=True)
class Cell:
    """A text in a table.

    Attributes
    ----------
    text : str
    best : bool
        Whether it is marked: bold, and with a star in terminals.
    indent : int
        Levels of indentation.
    """

    text: str
    best: bool = False
    indent: int = 0


@dataclass(frozen=True)
class Section:
    """A heading between rows, across all columns."""

    text: str


Row = Sequence[Cell | str]


@dataclass(frozen=True)
class TextTable:
    r"""A table of texts, rendered in four formats.

    Attributes
    ----------
    headings : sequence of str
    rows : sequence of (sequence of (Cell or str), or Section)
        As many cells as headings.
    align : str
        ``l`` or ``r`` for each column; by default the first is aligned left and the others right.
    titles : sequence of str
        One per row that is not a section, shown in HTML as a tooltip.

    Examples
    --------
    >>> table = TextTable(["metric", "pca"], [[Cell("mig"), Cell("0.04", best=True)]])
    >>> print(table.to_markdown())
    | metric | pca |
    |:--|--:|
    | mig | **0.04** |
    >>> print(table.to_latex())
    \begin{tabular}{lr}
    \toprule
    metric & pca \\
    \midrule
    mig & \textbf{0.04} \\
    \bottomrule
    \end{tabular}
    """

    headings: Sequence[str]
    rows: Sequence[Row | Section]
    align: str = ""
    titles: Sequence[str] = ()

    def to_rich(self) -> RenderableType:
        """Return a table for terminals; marked cells are bold and end in a star."""
        sections = [(title, [self._terminal_row(row) for row in rows]) for title, rows in self._sections()]
        if all(title is None for title, _ in sections):
            return self._terminal_table([row for _, rows in sections for row in rows])
        # A cell of rich cannot span columns, so that each section is a table; equal widths align them.
        columns = zip(self._terminal_headings(), *(row for _, rows in sections for row in rows), strict=True)
        widths = [max(cell_len(text.plain) for text in column) for column in columns]
        parts: list[RenderableType] = [self._terminal_table([], widths=widths)]
        for title, rows in sections:
            parts += [Text(title, style="bold")] if title is not None else []
            parts += [self._terminal_table(rows, widths=widths, header=False)] if rows else []
        return Group(*parts)

    def to_markdown(self) -> str:
        """Return a table of GitHub's Markdown; marked cells are bold."""

        def shown(cell: Cell) -> str:
            text = "&nbsp;&nbsp;" * cell.indent + escape_markdown(cell.text)
            return f"**{text}**" if cell.best else text

        rules = "".join(":--|" if side == "l" else "--:|" for side in self._align())
        lines = [self._markdown_line(map(escape_markdown, self.headings)), f"|{rules}"]
        for title, rows in self._sections():
            if title is not None:
                empty = [""] * (len(self.headings) - 1)
                lines.append(self._markdown_line([f"**{escape_markdown(title)}**" if title else "", *empty]))
            lines += [self._markdown_line(map(shown, row)) for row in rows]
        return "\n".join(lines)

    def to_latex(self) -> str:
        """Return a ``tabular`` in the style of the package booktabs; marked cells are bold."""

        def shown(cell: Cell) -> str:
            text = r"\quad " * cell.indent + escape_latex(cell.text)
            return rf"\textbf{{{text}}}" if cell.best else text

        lines = [
            rf"\begin{{tabular}}{{{self._align()}}}",
            r"\toprule",
            rf"{' & '.join(map(escape_latex, self.headings))} \\",
            r"\midrule",
        ]
        for title, rows in self._sections():
            if title is not None:
                lines.append(rf"\multicolumn{{{len(self.headings)}}}{{l}}{{\textit{{{escape_latex(title)}}}}} \\")
            lines += [rf"{' & '.join(map(shown, row))} \\" for row in rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])

    def to_html(self) -> str:
        """Return a table for notebooks, in the colours of the page; marked cells are bold.

        Examples
        --------
        >>> "<script>" in TextTable(["name"], [["<script>"]]).to_html()
        False
        """
        align = ["left" if side == "l" else "right" for side in self._align()]
        heads = "".join(
            f'<th scope="col" style="{_HTML_CELL}text-align:{side};{_HTML_RULE}">{escape_html(text)}</th>'
            for text, side in zip(self.headings, align, strict=True)
        )
        titles = iter(self.titles)
        lines = []
        for title, rows in self._sections():
            if title is not None:
                style = f"{_HTML_CELL}text-align:left;font-weight:bold;"
                lines.append(
                    f'<tr style="background:none;"><th scope="rowgroup" colspan="{len(self.headings)}" '
                    f'style="{style}">{escape_html(title)}</th></tr>'
                )
            for row in rows:
                cells = "".join(_html_cell(cell, side) for cell, side in zip(row, align, strict=True))
                tip = f' title="{escape_html(next(titles))}"' if self.titles else ""
                lines.append(f'<tr{tip} style="background:none;">{cells}</tr>')
        return (
            f'<div style="overflow-x:auto;"><table style="{_HTML_TABLE}"><thead><tr style="background:none;">{heads}'
            f"</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        )

    def _align(self) -> str:
        return self.align or "l" + "r" * (len(self.headings) - 1)

    def _sections(self) -> Iterator[tuple[str | None, list[list[Cell]]]]:
        """Yield the heading and the rows of each section; no heading for rows above the first one."""
        title: str | None = None
        rows: list[list[Cell]] = []
        for row in self.rows:
            if isinstance(row, Section):
                if title is not None or rows:
                    yield title, rows
                title, rows = one_line(row.text), []
            else:
                rows.append([cell if isinstance(cell, Cell) else Cell(cell) for cell in row])
        yield title, rows

    def _terminal_headings(self) -> list[Text]:
        return [Text(one_line(heading)) for heading in self.headings]

    def _terminal_row(self, row: list[Cell]) -> list[Text]:
        return [
            Text("  " * cell.indent + one_line(cell.text) + "*" * cell.best, style="bold" if cell.best else "")
            for cell in row
        ]

    def _terminal_table(
        self, rows: Sequence[Sequence[Text]], *, widths: Sequence[int] | None = None, header: bool = True
    ) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=header)
        for position, (heading, side) in enumerate(zip(self._terminal_headings(), self._align(), strict=True)):
            justify: Literal["left", "right"] = "left" if side == "l" else "right"
            width = widths[position] if widths else None
            table.add_column(heading, justify=justify, overflow="fold", min_width=width, no_wrap=width is not None)
        for row in rows:
            table.add_row(*row)
        return table

    @staticmethod
    def _markdown_line(texts: Iterator[str] | Sequence[str]) -> str:
        return f"| {' | '.join(texts)} |"


def _html_cell(cell: Cell, side: str) -> str:
    indent = f"padding-left:{0.8 + 1.2 * cell.indent:.1f}em;" if cell.indent else ""
    weight = "font-weight:bold;" if cell.best else ""
    return f'<td style="{_HTML_CELL}text-align:{side};{indent}{weight}">{escape_html(cell.text)}</td>'


def html_lines(lines: Sequence[str]) -> str:
    """Return a list in HTML, or nothing if there is no line."""
    items = "".join(f"<li>{escape_html(line)}</li>" for line in lines)
    return f'<ul style="margin:0.3em 0;font-size:0.9em;">{items}</ul>' if lines else ""


def html_caption(text: str) -> str:
    """Return a line of small text in HTML."""
    return f'<div style="font-size:0.9em;opacity:0.8;">{escape_html(text)}</div>'


def plain_text(*parts: RenderableType, width: int = _COLUMNS) -> str:
    """Return tables and lines as text of at most ``width`` columns; markup in the text is not interpreted.

    Examples
    --------
    >>> print(plain_text(TextTable(["metric", "value"], [["mig", "0.5"]]).to_rich(), "", "• [bold] is a name"))
    metric  value
    mig       0.5
    <BLANKLINE>
    • [bold] is a name
    """
    buffer = StringIO()
    console = Console(file=buffer, force_jupyter=False, width=width, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip().splitlines())


def escape_markdown(text: str) -> str:
    r"""Return Markdown that shows the text literally, also in a cell of a table.

    Examples
    --------
    >>> print(escape_markdown("my_model|<b>"))
    my\_model\|\<b\>
    """
    return re.sub(r"([\\`*_{}\[\]<>|~#&$])", r"\\\1", one_line(text))


def escape_latex(text: str) -> str:
    r"""Return LaTeX that typesets the text literally.

    Examples
    --------
    >>> print(escape_latex("50% of my_model"))
    50\% of my\_model
    """
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)
