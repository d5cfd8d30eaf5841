"""Docstrings in numpydoc form as Markdown."""

import re
from collections.abc import Iterator

_ITEMS = {"Parameters", "Returns", "Raises", "Attributes", "Options", "Yields"}


def summary(docstring: str) -> str:
    """Return the first paragraph as Markdown."""
    return _inline(docstring.strip().partition("\n\n")[0])


def body(docstring: str, *, level: int = 2, leave_out: frozenset[str] = frozenset()) -> str:
    r"""Return everything after the first paragraph as Markdown, with one heading per section.

    Examples
    --------
    >>> print(body("Halve.\n\nReturns\n-------\nfloat\n    At most 1."))
    ## Returns
    <BLANKLINE>
    <code>float</code>
    :   At most 1.
    """
    return "\n\n".join(_parts(docstring.strip().partition("\n\n")[2], "#" * level, leave_out))


def _parts(text: str, marks: str, leave_out: frozenset[str]) -> Iterator[str]:
    for name, section in _sections(text):
        if name in leave_out or not section.strip():
            continue
        if name:
            yield f"{marks} {name}"
        yield _items(section) if name in _ITEMS else _prose(section)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    pieces = re.split(r"^([A-Z][A-Za-z ]*)\n-{3,}[ ]*$\n?", text, flags=re.MULTILINE)
    yield "", pieces[0]
    yield from zip(pieces[1::2], pieces[2::2], strict=True)


def _items(section: str) -> str:
    found: list[tuple[str, list[str]]] = []
    for line in section.strip("\n").splitlines():
        if line and not line.startswith(" "):
            found.append((line, []))
        elif found:
            found[-1][1].append(line.strip())
    return "\n\n".join(f"{_term(head)}\n:   {_definition(lines)}" for head, lines in found)


def _term(head: str) -> str:
    name, colon, kind = head.partition(" : ")
    return f"<code>{_escaped(name)}</code>" + (f" <small>{_escaped(kind)}</small>" if colon else "")


def _definition(lines: list[str]) -> str:
    return _inline(" ".join(lines).strip()) or "–"


def _prose(text: str) -> str:
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n{2,}", text.strip("\n")) if part.strip())


def _paragraph(text: str) -> str:
    if text.lstrip().startswith(">>>"):
        return f"```pycon\n{text}\n```"
    if text.startswith("    "):
        return f"```text\n{text}\n```"
    formula = re.match(r"``(.+?)``[,.:;]?\s*", text, re.DOTALL)
    if formula is None:
        return _inline(text)
    rest = text[formula.end() :]
    shown = " ".join(formula[1].split())
    return f'<p class="formula">{_escaped(shown)}</p>' + (f"\n\n{_inline(rest[0].upper() + rest[1:])}" if rest else "")


def _inline(text: str) -> str:
    """Convert roles and literals to code, and escape everything else for HTML and Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", text)
    pieces = re.split(r"(``.+?``)", text, flags=re.DOTALL)
    return "".join(_literal(piece) if piece.startswith("``") else _words(piece) for piece in pieces)


def _literal(piece: str) -> str:
    return f"<code>{_escaped(' '.join(piece.strip('`').split()))}</code>"


def _words(text: str) -> str:
    return _escaped(text).replace("[", "&#91;").replace("]", "&#93;")


def _escaped(text: str) -> str:
    # Bars would end a table cell, and braces, stars and the like are Markdown even inside HTML.
    escapes = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "*": "&#42;", "_": "&#95;", "`": "&#96;"}
    return "".join(escapes.get(letter, letter) for letter in text)
