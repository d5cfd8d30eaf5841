"""Packages of the project and the imports between them, read from the source without importing it.

The architecture test checks the order of :data:`FLOORS`; the site draws it.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
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
    ("estimators", "factors"),
    ("_utils",),
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
    paths = {}
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            paths[".".join((package, *parts)).removesuffix(".__init__")] = path
    return paths


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
    """Return the room of the core in which a module lies; the package itself is the hall.

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


_WIDTH, _HEIGHT, _GAP, _STEP = 132, 34, 40, 74
_LEFT_OUT = {"errors", "_version", "_utils", "factors"}  # everything imports them
_COLUMNS = {"encoders": -1, "datasets": -1, "testing": 1, "plots": 2, "results": 2}  # 0 for the others


def direct(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the arrows of an acyclic graph that are not implied by a longer path.

    Examples
    --------
    >>> direct([("a", "b"), ("b", "c"), ("a", "c")])
    [('a', 'b'), ('b', 'c')]
    """
    below: dict[str, set[str]] = {}
    for start, end in pairs:
        below.setdefault(start, set()).add(end)

    def reach(name: str) -> set[str]:
        return below.get(name, set()).union(*(reach(other) for other in below.get(name, ())))

    return sorted(
        (start, end)
        for start, ends in below.items()
        for end in ends
        if not any(end in reach(other) for other in ends - {end})
    )


def picture() -> str:
    """Return an SVG of the rooms of the core and the imports between them that are not implied by a longer path."""
    shown = [[name for name in floor if name not in _LEFT_OUT] for floor in FLOORS]
    shown = [floor for floor in shown if floor]
    width, height = 4 * _WIDTH + 5 * _GAP, len(shown) * _STEP + 10
    places = {
        name: (_GAP + _WIDTH / 2 + (1 + _COLUMNS.get(name, 0)) * (_WIDTH + _GAP), 26 + row * _STEP)
        for row, floor in enumerate(shown)
        for name in floor
    }
    drawn = direct(pair for pair in arrows() if set(pair) <= places.keys())
    lines = [_arrow(places[start], places[end], f"{start} → {end}") for start, end in drawn]
    boxes = [_box(name, x, y) for name, (x, y) in places.items()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
    )
    title = "<title>Packages of disentmetrics and the imports between them</title>"
    return f"{head} font-size='14'>{title}{marker}{''.join(lines)}{''.join(boxes)}</svg>"


def _arrow(start: tuple[float, float], end: tuple[float, float], title: str) -> str:
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + _HEIGHT / 2, y2 - _HEIGHT / 2
    side = (_WIDTH / 2 + 26) if x1 == x2 and y2 - y1 > _STEP else 0  # around the rooms in between
    middle = (y2 - y1) * 0.6
    bends = f"{x1 + 1.4 * side:.0f} {y1 + middle:.0f} {x2 + 1.4 * side:.0f} {y2 - middle:.0f}"
    path = f"M{x1:.0f} {y1:.0f}C{bends} {x2:.0f} {y2:.0f}"
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" opacity=".55" marker-end="url(#tip)">'
        f"<title>{escape(title)}</title></path>"
    )


def _box(name: str, x: float, y: float) -> str:
    return (
        f'<rect x="{x - _WIDTH / 2:.0f}" y="{y - _HEIGHT / 2:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        'fill="var(--md-default-bg-color, white)" stroke="currentColor"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="currentColor">{escape(name)}</text>'
    )


def figure() -> str:
    """Return the diagram with a caption, for the site."""
    caption = (
        "Packages of the core. Arrows are imports; all point downwards. Arrows implied by a longer path are "
        "not shown, nor are <code>errors</code>, <code>factors</code> and <code>_utils</code>, which every package may "
        "import."
    )
    return f'<figure class="panels single">{picture()}<figcaption>{caption}</figcaption></figure>'
