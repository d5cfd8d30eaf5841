r"""The blocks of code of a page, run in order in one folder, and compared with what the page says they print.

- ``python`` blocks share one interpreter; a ``text`` block right below holds what the block prints;
- ``console`` blocks hold commands after ``$`` and what each prints (any output where nothing stands); a
  command must succeed unless the next one is ``echo $?``;
- a block with ``title="FILE.EXT"`` is written to that file; with ``title="not run: REASON"`` it is left alone;
- ``...`` stands for anything.

Run as a program it writes into pages what their blocks print: ``python docs/hooks/blocks.py docs/tutorial.md``.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from preloaded import preloaded

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_TITLE = re.compile(r'title="([^"]+)"')
_DECIMAL = r"(?<![\w.])\d+\.\d+(?![\w.])"
_INTERPRETER = """
import contextlib, io, json, sys
answers, space = sys.stdout, {"__name__": "__main__"}
for line in sys.stdin:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(json.loads(line), "<block>", "exec"), space)
    print(json.dumps(said.getvalue()), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Block:
    """One block of code of a page.

    Attributes
    ----------
    language, title, code : str
    start, end, indent : int
        Where the code stands in the page, and how far it is indented.
    printed : Block or None
        The block right below that holds what this one prints.
    """

    language: str
    title: str
    code: str
    start: int
    end: int
    indent: int
    printed: "Block | None" = None

    @property
    def is_skipped(self) -> bool:
        """Whether the page says that, and why, it is not run."""
        return self.title.startswith("not run: ")

    @property
    def is_file(self) -> bool:
        """Whether it is the content of the file in the title."""
        return bool(self.title) and not self.is_skipped

    @property
    def is_run(self) -> bool:
        """Whether it is a step of the page."""
        return self.is_file or (self.language in {"python", "console"} and not self.is_skipped)


@dataclass
class Difference:
    """What a page says that a block prints, and what it prints."""

    block: Block
    said: str
    printed: str
    new_code: str = field(default="", repr=False)


def blocks(text: str) -> list[Block]:
    r"""Return the blocks of a page, those that hold output at the block that prints it.

    Examples
    --------
    >>> first, second = blocks("```python\nprint(1)\n```\n\n```text\n1\n```\n\n```toml\na = 1\n```\n")
    >>> first.code, first.printed.code, second.is_run
    ('print(1)\n', '1\n', False)
    """
    found: list[Block] = []
    last_end = 0
    for match in _FENCE.finditer(text):
        title = _TITLE.search(match["rest"])
        block = Block(
            match["language"], title[1] if title else "", textwrap.dedent(match["body"]), *match.span("body"),
            len(match["indent"]),
        )  # fmt: skip
        follows = found and found[-1].language == "python" and not text[last_end : match.start()].strip()
        if follows and block.language in {"", "text"} and not found[-1].is_file:
            found[-1] = replace(found[-1], printed=block)
        else:
            found.append(block)
        last_end = match.end()
    return found


def differences(text: str, folder: Path) -> Iterator[Difference]:
    """Run the blocks of a page in a folder; yield where it prints something else than the page says.

    Raises
    ------
    CalledProcessError
        If a command or a block of Python fails.
    """
    steps = blocks(text)
    commands = any(block.is_run and block.language == "console" for block in steps)
    server = preloaded(environment(folder)) if commands else contextlib.nullcontext(Path(sys.executable).parent)
    with _interpreter(folder) as answer, server as programs:
        for block in steps:
            if block.is_file:
                path = folder / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.code, encoding="utf-8")
            elif block.is_run and block.language == "python":
                printed = answer(block.code)
                if block.printed and not matches(block.printed.code, printed):
                    yield Difference(block.printed, block.printed.code, printed, printed)
            elif block.is_run:
                yield from _console(block, folder, programs)


