"""Origin of the rows of a representation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """Origin of the rows of a representation.

    Attributes
    ----------
    data : str
        Fingerprint of the data set, or of the arrays.
    encoder : str
        Fingerprint of the encoder, or ``unknown``.
    rows : str
        Identifier of the rows: ``grid`` for the full grid and ``all`` for all rows of a data set, ``uniform/SEED``,
        ``weighted/SEED`` or ``own/SEED`` for a random sample (see ``DataSet.sampling``), ``rows/HASH`` for chosen
        combinations of factors, ``table`` for given arrays.
    population : bool
        Whether the rows are the entire population, so that there is no uncertainty from sampling rows.
    data_spec : str or None
        Name by which :func:`disentmetrics.load_dataset` loads the data set again; None if it was not loaded by name.
    columns : mapping of str or None
        Options by which :meth:`Representation.from_table` chose the columns of a table; None if there was no table.
        Like ``data_spec`` it is ignored by equality, because the rows are the same under any name.
    """

    data: str = "table"
    encoder: str = "unknown"
    rows: str = "table"
    population: bool = False
    data_spec: str | None = field(default=None, compare=False)
    columns: Mapping[str, Any] | None = field(default=None, compare=False)
