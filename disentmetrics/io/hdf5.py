"""HDF5 files from elsewhere: a first reading that may fail badly, and objects that lie in the file itself."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from disentmetrics.errors import CorruptFileError, UntrustedFileError

_SIGXCPU = 24


def rehearse(path: Path, parts: Sequence[str], max_bytes: int) -> None:
    """Read parts of a file in another process first, since libhdf5 may abort or never return on a damaged one.

    Parameters
    ----------
    path : Path
    parts : sequence of str
        Names of groups or arrays that will be read; everything below them is.
    max_bytes : int
        Arrays larger than this are not read; 0 reads no array, only what describes them.

    Raises
    ------
    CorruptFileError
        If the process crashes, or needs more time than :func:`time_limit`.
    """
    seconds = time_limit(path, max_bytes)
    program = [sys.executable, "-P", str(Path(__file__).with_name("_hdf5.py")), str(path), str(seconds), str(max_bytes)]
    try:
        done = subprocess.run(  # noqa: S603 - a program of our own
            [*program, *parts], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10 * seconds
        )
    except subprocess.TimeoutExpired as error:
        raise CorruptFileError(_too_slow(path, seconds)) from error
    if done.returncode == -_SIGXCPU:
        raise CorruptFileError(_too_slow(path, seconds))
    if done.returncode not in (0, 1):  # 1 after an error of Python, which reading again will show
        raise CorruptFileError(
            f"{path} must be an intact HDF5 file; the HDF5 library crashes on it (exit code {done.returncode}); "
            "write it again"
        )


def time_limit(path: Path, max_bytes: int) -> int:
    """Return the seconds of CPU in which a file must be read: 10, one per 20 MB, and one per 200 MB of its arrays."""
    return 10 + path.stat().st_size // 20_000_000 + max_bytes // 200_000_000


def _too_slow(path: Path, seconds: int) -> str:
    return (
        f"{path} must be an intact HDF5 file; reading it took more than {seconds} s: it may refer to itself in a "
        "circle, or have very small chunks; write it again"
    )


def own_object(group: h5py.Group, name: str) -> Any:
    """Return the object of this name in a group, which must not refer to another file.

    HDF5 can refer to other files by external links, raw storage and virtual data sets. A file from elsewhere could so
    reveal any file of the user, or wait for a pipe forever.

    Parameters
    ----------
    group : h5py.Group
        An open file or a group in it.
    name : str
        A path with ``/`` between its steps.

    Raises
    ------
    KeyError
        If there is no such object.
    UntrustedFileError
        If the object refers to another file.
    """
    node: Any = group
    for step in filter(None, name.split("/")):
        if isinstance(node.get(step, getlink=True), h5py.ExternalLink):
            raise _refers(group, name)
        node = node[step]
    if isinstance(node, h5py.Dataset) and (node.external or node.is_virtual):
        raise _refers(group, name)
    if node.file.filename != group.file.filename:  # a soft link through a link to another file
        raise _refers(group, name)
    return node


def _refers(group: h5py.Group, name: str) -> UntrustedFileError:
    return UntrustedFileError(
        f"{group.file.filename} must contain its arrays; {name} lies in another file, which is not read; "
        "write a file that contains everything"
    )