def _console(block: Block, folder: Path, programs: Path) -> Iterator[Difference]:
    settings = environment(folder)
    settings["PATH"] = os.pathsep.join([str(programs), settings["PATH"]])
    steps = [step for step in re.split(r"^(?=\$ )", block.code, flags=re.MULTILINE) if step.strip()]
    status, says, prints = 0, "", ""
    commands = [re.match(r"\$ (.*(?:\\\n.*)*)\n?", step) for step in steps]
    for position, (step, found) in enumerate(zip(steps, commands, strict=True)):
        if found is None:
            raise ValueError(f"a console block must begin with '$ '; got {step!r}")
        command, said = found[1], step[found.end() :]
        done = subprocess.run(
            ["bash", "-c", f"(exit {status}); {command}"],
            cwd=folder, env=settings, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        status = done.returncode
        looked_at = position + 1 < len(steps) and "$ echo $?" in steps[position + 1]
        if status and not looked_at:
            raise subprocess.CalledProcessError(status, command, done.stdout)
        fits = not said.strip() or matches(said, done.stdout)
        space = "\n" if said.endswith("\n\n") else ""
        says += f"$ {command}\n{said}"
        prints += f"$ {command}\n{said if fits else _lines(done.stdout) + space}"
    if says != prints:
        yield Difference(block, says, prints, prints)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a page's commands: files of the page can be imported, and the machine does not show."""
    hidden = {"GITHUB_ACTIONS", "CI", "PYTHONWARNINGS", "COLUMNS", "FORCE_COLOR"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**kept, "PATH": search, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "error", "NO_COLOR": "1"}


def matches(said: str, printed: str) -> bool:
    r"""Tell whether a page says what is printed.

    ``...`` stands for anything, the last digit of a decimal may differ by two (processors round differently), and
    columns may be wider.

    Examples
    --------
    >>> matches("a ... c\n...\n", "a b c\nd\ne\n"), matches("mig  0.47", "mig   0.48"), matches("0.47", "0.50")
    (True, True, False)
    """
    said, printed = _lines(said), _lines(printed)
    pieces = re.split(rf"({_DECIMAL}|\.\.\.|\s+)", said)
    found = re.fullmatch("".join(_pattern(piece) for piece in pieces), printed, re.DOTALL)
    decimals = [piece for piece in pieces if re.fullmatch(_DECIMAL, piece)]
    return found is not None and all(map(_close, decimals, found.groups()))


def _pattern(piece: str) -> str:
    if piece == "...":
        return ".*"
    if re.fullmatch(_DECIMAL, piece):
        return f"({_DECIMAL})"
    return r"\s+" if piece.isspace() else re.escape(piece)


def _close(said: str, printed: str) -> bool:
    digits = len(said.partition(".")[2])
    return len(printed.partition(".")[2]) == digits and abs(float(said) - float(printed)) < 2.5 * 10**-digits


def _lines(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


@contextlib.contextmanager
def _interpreter(folder: Path) -> Iterator[Callable[[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERPRETER], cwd=folder, env=environment(folder), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    assert process.stdin
    assert process.stdout
    assert process.stderr
    questions, answers, errors = process.stdin, process.stdout, process.stderr

    def answer(code: str) -> str:
        questions.write(json.dumps(code) + "\n")
        questions.flush()
        line = answers.readline()
        if not line:
            raise subprocess.CalledProcessError(process.wait(), code, stderr=errors.read())
        return str(json.loads(line))

    try:
        yield answer
    finally:
        questions.close()
        process.wait()
        answers.close()
        errors.close()


@contextlib.contextmanager
def page_folder() -> Iterator[Path]:
    """Yield a folder for the blocks of one page; the examples of the repository lie in it."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(ROOT / "examples", Path(name) / "examples")
        yield Path(name)


def update(page: Path) -> int:
    """Write into a page what its blocks print; return how many blocks changed."""
    text = page.read_text(encoding="utf-8")
    with page_folder() as folder:
        found = list(differences(text, folder))
    for difference in reversed(found):
        block = difference.block
        code = textwrap.indent(_lines(difference.new_code), " " * block.indent)
        text = text[: block.start] + code + text[block.end :]
    page.write_text(text, encoding="utf-8")
    return len(found)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            print(f"{name}: {update(Path(name))} blocks written anew")
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name}: {error.cmd}\n{error.stdout or ''}{error.stderr or ''}")
