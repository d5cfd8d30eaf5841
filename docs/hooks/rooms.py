"""Packages of the project and the imports between them, read from the source without importing it.

The architecture test holds the order of :data:`FLOORS`; the site draws it.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = {
    "disentmetrics": ROOT / "disentmetrics",
    "disentmetrics_adapters": ROOT / "adapters" / "disentmetrics_adapters",
    "disentmetrics_reference_models": ROOT / "reference_models" / "disentmetrics_reference_models",
}
FLOORS = (
    ("cli",),
    ("testing", "report", "plots"),
    ("comparison",),
    ("encoders", "scoring"),
    ("datasets", "metrics"),
    ("statistics", "results"),
    ("representation",),
    ("io",),
    ("estimators", "factors", "_utils"),
    ("errors", "_version"),
)
"""Rooms of the core from the command line down to arrays and errors; imports point downwards only."""


@dataclass(frozen=True)
class Import:
    """One import between two modules of the project.

    Attributes
    ----------
    importer, imported : str
        Full module names.
    is_lazy : bool
        Whether it happens inside a function, or for the type checker alone.
    """

    importer: str
    imported: str
    is_lazy: bool


def modules() -> dict[str, Path]:
    """Return the file of every module of the project, by full name."""
    found = {}
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def imports() -> list[Import]:
    """Return every import between modules of the project."""
    known = modules()
    return [
        Import(module, f"{name}.{alias}" if f"{name}.{alias}" in known else name, is_lazy)
        for module, path in known.items()
        for name, alias, is_lazy in imported_names(ast.parse(path.read_text(encoding="utf-8")))
        if name.partition(".")[0] in SOURCES
    ]


def imported_names(node: ast.AST, *, is_lazy: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Yield the module, the name and whether the import is lazy, for every import below a node."""
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if isinstance(child, ast.ImportFrom) and child.module:
            yield from ((child.module, alias.name, is_lazy) for alias in child.names)
        elif isinstance(child, ast.Import):
            yield from ((alias.name, "", is_lazy) for alias in child.names)
        yield from imported_names(child, is_lazy=is_lazy or is_function or for_types)


def room(module: str) -> str:
    """Return the room of the core in which a module lies; the hall is the package itself.

    Examples
    --------
    >>> room("disentmetrics.metrics._mig"), room("disentmetrics.errors"), room("disentmetrics")
    ('metrics', 'errors', 'hall')
    """
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "hall"


def arrows() -> Counter[tuple[str, str]]:
    """Return the number of imports at module level between each two rooms of the core."""
    core = (i for i in imports() if i.importer.startswith("disentmetrics.") and i.imported.startswith("disentmetrics."))
    pairs = ((room(i.importer), room(i.imported)) for i in core if not i.is_lazy)
    return Counter(pair for pair in pairs if pair[0] != pair[1] and "__main__" not in pair)


_WIDTH, _HEIGHT, _GAP, _STEP = 128, 34, 34, 78
_LEFT_OUT = {"errors", "_version", "_utils", "factors"}  # everything imports them


def picture() -> str:
    """Return an SVG drawing of the rooms of the core and of the imports between them."""
    shown = [[name for name in floor if name not in _LEFT_OUT] for floor in FLOORS]
    shown = [floor for floor in shown if floor]
    width = max(len(floor) for floor in shown) * (_WIDTH + _GAP) + 160
    height = len(shown) * _STEP + 20
    places = {
        name: (width / 2 + (column - (len(floor) - 1) / 2) * (_WIDTH + _GAP + 20), 30 + row * _STEP)
        for row, floor in enumerate(shown)
        for column, name in enumerate(floor)
    }
    lines = []
    for (start, end), count in sorted(arrows().items()):
        if start in places and end in places:
            lines.append(_arrow(places[start], places[end], f"{start} imports {end}: {count}"))
    boxes = [_box(name, x, y) for name, (x, y) in places.items()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" class="rooms"'
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
    )
    title = "<title>Rooms of disentmetrics and the imports between them</title>"
    return f"{head} font-family='inherit' font-size='14'>{title}{marker}{''.join(lines)}{''.join(boxes)}</svg>"


def _arrow(start: tuple[float, float], end: tuple[float, float], title: str) -> str:
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + _HEIGHT / 2, y2 - _HEIGHT / 2
    # A long arrow bends outwards, so that it does not run through the rooms between its ends.
    floors = round((y2 - y1) / _STEP)
    bend = 0 if floors <= 1 else (70 + 14 * floors) * (1 if x1 + x2 >= 2 * min(x1, x2) and x2 >= x1 else -1)
    path = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1 + 40:.0f} {x2 + bend:.0f} {y2 - 40:.0f} {x2:.0f} {y2:.0f}"
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" opacity=".35" marker-end="url(#tip)">'
        f"<title>{escape(title)}</title></path>"
    )


def _box(name: str, x: float, y: float) -> str:
    return (
        f'<rect x="{x - _WIDTH / 2:.0f}" y="{y - _HEIGHT / 2:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        'fill="var(--md-default-bg-color, white)" stroke="currentColor"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="currentColor">{escape(name)}</text>'
    )


def figure() -> str:
    """Return the drawing with a caption, for the site."""
    caption = (
        "Packages of the core. An arrow is an import; all point downwards. <code>errors</code>, <code>factors</code> "
        "and <code>_utils</code>, which every package may import, are not shown."
    )
    return f'<figure class="panels single">{picture()}<figcaption>{caption}</figcaption></figure>'
