"""Check of all texts of the project for words that a reader from the field would stumble over; run by ``make check``.

Standard terms replace them: information is *carried* or *encoded*, one dimension is a *latent*, a result variable is
named after what it contains. A phrase of :data:`ALLOWED` may contain a word, such as a quotation or a name.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".md", ".j2", ".toml", ".ipynb", ".yml", ".js", ".css"}

WORDS = {
    r"tells?|told|untold|telling": "carry, encode, report, distinguish",
    r"mends?|mended|mending": "fix",
    r"doors?": "integration",
    r"wanted": "target, y_test, required",
    r"guess(?:es|ed)?": "prediction, y_pred, estimate",
    r"stands? (?:beside|below|above|for itself|there|in)": "is, lies",
    r"aims?": "target",
    r"found by (?:itself|themselves)": "discovered automatically",
    r"one an? (?:file|metric|model|row|column|code|latent|factor|card|line|seed|encoder|framework|method|signature)":
        "one per ...",
    r"once an? (?:representation|file|run|row)": "once per ...",
    r"press(?:es|ed)? down": "penalise",
    r"(?:is|are) not to be had": "is not available",
    r"at (?:your|one's) word": "without verification",
    r"bit by bit": "bit for bit",
    r"go(?:es)? on with": "resume, continue",
    r"of one's own": "custom, user-defined",
    r"asks? (?:nothing )?of (?:any|an|the)": "require, request",
    r"comes? along": "ships with the package",
    r"anew": "again",
    r"(?:second|first) less (?:first|second)": "second − first",
}  # fmt: skip
"""Patterns of whole words, and what a paper would print instead."""

ALLOWED: tuple[str, ...] = (
    "docs/hooks/words.py",
    "tests/test_words.py",
    "disentmetrics/datasets/published/layouts.py: tell",  # the method of a file
    "disentmetrics/metrics/_mig_sup.py: telling",  # a value of an option, which signatures contain
    "disentmetrics/metrics/_modularity.py: told",  # idem
)
"""Files that may contain the words, or ``file: phrase`` for one phrase of a file."""

PATTERN = re.compile(rf"(?<![\w-])(?:{'|'.join(f'(?:{word})' for word in WORDS)})(?![\w-])", re.IGNORECASE)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts in a file, with line numbers: all of it, or the comments, strings and names of a Python file."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(content.splitlines(), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, tokenize.NAME}
    kinds |= {getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type in kinds:
            words = token.string.replace("_", " ") if token.type == tokenize.NAME else token.string
            yield from enumerate(words.splitlines(), token.start[0])


def faults(paths: list[Path]) -> Iterator[str]:
    """Yield one line for each word that must be replaced."""
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if name in ALLOWED:
            continue
        phrases = [entry.partition(": ")[2] for entry in ALLOWED if entry.startswith(f"{name}: ")]
        for number, line in texts(path):
            rest = line
            for phrase in phrases:
                rest = rest.replace(phrase, "")
            for match in PATTERN.finditer(rest):
                yield f"{name}:{number}: {match[0]!r} → {advice(match[0])}"


def advice(word: str) -> str:
    """Return the suggested replacement of a word.

    Examples
    --------
    >>> advice("told")
    'carry, encode, report, distinguish'
    """
    return next(better for pattern, better in WORDS.items() if re.fullmatch(pattern, word, re.IGNORECASE))


def main() -> int:
    """Print every banned word in the tracked files; return 1 if there is any."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.splitlines()]
    lines = list(faults([path for path in paths if path.suffix in SUFFIXES and path.is_file()]))
    print("\n".join(lines) if lines else "words: no faults")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
