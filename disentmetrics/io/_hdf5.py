"""Program that reads parts of an HDF5 file in a process of its own: ``python _hdf5.py FILE SECONDS BYTES PART...``.

On a damaged file libhdf5 may abort its process, or follow references in a circle forever. Errors are left to the main
program, which repeats what did not end this process.
"""

import contextlib
import sys
from typing import Any

_DEEPEST = 4
_BLOCK = 1 << 24


def _limit_time(seconds: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # there is no such limit on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(node: Any, n_bytes: int, depth: int = 0) -> None:
    """Read attributes, and arrays of at most ``n_bytes``."""
    import h5py

    with contextlib.suppress(Exception):
        dict(node.attrs)
    for name in node.attrs:
        with contextlib.suppress(Exception):
            node.attrs[name]
    if isinstance(node, h5py.Dataset):
        _read_array(node, n_bytes)
    elif depth < _DEEPEST:
        for name in node:
            with contextlib.suppress(Exception):
                if not isinstance(node.get(name, getlink=True), h5py.ExternalLink):
                    _read(node[name], n_bytes, depth + 1)


def _read_array(array: Any, n_bytes: int) -> None:
    """Read an array of at most ``n_bytes``, piece by piece."""
    size = (array.size or 0) * array.dtype.itemsize
    if array.external or array.is_virtual or not n_bytes or size > n_bytes:
        return
    if array.chunks:  # each is decompressed once
        for chunk in array.iter_chunks():
            array[chunk]
    elif array.shape:
        step = max(1, _BLOCK * array.shape[0] // max(1, size))
        for start in range(0, array.shape[0], step):
            array[start : start + step]
    else:
        array[()]


def main() -> None:
    """Read everything below the given parts."""
    path, seconds, n_bytes, *parts = sys.argv[1:]
    _limit_time(int(seconds))
    import h5py

    with contextlib.suppress(Exception), h5py.File(path) as file:
        dict(file.attrs)
        list(file)
        for part in parts:
            with contextlib.suppress(Exception):
                if not isinstance(file.get(part, getlink=True), h5py.ExternalLink):
                    _read(file[part], int(n_bytes))


if __name__ == "__main__":
    main()
