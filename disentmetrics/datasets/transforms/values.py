"""Some values of some factors: given as indices, names or text, and written in fingerprints."""

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
        That was asked for.
    space : FactorSpace
        The factors that there are.
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
        If there is none; the nearest name is told.
    """
    if name not in space.names:
        raise UnknownFactorError(name, space)
    return space[name]


def value_indices(space: FactorSpace, chosen: FactorValues) -> dict[str, int | tuple[int, ...]]:
    """Check values of factors, and return their indices.

    Parameters
    ----------
    space : FactorSpace
        A grid.
    chosen : mapping of str to value or sequence of values
        A value is an index, or the name of a category.

    Returns
    -------
    dict of str to int or tuple of int
        A single value stays single; several are sorted.

    Raises
    ------
    InvalidInputError
        If a factor or value does not exist, comes twice, or there is none.

    Examples
    --------
    >>> shape = Factor("shape", 3, "categorical", ("square", "ellipse", "heart"))
    >>> space = FactorSpace([shape, Factor("x", 8, "ordinal")])
    >>> value_indices(space, {"shape": "heart", "x": range(4)})
    {'shape': 2, 'x': (0, 1, 2, 3)}
    """
    if not chosen:
        raise InvalidInputError("values of at least one factor must be chosen; got none")
    found: dict[str, int | tuple[int, ...]] = {}
    for name, values in chosen.items():
        factor = factor_named(space, name)
        if isinstance(values, int | str | np.integer):
            found[name] = _index(factor, values)
            continue
        indices = tuple(sorted(_index(factor, value) for value in values))
        if not indices or len(set(indices)) < len(indices):
            raise InvalidInputError(f"at least one value of {name!r} must be chosen, and each once; got {values!r}")
        found[name] = indices
    return found


def _index(factor: Factor, value: Value) -> int:
    if factor.size is None:
        raise InvalidInputError(f"values are chosen of discrete factors; {factor.name!r} is continuous")
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


def as_tuples(chosen: Mapping[str, int | tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return single values as sequences of one."""
    return {name: values if isinstance(values, tuple) else (values,) for name, values in chosen.items()}


def format_values(chosen: Mapping[str, int | tuple[int, ...]]) -> str:
    """Write indices of values of factors in short.

    Examples
    --------
    >>> format_values({"shape": 2, "x": (0, 1, 2, 3, 7), "y": (5,)})
    'shape=2,x=0-3/7,y=5-5'
    """
    return ",".join(f"{name}={_written_values(values)}" for name, values in chosen.items())


def _written_values(values: int | tuple[int, ...]) -> str:
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
    """Read ``factor:values,factor:values``, where values are ``2``, ``0-3``, ``0-3/7`` or ``heart``.

    Where a category's name is digits, digits that are a name mean the name: of (``"1"``, ``"2"``), ``2`` is the
    second.

    Raises
    ------
    InvalidInputError
        If it is not of this form, a factor does not exist, or the ends of a range are both indices and names, of
        different values.

    Examples
    --------
    >>> space = FactorSpace([Factor("shape", 3, "categorical"), Factor("x", 8, "ordinal")])
    >>> parse_values(space, "shape:heart,x:0-2/7")
    {'shape': 'heart', 'x': [0, 1, 2, 7]}
    """
    found: dict[str, Value | list[Value]] = {}
    for part in text.split(","):
        name, colon, values = (piece.strip() for piece in part.partition(":"))
        if not colon or not values:
            raise InvalidInputError(
                f"values of factors must be given as factor:values, such as shape:2 or x:0-3/7; got {part!r}"
            )
        factor = factor_named(space, name)
        if name in found:
            raise InvalidInputError(f"values of a factor must be given once, as in {name}:0-3/7; {name} came twice")
        pieces = list(_read_pieces(factor, values.split("/")))
        single = len(pieces) == 1 and not isinstance(pieces[0], list)
        flat: list[Value] = [v for piece in pieces for v in (piece if isinstance(piece, list) else [piece])]
        found[name] = flat[0] if single else flat
    return found


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
                raise InvalidInputError(f"values of {factor.name!r} must run upwards, as in 0-3; got {piece!r}")
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
                f"a range of {factor.name!r} must be one of indices, and {end!r} is the name of value "
                f"{names.index(end)}; give the names one by one, as in {factor.name}:{'/'.join(map(str, names[:3]))}"
            )
