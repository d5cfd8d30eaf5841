"""Tables in HTML for notebooks: in the colours of the notebook, light or dark, and with every text escaped."""

from collections.abc import Sequence
from html import escape

_CELL = "padding:0.15em 0.8em;white-space:nowrap;border:0;background:none;color:inherit;"
_RULE = "border-bottom:1px solid rgba(128,128,128,0.5);"
_TABLE = (
    "border-collapse:collapse;margin:0.4em 0;font-size:0.9em;font-variant-numeric:tabular-nums;"
    "color:inherit;background:none;border:0;"
)


def html_table(
    head: Sequence[str], body: Sequence[Sequence[str]], *, titles: Sequence[str] = (), n_left: int = 1
) -> str:
    """Return a table; styles stand in the tags because notebooks drop style sheets of others.

    Parameters
    ----------
    head : sequence of str
        Headings.
    body : sequence of rows of str
        As many cells as headings.
    titles : sequence of str
        What is shown when the mouse rests on a row, if given one for each.
    n_left : int
        How many columns are text, from the left; the others are numbers, which are aligned at the right.

    Examples
    --------
    >>> "<script>" in html_table(["name"], [["<script>"]])
    False
    """

    def cell(tag: str, position: int, text: str, more: str = "") -> str:
        align = f"text-align:{'left' if position < n_left else 'right'};"
        scope = ' scope="col"' if tag == "th" else ""
        return f'<{tag}{scope} style="{_CELL}{align}{more}">{escape(text)}</{tag}>'

    heads = "".join(cell("th", j, text, _RULE) for j, text in enumerate(head))
    rows = []
    for i, row in enumerate(body):
        title = f' title="{escape(titles[i])}"' if titles else ""
        inner = "".join(cell("td", j, text) for j, text in enumerate(row))
        rows.append(f'<tr{title} style="background:none;">{inner}</tr>')
    return (
        f'<div style="overflow-x:auto;"><table style="{_TABLE}"><thead><tr style="background:none;">{heads}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def html_lines(lines: Sequence[str]) -> str:
    """Return a list, or nothing where there is no line."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul style="margin:0.3em 0;font-size:0.9em;">{items}</ul>' if lines else ""


def html_caption(text: str) -> str:
    """Return what stands above a table."""
    return f'<div style="font-size:0.9em;opacity:0.8;">{escape(text)}</div>'
