"""The operators that a TorchScript archive uses, read from its source before torch loads it.

A TorchScript archive is a program: ``aten::save`` in its source writes any file, and ``torch.jit.load`` may already run
methods of its classes. Its source names every operator, as ``torch.NAME``, ``ops.NAMESPACE.NAME`` or a method
``x.NAME``. An operator is allowed if it computes with tensors, numbers, devices and texts other than names of files.
"""

import functools
import re
import zipfile
from pathlib import Path
from typing import Any

from disentmetrics.errors import CorruptFileError, one_line

MAX_SOURCE_BYTES = 64 << 20
_NAMESPACES = {"aten", "prim", "quantized", "_quantized"}
_REFUSED_PRIMITIVES = {"rpc_async", "rpc_remote", "rpc_sync", "PythonOp", "IgnoredPythonOp"}
_SIDE_EFFECTS = {"save", "from_file"}
_REFUSED_TYPES = ("RRef", "Storage", "Stream", "torch.classes")
_QUANTISED_WEIGHTS = ("torch.classes.quantized", "torch.classes.sparse", "torch.classes.rnn")
# The parser skips blanks, line breaks and comments around a dot.
_BLANK = r"(?:[\s\\]|#[^\n]*(?:\n|$))*"
_ATTRIBUTE = re.compile(rf"\.{_BLANK}([A-Za-z_]\w*)")
_NAMESPACE = re.compile(rf"\bops{_BLANK}\.{_BLANK}([A-Za-z_]\w*)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_CLASSES = re.compile(rb"torch\.classes\.(\w+)")
_PARAMETERS = {b"quantized", b"sparse", b"rnn", b"mkldnn", b"xnnpack"}
"""Namespaces of classes in C++ that hold packed weights."""


def refused_operators(file: Path) -> list[str]:
    """Return the operators in the source of an archive that do more than tensor arithmetic.

    Raises
    ------
    CorruptFileError
        If the file is not an archive, is in the format before PyTorch 1.2, contains two members of one name, or more
        than 64 MB of source.
    """
    found: set[str] = set()
    refused = _refused_names()
    for content in _members(file):
        found |= {f"torch.classes.{n.decode()}" for n in _CLASSES.findall(content) if n not in _PARAMETERS}
        text = content.decode("utf-8", "surrogateescape")
        names = set(_ATTRIBUTE.findall(text))
        if re.search(r"\bgetattr\b", text):  # attributes may be named by texts
            names |= set(_NAME.findall(text))
        found |= names & refused
        found |= {f"ops.{namespace}" for namespace in _NAMESPACE.findall(text) if namespace not in _NAMESPACES}
    return sorted(found)


def _members(file: Path) -> list[bytes]:
    """Return the source and the pickles of an archive, which name the classes of its objects."""
    problem = ""
    try:
        with zipfile.ZipFile(file) as archive:
            members = [name.lower() for name in archive.namelist()]  # torch ignores the case of names
            if len({*members}) < len(members):
                problem = "it contains two members of one name"
            if any(name.endswith("model.json") for name in members):
                problem = "it is in a format of PyTorch before 1.2; save it again"
            sources = [info for info in archive.infolist() if info.filename.lower().endswith((".py", ".pkl"))]
            if sum(info.file_size for info in sources) > MAX_SOURCE_BYTES:
                problem = f"its source exceeds {MAX_SOURCE_BYTES >> 20} MB"
            if not problem:
                return [archive.read(info) for info in sources]
    except Exception as error:  # of zipfile and decompressors, of many kinds
        raise CorruptFileError(f"{file} is damaged, or not a TorchScript archive: {one_line(error)}") from error
    raise CorruptFileError(f"{file} is damaged, or not a TorchScript archive: {problem}")


@functools.cache
def _refused_names() -> frozenset[str]:
    """Return the last parts of the names of all operators that are not allowed, in any loaded library."""
    import torch

    schemas = torch._C._jit_get_all_schemas()  # noqa: SLF001 - there is no public list
    allowed = {schema.name for schema in schemas}
    allowed -= {schema.name for schema in schemas if not _is_arithmetic(schema)}
    names = {schema.name: schema.name.rpartition("::")[2] for schema in schemas}
    by_torch = {names[name] for name in allowed if name.startswith(("aten::", "prim::"))}
    return frozenset({short for name, short in names.items() if name not in allowed} - by_torch)


def _is_arithmetic(schema: Any) -> bool:
    namespace, _, name = schema.name.partition("::")
    if namespace not in _NAMESPACES or name in _SIDE_EFFECTS or name in _REFUSED_PRIMITIVES:
        return False
    if any("str" in str(a.type) and a.name in {"filename", "path", "file"} for a in schema.arguments):
        return False
    types = [str(argument.type) for argument in (*schema.arguments, *schema.returns)]
    return not any(
        refused in text and not any(weights in text for weights in _QUANTISED_WEIGHTS)
        for text in types
        for refused in _REFUSED_TYPES
    )
