"""Where the rows of a representation come from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Where the rows come from.

    Attributes
    ----------
    data : str
        Fingerprint of the data set, or of the arrays.
    encoder : str
        Fingerprint of the encoder, or ``unknown``.
    rows : str
        Names the rows: ``grid`` for the full grid and ``all`` for all rows of a data set, ``uniform/SEED``,
        ``weighted/SEED`` or ``own/SEED`` for a random sample (see ``DataSet.sampling``), ``rows/HASH`` for chosen
        combinations of factors, ``table`` for given arrays.
    population : bool
        Whether the rows are all there are, so that no row sampling is left to be uncertain of.
    """

    data: str = "table"
    encoder: str = "unknown"
    rows: str = "table"
    population: bool = False
