"""A page for each data set, from what it says of itself; images that are rendered here are shown."""

from pathlib import Path

from kept import kept_file

from disentmetrics.datasets import list_datasets, load_dataset
from disentmetrics.datasets.base import DataSetInfo
from disentmetrics.datasets.inspection.preview import label_of, save_preview
from disentmetrics.datasets.published.manifest import Manifest, manifests
from disentmetrics.factors import Factor

_MOST_VALUES = 8
_OF_THE_USER = {"folder"}


def pages() -> dict[str, str]:
    """Return the Markdown of each data set's page, by the path of the page."""
    published = {manifest.name: manifest for manifest in manifests()}
    return {path_of(info.name): _page(info, published.get(info.name)) for info in list_datasets()}


def pictures() -> dict[str, bytes]:
    """Return a sheet of each data set that needs no download, by the path of the picture."""
    return {picture_of(info.name): _sheet(info.name) for info in list_datasets() if _has_picture(info)}


def navigation() -> list[dict[str, list[dict[str, str]]]]:
    """Return the part of the navigation that leads to the pages."""
    found = list_datasets()
    return [
        {"Rendered here": [{info.name: path_of(info.name)} for info in found if info.offline]},
        {"Published": [{info.name: path_of(info.name)} for info in found if not info.offline]},
    ]


def path_of(name: str) -> str:
    """Return where the page of a data set lies."""
    return f"datasets/{name}.md"


def picture_of(name: str) -> str:
    """Return where the picture of a data set lies."""
    return f"datasets/{name}.png"


def _has_picture(info: DataSetInfo) -> bool:
    return info.offline and info.name not in _OF_THE_USER and len(load_dataset(info.name).observation_shape) == 3


def _sheet(name: str) -> bytes:
    def draw(path: Path) -> None:
        save_preview(load_dataset(name), path, n_samples=24)

    return kept_file(f"preview-{name}.png", draw).read_bytes()


def _page(info: DataSetInfo, published: Manifest | None) -> str:
    parts = [f"# {info.name}", f"{info.summary[0].upper()}{info.summary[1:]}."]
    if _has_picture(info):
        parts.append(f"![Samples of {info.name}, then a row for each factor](../{picture_of(info.name)}){{ .sheet }}")
    if len(info.space):
        rows = [f"| {f.name} | {f.size or 'real'} | {f.kind} | {_values(f)} |" for f in info.space]
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
        ("download", "none: rendered or drawn here, the same bytes on every machine" if info.offline else "needed"),
        ("varies besides", ", ".join(info.nuisances)),
        ("licence", info.licence),
        ("source", info.citation),
        ("homepage", f"<{info.homepage}>" if info.homepage else ""),
    ]
    lines = [f"| **{name}** | {text.replace('|', '&#124;')} |" for name, text in rows if text]
    return "\n".join(["|  |  |", "|---|---|", *lines])


def _values(factor: Factor) -> str:
    labels = [label_of(factor, index) for index in range(len(factor.values))]
    shown = ", ".join(labels[:_MOST_VALUES])
    return f"{shown} and {len(labels) - _MOST_VALUES} more" if len(labels) > _MOST_VALUES else shown


def _files(published: Manifest) -> str:
    rows = ["## Files", "", "| file | bytes | checksum |", "|---|---|---|"]
    for file in published.files:
        size = "not known" if file.n_bytes is None else f"{file.n_bytes:,}"
        sums = "<br>".join(f"{algorithm} <code>{value}</code>" for algorithm, value in file.checksums.items())
        rows.append(f"| {file.name} | {size} | {sums or 'none is published'} |")
    return "\n".join(rows)
