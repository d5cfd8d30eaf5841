"""A page for each method, generated from its docstring and its configuration."""

import dataclasses
import inspect
from collections.abc import Mapping

from disentmetrics_reference_models.training.config import Config
from disentmetrics_reference_models.training.method import PRESETS, Method
from disentmetrics_reference_models.training.registry import find_methods
from docstrings import body, summary


def pages() -> dict[str, str]:
    """Return the Markdown of the page of each method, by path."""
    return {path_of(method): _page(method) for method in find_methods().values()}


def navigation() -> list[dict[str, str]]:
    """Return the navigation entries of the pages."""
    return [{method.name: path_of(method)} for method in find_methods().values()]


def path_of(method: Method) -> str:
    """Return the path of the page of a method."""
    return f"models/{method.name}.md"


def table() -> str:
    """Return a Markdown table of all methods with their papers."""
    rows = [f"| [{m.name}]({path_of(m)}) | {m.summary} | {m.paper} |" for m in find_methods().values()]
    return "\n".join(["| method | objective | source |", "|---|---|---|", *rows])


def _page(method: Method) -> str:
    docstring = inspect.getdoc(method.objective) or ""
    description, _, failure = body(docstring).partition("Known failure: ")
    parts = [f"# {method.name}", summary(docstring), f"**Source.** {method.paper}.", description.strip()]
    if failure:
        parts.append(f'!!! failure "Known failure"\n\n    {" ".join(failure.split())}')
    parts += ["## Training", _command(method), "## Hyperparameters", _about(method.config), _settings(method)]
    if method.published:
        parts += [
            "## Other data sets",
            "Settings of the preset `paper` that differ for these data sets:",
            _published(method),
        ]
    parts.append(
        f"The source file is `reference_models/{method.objective.__module__.replace('.', '/')}.py`; "
        "networks, priors and the training loop are shared by all methods."
    )
    return "\n\n".join(parts)


def _command(method: Method) -> str:
    return (
        "```console\n"
        f"$ disentmetrics train {method.name} --data dsprites --preset smoke --out run\n"
        "$ disentmetrics score reference:run --data dsprites\n"
        "```"
    )


def _about(config: type[Config]) -> str:
    return body(inspect.getdoc(config) or "", level=3, leave_out=frozenset({"Attributes"}))


def _settings(method: Method) -> str:
    presets = {name: method.preset(name) for name in reversed(PRESETS)}
    rows = [f"| hyperparameter | {' | '.join(presets)} | meaning |", f"|---|{'---|' * len(presets)}---|"]
    descriptions = {**_meanings(Config), **_meanings(method.config)}
    own = {field.name for field in dataclasses.fields(method.config)} - {f.name for f in dataclasses.fields(Config)}
    ordered = sorted(dataclasses.fields(method.config), key=lambda field: field.name not in own)
    for field in ordered:
        values = " | ".join(f"{getattr(preset, field.name)}" for preset in presets.values())
        rows.append(f"| `{field.name}` | {values} | {descriptions.get(field.name, '')} |")
    return "\n".join(rows)


def _published(method: Method) -> str:
    rows = [f"| `{data}` | {_assigned(fields)} |" for data, fields in method.published.items()]
    return "\n".join(["| data set | settings |", "|---|---|", *rows])


def _assigned(fields: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in fields.items())


def _meanings(config: type[Config]) -> dict[str, str]:
    """Return the description of each attribute in a docstring."""
    meanings: dict[str, str] = {}
    _, _, listed = (inspect.getdoc(config) or "").partition("Attributes\n----------\n")
    names: list[str] = []
    for line in listed.partition("\n\n")[0].splitlines():
        if not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        else:
            for name in names:
                meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip().replace("|", "&#124;")
    return meanings
