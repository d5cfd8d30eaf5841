r"""The blocks of code of a page, run in order in one folder and compared with the output on the page.

- ``python`` blocks share one interpreter; a ``text`` block directly below contains the output;
- ``console`` blocks contain commands after ``$`` and their output (any output if none is given); a command must
  succeed unless the next one is ``echo $?``;
- a block with ``title="FILE.EXT"`` is written to that file, one below ``<!-- not run: REASON -->`` is skipped;
- ``...`` matches anything.

As a program it updates the output in pages: ``python docs/hooks/blocks.py docs/tutorial.md``.
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

from preloaded import environment, preloaded

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z")
_DECIMAL = r"(?<![\w.])\d+\.\d+(?![\w.])"


@dataclass(frozen=True)
class Block:
    """One block of code of a page.

    Attributes
    ----------
    language, title, code : str
    start, end, indent : int
        Position of the code in the page, and its indentation.
    printed : Block or None
        The block directly below with the output of this one.
    reason : str
        Why the block is not run; empty if it is.
    """

    language: str
    title: str
    code: str
    start: int
    end: int
    indent: int
    printed: "Block | None" = None
    reason: str = ""

    @property
    def is_skipped(self) -> bool:
        """Whether the page gives a reason not to run it."""
        return bool(self.reason)

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
    """Expected and actual output of a block."""

    block: Block
    expected: str
    printed: str
    new_code: str = field(default="", repr=False)


def blocks(text: str) -> list[Block]:
    r"""Return the blocks of a page; expected output is attached to the block that prints it.

    Examples
    --------
    >>> first, second = blocks("```python\nprint(1)\n```\n\n```text\n1\n```\n\n```toml\na = 1\n```\n")
    >>> first.code, first.printed.code, second.is_run
    ('print(1)\n', '1\n', False)
    """
    listed: list[Block] = []
    last_end = 0
    for match in _FENCE.finditer(text):
        title = _TITLE.search(match["rest"])
        block = Block(
            match["language"], title[1] if title else "", textwrap.dedent(match["body"]), *match.span("body"),
            len(match["indent"]), reason=_reason(text[last_end : match.start()]),
        )  # fmt: skip
        follows = listed and listed[-1].language == "python" and not text[last_end : match.start()].strip()
        if follows and block.language in {"", "text"} and not listed[-1].is_file:
            listed[-1] = replace(listed[-1], printed=block)
        else:
            listed.append(block)
        last_end = match.end()
    return listed


def _reason(above: str) -> str:
    comment = _NOT_RUN.search(above)
    return comment[1] if comment else ""


def differences(text: str, folder: Path) -> Iterator[Difference]:
    """Run the blocks of a page in a folder; yield every block whose output differs from the page.

    Raises
    ------
    CalledProcessError
        If a command or a block of Python fails.
    """
    steps = blocks(text)
    programs = preloaded()
    with _interpreter(folder, programs) as answer:
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
    status, page, actual = 0, "", ""
    commands = [re.match(r"\$ (.*(?:\\\n.*)*)\n?", step) for step in steps]
    for position, (step, match) in enumerate(zip(steps, commands, strict=True)):
        if match is None:
            raise ValueError(f"a console block must begin with '$ '; got {step!r}")
        command, expected = match[1], step[match.end() :]
        done = subprocess.run(
            ["bash", "-c", f"(exit {status}); {command}"],
            cwd=folder, env=settings, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        status = done.returncode
        looked_at = position + 1 < len(steps) and "$ echo $?" in steps[position + 1]
        if status and not looked_at:
            raise subprocess.CalledProcessError(status, command, done.stdout)
        fits = not expected.strip() or matches(expected, done.stdout)
        space = "\n" if expected.endswith("\n\n") else ""
        page += f"$ {command}\n{expected}"
        actual += f"$ {command}\n{expected if fits else _lines(done.stdout) + space}"
    if page != actual:
        yield Difference(block, page, actual, actual)


def matches(expected: str, printed: str) -> bool:
    r"""Return whether printed output matches the page.

    ``...`` matches anything, the last digit of a decimal may differ by two (processors round differently), and
    columns may be wider.

    Examples
    --------
    >>> matches("a ... c\n...\n", "a b c\nd\ne\n"), matches("mig  0.47", "mig   0.48"), matches("0.47", "0.50")
    (True, True, False)
    """
    expected, printed = _lines(expected), _lines(printed)
    pieces = re.split(rf"({_DECIMAL}|\.\.\.|\s+)", expected)
    match = re.fullmatch("".join(_pattern(piece) for piece in pieces), printed, re.DOTALL)
    decimals = [piece for piece in pieces if re.fullmatch(_DECIMAL, piece)]
    return match is not None and all(map(_close, decimals, match.groups()))


def _pattern(piece: str) -> str:
    if piece == "...":
        return ".*"
    if re.fullmatch(_DECIMAL, piece):
        return f"({_DECIMAL})"
    return r"\s+" if piece.isspace() else re.escape(piece)


def _close(expected: str, printed: str) -> bool:
    digits = len(expected.partition(".")[2])
    return len(printed.partition(".")[2]) == digits and abs(float(expected) - float(printed)) < 2.5 * 10**-digits


def _lines(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


@contextlib.contextmanager
def _interpreter(folder: Path, programs: Path) -> Iterator[Callable[[str], str]]:
    process = subprocess.Popen(
        [programs / "answer-blocks"], cwd=folder, env=environment(folder), text=True,
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
    """Yield a folder for the blocks of one page, with the examples of the repository."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(ROOT / "examples", Path(name) / "examples")
        yield Path(name)


def update(page: Path) -> int:
    """Update the output of the blocks of a page; return how many changed."""
    text = page.read_text(encoding="utf-8")
    with page_folder() as folder:
        changed = list(differences(text, folder))
    for difference in reversed(changed):
        block = difference.block
        code = textwrap.indent(_lines(difference.new_code), " " * block.indent)
        text = text[: block.start] + code + text[block.end :]
    page.write_text(text, encoding="utf-8")
    return len(changed)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            print(f"{name}: {update(Path(name))} blocks updated")
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name}: {error.cmd}\n{error.stdout or ''}{error.stderr or ''}")
