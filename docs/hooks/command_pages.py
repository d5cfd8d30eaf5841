"""The page of commands, generated from the command line."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer
from rich.text import Text

from disentmetrics.cli import app

_INTRODUCTION = """# Commands

`--help` describes every command. Results go to standard output, notes and progress to standard error.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | a check failed |
| 2 | wrong input; a sentence on standard error states the requirement |
| 3 | an encoder failed |
| 130 | interrupted |
"""


def page() -> str:
    """Return the reference of all commands as Markdown."""
    program = typer.main.get_command(app)
    return "\n\n".join([_INTRODUCTION, *_described(program, "disentmetrics", 1)])


def _described(command: Any, name: str, depth: int) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    if depth > 1:
        yield f"{'#' * min(depth, 3)} {name}"
        yield _help(command)
        context = command.make_context(name, [], resilient_parsing=True)
        yield _table([p for p in command.params if p.param_type_name == "argument"], context, "argument")
        yield _table([p for p in command.params if p.param_type_name == "option"], context, "option")
    for subname, subcommand in subcommands.items():
        if not subcommand.hidden:
            yield from _described(subcommand, f"{name} {subname}", depth + 1)


def _help(command: Any) -> str:
    text = inspect.cleandoc(command.help or "").replace("\b", "")
    description, *examples = re.split(r"\[bold\]Examples?\[/\]", text)
    lines = [" ".join(part.split()) for part in "".join(examples).split("\n\n") if part.strip()]
    shown = "\n".join(f"$ {line}" for line in lines)
    return _plain(description).strip() + (f"\n\n```console\n{_plain(shown)}\n```" if shown else "")


def _plain(markup: str) -> str:
    return Text.from_markup(markup).plain


def _table(parameters: list[Any], context: Any, what: str) -> str:
    rows = [row for parameter in parameters if (row := _row(parameter, context))]
    return "\n".join([f"| {what} | meaning |", "|---|---|", *rows]) if rows else ""


def _row(parameter: Any, context: Any) -> str | None:
    if parameter.name == "help" or parameter.hidden:
        return None
    placeholder = parameter.metavar or _choices(parameter)
    if parameter.param_type_name == "argument":
        name = f"`{placeholder or parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
        name += f" <small>{_escaped(placeholder)}</small>" if placeholder and not parameter.is_flag else ""
    text = _escaped(_plain(" ".join((parameter.help or "").split())))
    default = parameter.get_default(context, call=False)
    if isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        text += f" <small>Default: {_escaped(str(getattr(default, 'value', default)))}.</small>"
    return f"| {name} | {text} |"


def _choices(parameter: Any) -> str:
    kind: Any = parameter.type_descriptor.annotation
    is_choice = isinstance(kind, type) and issubclass(kind, Enum)
    return " or ".join(str(choice.value) for choice in kind) if is_choice else ""


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("\\|", "|").replace("|", "\\|").replace("*", "&#42;")
