"""Notebooks, run in a separate folder and shown as pages."""

import base64
import html
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from kept import ROOT, kept_file
from nbclient import NotebookClient

FOLDER = ROOT / "docs" / "notebooks"
_MOST_SECONDS = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def notebooks() -> list[Path]:
    """Return all notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path) -> Any:
    """Return a notebook with its outputs; raise CellExecutionError where a cell fails."""

    def run(out: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            client = NotebookClient(
                notebook, timeout=_MOST_SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}}
            )
            client.execute(env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
        nbformat.write(notebook, out)

    return nbformat.read(kept_file(path.name, run, more=path.read_bytes()), as_version=4)


def pages() -> dict[str, str | bytes]:
    """Return the Markdown of each notebook and its images, by path."""
    found: dict[str, str | bytes] = {}
    for path in notebooks():
        pictures: dict[str, bytes] = {}
        found[f"notebooks/{path.stem}.md"] = "\n\n".join(_cells(executed(path), path, pictures))
        found |= {f"notebooks/{name}": content for name, content in pictures.items()}
    return found


def _cells(notebook: Any, path: Path, pictures: dict[str, bytes]) -> Iterator[str]:
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield cell.source
            if number == 0:
                yield f"[Download this notebook]({path.name}){{ .md-button }}"
        elif cell.cell_type == "code":
            yield f"```python\n{cell.source}\n```"
            yield from (_output(output, path.stem, pictures) for output in cell.outputs)


def _output(output: Any, name: str, pictures: dict[str, bytes]) -> str:
    if output.output_type == "stream":
        return _text(output.text) if output.name == "stdout" else ""
    data = output.get("data", {})
    if "image/png" in data:
        picture = f"{name}-{len(pictures)}.png"
        pictures[picture] = base64.b64decode(data["image/png"])
        return f"![Output of the cell above]({picture}){{ .output }}"
    if "image/svg+xml" in data:
        return f'<div class="output">{"".join(data["image/svg+xml"])}</div>'
    if "text/html" in data:
        return f'<div class="output">\n{_without_blank_lines(data["text/html"])}\n</div>'
    return _text(data.get("text/plain", ""))


def _without_blank_lines(markup: str) -> str:
    # A blank line would end the block of HTML.
    return re.sub(r"\n\s*\n", "\n", markup)


def _text(text: str) -> str:
    return f'<pre class="output"><code>{html.escape(_COLOURS.sub("", text).rstrip())}</code></pre>'.replace(
        "\n\n", "\n&#8203;\n"
    )
