"""Objects of an HDF5 file that lie in the file itself."""

from typing import Any

import h5py

from disentmetrics.errors import UntrustedFileError


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
