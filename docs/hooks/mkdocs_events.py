"""Parts of the site other than the hand-written pages."""

import re
from pathlib import Path
from typing import Any

import adapter_pages
import command_pages
import dataset_pages
import figures
import metric_pages
import model_pages
import notebooks
import rooms
import uncertainty_figure
from checked import faults
from kept import ROOT
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_GENERATED = {
    "<!-- leaderboard -->": figures.leaderboard,
    "<!-- rooms -->": rooms.figure,
    "<!-- uncertainty -->": uncertainty_figure.figure,
    "<!-- claims -->": metric_pages.claims_table,
    "<!-- schemes -->": adapter_pages.table,
    "<!-- methods -->": model_pages.table,
}
_EXAMPLE = re.compile(r"\]\((?:\.\./)+examples/([\w/-]+)\.(py|c)\)")


def on_config(config: Any) -> Any:
    """Add the generated pages to the navigation, where a section ends in ``GENERATED``."""
    made = {
        "GENERATED metrics": metric_pages.navigation,
        "GENERATED models": model_pages.navigation,
        "GENERATED adapters": adapter_pages.navigation,
        "GENERATED datasets": dataset_pages.navigation,
        "GENERATED examples": lambda: [{name: page} for name, page in sorted(_examples().items())],
    }
    config.nav = _filled(config.nav, made)
    return config


def _filled(nav: list[Any], made: dict[str, Any]) -> list[Any]:
    filled: list[Any] = []
    for item in nav:
        if isinstance(item, str) and item in made:
            filled += made[item]()
        elif isinstance(item, dict):
            filled.append({title: _filled(v, made) if isinstance(v, list) else v for title, v in item.items()})
        else:
            filled.append(item)
    return filled


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and images."""
    made: dict[str, str | bytes] = {
        **metric_pages.pages(),
        **model_pages.pages(),
        **adapter_pages.pages(),
        **dataset_pages.pages(),
        **dataset_pages.previews(),
        **notebooks.pages(),
        **{page: _example(ROOT / "examples" / name) for name, page in _examples().items()},
        "commands.md": command_pages.page(),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def _examples() -> dict[str, str]:
    found = [path for path in (ROOT / "examples").iterdir() if path.suffix in {".py", ".c"}]
    return {path.name: f"examples/{path.stem}-{path.suffix[1:]}.md" for path in found}


def _example(path: Path) -> str:
    return f"# {path.name}\n\n```{path.suffix[1:]}\n{path.read_text(encoding='utf-8').strip()}\n```"


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Insert generated content, and redirect links to repository files to the pages that show them."""
    for mark, make in _GENERATED.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return _EXAMPLE.sub(rf"]({'../' * page.file.src_uri.count('/')}examples/\1-\2.md)", markdown)


def on_page_content(html: str, page: Page, config: Any, files: Files) -> str:
    """Link the names of metrics to their pages."""
    known = metric_pages.pages_by_name()

    def linked(found: re.Match[str]) -> str:
        target = files.get_file_from_path(known.get(found[2], ""))
        if target is None or target.src_uri == page.file.src_uri:
            return found[0]
        return f'<a href="{target.url_relative_to(page.file)}">{found[1]}</a>'

    pieces = re.split(r"(<a\b.*?</a>|<h[1-6]\b.*?</h[1-6]>|<pre\b.*?</pre>)", html, flags=re.DOTALL)
    return "".join(
        piece if position % 2 else re.sub(r"(<code>([a-z_0-9]+)(?:@[a-z_0-9]+)?</code>)", linked, piece)
        for position, piece in enumerate(pieces)
    )


def on_post_build(config: Any) -> None:
    """Fail if a link is broken or a page loads something from the network."""
    found = list(faults(Path(config.site_dir).resolve()))
    if found:
        raise PluginError("\n".join(["the site has errors:", *found]))
