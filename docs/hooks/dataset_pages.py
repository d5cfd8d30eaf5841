"""Documentation pages of the data sets, generated from their descriptions, with previews of rendered ones."""

from pathlib import Path

from kept import kept_file

from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.inspection.preview import label_of, save_preview
from disentmetrics.datasets.published.manifest import Manifest, manifests
from disentmetrics.factors import Factor

_MAX_VALUES = 8
_USER_PROVIDED = {"folder"}


def pages() -> dict[str, str]:
    """Return the Markdown of each data set's page, by the path of the page."""
    published = {manifest.name: manifest for manifest in manifests()}
    return {path_of(info.name): _page(info, published.get(info.name)) for info in list_datasets()}


def previews() -> dict[str, bytes]:
    """Return the preview of each image data set that needs no download, as PNG, by its path."""
    return {preview_path(info.name): _preview(info.name) for info in list_datasets() if _has_preview(info)}


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """Return the section of the navigation that links to the pages."""
    infos = list_datasets()
    return [
        {"Rendered here": [{info.name: path_of(info.name)} for info in infos if info.offline]},
        {"Published": [{info.name: path_of(info.name)} for info in infos if not info.offline]},
    ]


def path_of(name: str) -> str:
    """Return the path of the page of a data set."""
    return f"datasets/{name}.md"


def preview_path(name: str) -> str:
    """Return the path of the preview of a data set."""
    return f"datasets/{name}.png"


def _has_preview(info: DataSetInfo) -> bool:
    return info.offline and info.name not in _USER_PROVIDED and len(load_dataset(info.name).observation_shape) == 3


def _preview(name: str) -> bytes:
    def draw(path: Path) -> None:
        save_preview(load_dataset(name), path, n_samples=24)

    return kept_file(f"preview-{name}.png", draw).read_bytes()


def _page(info: DataSetInfo, published: Manifest | None) -> str:
    parts = [f"# {info.name}", f"{info.summary[0].upper()}{info.summary[1:]}."]
    if _has_preview(info):
        parts.append(f"![Samples of {info.name}, then one row per factor](../{preview_path(info.name)}){{ .sheet }}")
    if len(info.space):
        rows = [f"| {f.name} | {f.size or 'real'} | {f.kind_spec} | {_values(f)} |" for f in info.space]
        parts.append("\n".join(["## Factors", "", "| factor | size | kind | values |", "|---|---|---|---|", *rows]))
    parts += ["## Facts", _facts(info)]
    parts += [f"!!! note\n\n    {remark[0].upper()}{remark[1:]}." for remark in info.remarks]
    if published:
        parts.append(_files(published))
    if info.bibtex:
        parts.append(f"## Cite\n\n```bibtex\n{info.bibtex.strip()}\n```")
    return "\n\n".join(parts)


def _facts(info: DataSetInfo) -> str:
    rows = [
        ("observations", "any number" if info.size is None else f"{info.size:,}"),
        ("download", _download(info)),
        ("nuisances", ", ".join(info.nuisances)),
        ("licence", info.licence),
        ("source", info.citation),
        ("homepage", f"<{info.homepage}>" if info.homepage else ""),
    ]
    lines = [f"| **{name}** | {text.replace('|', '&#124;')} |" for name, text in rows if text]
    return "\n".join(["|  |  |", "|---|---|", *lines])


def _download(info: DataSetInfo) -> str:
    if info.name in _USER_PROVIDED:
        return "none: your files"
    return "none: generated locally, identical on every machine" if info.offline else "required"


def _values(factor: Factor) -> str:
    labels = [label_of(factor, index) for index in range(len(factor.values))]
    shown = ", ".join(labels[:_MAX_VALUES])
    return f"{shown} and {len(labels) - _MAX_VALUES} more" if len(labels) > _MAX_VALUES else shown


def _files(published: Manifest) -> str:
    rows = ["## Files", "", "| file | bytes | checksum |", "|---|---|---|"]
    for file in published.files:
        size = "unknown" if file.n_bytes is None else f"{file.n_bytes:,}"
        sums = "<br>".join(f"{algorithm} <code>{value}</code>" for algorithm, value in file.checksums.items())
        rows.append(f"| {file.name} | {size} | {sums or 'none published'} |")
    return "\n".join(rows)
