"""Subsets of factor values: given as indices, category names or text, and formatted for fingerprints."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from disentmetrics.errors import InvalidInputError, did_you_mean
from disentmetrics.factors import Factor, FactorSpace

Value = int | str
FactorValues = Mapping[str, Value | Sequence[Value] | range]


class UnknownFactorError(InvalidInputError):
    """No factor has this name.

    Parameters
    ----------
    name : str
        The unknown name.
    space : FactorSpace
        The existing factors.
    """

    def __init__(self, name: str, space: FactorSpace) -> None:
        super().__init__(
            f"no factor is named {name!r}{did_you_mean(name, space.names)}; the factors are {', '.join(space.names)}"
        )
        self.name = name


def factor_named(space: FactorSpace, name: str) -> Factor:
    """Return the factor of this name.

    Raises
    ------
    UnknownFactorError
        If no factor has this name; the message suggests the closest one.
    """
    if name not in space.names:
        raise UnknownFactorError(name, space)
    return space[name]


def value_indices(space: FactorSpace, selection: FactorValues) -> dict[str, int | tuple[int, ...]]:
    """Validate a selection of factor values and convert it to indices.

    Parameters
    ----------
    space : FactorSpace
        A grid of discrete factors.
    selection : mapping of str to value or sequence of values
        A value is an index or the name of a category.

    Returns
    -------
    dict of str to int or tuple of int
        An int for a single value, a sorted tuple for a sequence.

    Raises
    ------
    InvalidInputError
        If a factor or value does not exist or is repeated, or nothing is selected.

    Examples
    --------
    >>> shape = Factor("shape", 3, "categorical", ("square", "ellipse", "heart"))
    >>> space = FactorSpace([shape, Factor("x", 8, "ordinal")])
    >>> value_indices(space, {"shape": "heart", "x": range(4)})
    {'shape': 2, 'x': (0, 1, 2, 3)}
    """
    if not selection:
        raise InvalidInputError("values of at least one factor must be selected; got none")
    indices: dict[str, int | tuple[int, ...]] = {}
    for name, values in selection.items():
        factor = factor_named(space, name)
        if isinstance(values, int | str | np.integer):
            indices[name] = _index(factor, values)
            continue
        ordered = tuple(sorted(_index(factor, value) for value in values))
        if not ordered or len(set(ordered)) < len(ordered):
            raise InvalidInputError(f"at least one value of {name!r} must be selected, each once; got {values!r}")
        indices[name] = ordered
    return indices


def _index(factor: Factor, value: Value) -> int:
    if factor.size is None:
        raise InvalidInputError(f"only values of discrete factors can be selected; {factor.name!r} is continuous")
    if isinstance(value, str):
        if value not in factor.values:
            names = [name for name in factor.values if isinstance(name, str)]
            raise InvalidInputError(
                f"factor {factor.name!r} has no value {value!r}{did_you_mean(value, names)}; "
                f"give an index in 0 .. {(factor.size or 1) - 1}{' or a name' if names else ''}"
            )
        return list(map(str, factor.values)).index(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < (factor.size or 0):
        raise InvalidInputError(
            f"values of factor {factor.name!r} must be indices in 0 .. {(factor.size or 1) - 1}; got {value!r}"
        )
    return int(value)


def as_tuples(indices: Mapping[str, int | tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return single indices as tuples of length 1."""
    return {name: values if isinstance(values, tuple) else (values,) for name, values in indices.items()}


def format_values(indices: Mapping[str, int | tuple[int, ...]]) -> str:
    """Format indices of factor values compactly, with ranges.

    Examples
    --------
    >>> format_values({"shape": 2, "x": (0, 1, 2, 3, 7), "y": (5,)})
    'shape=2,x=0-3/7,y=5-5'
    """
    return ",".join(f"{name}={_format_indices(values)}" for name, values in indices.items())


def _format_indices(values: int | tuple[int, ...]) -> str:
    if isinstance(values, int):
        return str(values)
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    if len(values) == 1:
        return f"{values[0]}-{values[0]}"
    return "/".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def parse_values(space: FactorSpace, text: str) -> dict[str, Value | list[Value]]:
    """Parse ``factor:values,factor:values``, where values are ``2``, ``0-3``, ``0-3/7`` or ``heart``.

    Names of categories take precedence over indices: for categories (``"1"``, ``"2"``), ``2`` is the second one.

    Raises
    ------
    InvalidInputError
        If the text is malformed, a factor does not exist, or the ends of a range are ambiguous: both an index and the
        name of a different value.

    Examples
    --------
    >>> space = FactorSpace([Factor("shape", 3, "categorical"), Factor("x", 8, "ordinal")])
    >>> parse_values(space, "shape:heart,x:0-2/7")
    {'shape': 'heart', 'x': [0, 1, 2, 7]}
    """
    selection: dict[str, Value | list[Value]] = {}
    for part in text.split(","):
        name, colon, values = (piece.strip() for piece in part.partition(":"))
        if not colon or not values:
            raise InvalidInputError(
                f"factor values must be given as factor:values, such as shape:2 or x:0-3/7; got {part!r}"
            )
        factor = factor_named(space, name)
        if name in selection:
            raise InvalidInputError(f"each factor must be given once, as in {name}:0-3/7; got {name} more than once")
        pieces = list(_read_pieces(factor, values.split("/")))
        single = len(pieces) == 1 and not isinstance(pieces[0], list)
        flat: list[Value] = [v for piece in pieces for v in (piece if isinstance(piece, list) else [piece])]
        selection[name] = flat[0] if single else flat
    return selection


def _read_pieces(factor: Factor, pieces: Sequence[str]) -> Iterable[Value | list[Value]]:
    for piece in pieces:
        low, dash, high = piece.partition("-")
        if piece in factor.values:
            yield piece
        elif piece.isdecimal():
            yield int(piece)
        elif dash and low.isdecimal() and high.isdecimal():
            _check_ends(factor, (low, high))
            if int(high) < int(low):
                raise InvalidInputError(f"ranges of {factor.name!r} must be ascending, as in 0-3; got {piece!r}")
            if int(high) >= (factor.size or 0):
                raise InvalidInputError(
                    f"values of factor {factor.name!r} must be indices in 0 .. {(factor.size or 1) - 1}; got {piece!r}"
                )
            yield list(range(int(low), int(high) + 1))
        else:
            yield piece


def _check_ends(factor: Factor, ends: Sequence[str]) -> None:
    names: Sequence[object] = factor.values
    for end in ends:
        if end in names and names.index(end) != int(end):
            raise InvalidInputError(
                f"the ends of a range of {factor.name!r} must be indices, but {end!r} is also the name of value "
                f"{names.index(end)}; list the names instead, as in {factor.name}:{'/'.join(map(str, names[:3]))}"
            )
