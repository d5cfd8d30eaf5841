"""Transforms as options of a data-set spec: ``dsprites?select=x:0-15&correlate=x,y,0.8``.

Every data set has these options. They are applied one after another, in the order given; names and indices refer to
the result of the previous step.
"""

from collections.abc import Callable

from disentmetrics.datasets.base import DataSet
from disentmetrics.datasets.transforms.distributions import (
    CONFIGURATIONS,
    chen2018,
    correlated,
    held_out,
    marginals,
    only,
    without,
)
from disentmetrics.datasets.transforms.values import UnknownFactorError, factor_named, parse_values
from disentmetrics.datasets.transforms.wrapped import Wrapped
from disentmetrics.errors import InvalidInputError, did_you_mean


def _names(data: DataSet, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    return [factor_named(data.space, name).name for name in names]


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(f"option {option} must be a number; got {text.strip()!r}") from None


def _parts(text: str, option: str, form: str, least: int, most: int) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not least <= len(parts) <= most or not all(parts):
        raise InvalidInputError(f"option {option} must have the form {form}; got {text!r}")
    return parts


def _correlate(data: DataSet, text: str) -> DataSet:
    first, second, strength = _parts(text, "correlate", "factor,factor,strength", 3, 3)
    return data.with_distribution(correlated(data.space, first, second, _number(strength, "correlate")))


def _chen2018(data: DataSet, text: str) -> DataSet:
    first, second, given = _parts(text, "chen2018", "factor,factor,configuration", 3, 3)
    configuration = next((name for name in CONFIGURATIONS if name == given), None)
    if configuration is None:
        raise InvalidInputError(f"the configuration must be one of {', '.join(CONFIGURATIONS)}; got {given!r}")
    return data.with_distribution(chen2018(data.space, first, second, configuration))


def _weights(data: DataSet, text: str) -> DataSet:
    weights = {}
    for part in text.split(","):
        name, colon, values = (piece.strip() for piece in part.partition(":"))
        if not colon or name in weights:
            raise InvalidInputError(f"option weights must have the form factor:1/2/4, each factor once; got {text!r}")
        weights[name] = [_number(value, "weights") for value in values.split("/")]
    return data.with_distribution(marginals(data.space, weights))


def _without(data: DataSet, text: str) -> DataSet:
    return data.with_distribution(without(data.space, parse_values(data.space, text)))


def _only(data: DataSet, text: str) -> DataSet:
    return data.with_distribution(only(data.space, parse_values(data.space, text)))


def _split(data: DataSet, text: str, option: str, part: int) -> DataSet:
    *names, share, seed = _parts(text, option, "factor,factor,share,seed", 4, 99)
    if not seed.isdecimal():
        raise InvalidInputError(f"option {option} must end with a seed, a non-negative integer; got {seed!r}")
    return data.with_distribution(held_out(data.space, names, _number(share, option), int(seed))[part])


def _train_split(data: DataSet, text: str) -> DataSet:
    return _split(data, text, "train_split", 0)


def _test_split(data: DataSet, text: str) -> DataSet:
    return _split(data, text, "test_split", 1)


def _select(data: DataSet, text: str) -> DataSet:
    return data.select(parse_values(data.space, text))


def _merge(data: DataSet, text: str) -> DataSet:
    name, _, names = text.rpartition(":")
    return data.merge(_names(data, names), name.strip())


def _nuisance(data: DataSet, text: str) -> DataSet:
    return data.with_nuisance(*_names(data, text))


TRANSFORM_OPTIONS: dict[str, Callable[[DataSet, str], DataSet]] = {
    "correlate": _correlate,
    "weights": _weights,
    "chen2018": _chen2018,
    "without": _without,
    "only": _only,
    "train_split": _train_split,
    "test_split": _test_split,
    "select": _select,
    "merge": _merge,
    "nuisance": _nuisance,
}


def apply_option(data: DataSet, option: str, text: str) -> DataSet:
    """Return the data set transformed by one option.

    Parameters
    ----------
    data : DataSet
        The data set to transform.
    option : str
        One of :data:`TRANSFORM_OPTIONS`.
    text : str
        Value of the option:
        ``correlate=x,y,0.8`` · ``weights=scale:1/1/2/2/4/4`` · ``chen2018=x,y,D`` ·
        ``without=shape:2,x:16-31`` · ``only=shape:heart`` · ``train_split=shape,scale,0.2,0`` and
        ``test_split=shape,scale,0.2,0`` (share and seed) · ``select=x:0-15/20,shape:2`` ·
        ``merge=x,y`` or ``merge=position:x,y`` · ``nuisance=shape,scale``.

    Returns
    -------
    DataSet

    Raises
    ------
    InvalidInputError
        If the option, a factor or a value does not exist, or the text is malformed.

    Examples
    --------
    >>> from disentmetrics.datasets.catalog.dsprites import DSprites
    >>> apply_option(apply_option(DSprites(), "select", "x:0-15"), "correlate", "x,y,0.8").fingerprint
    'dsprites-1+select(x=0-15)+correlate(x,y,0.8)'
    """
    if option not in TRANSFORM_OPTIONS:
        raise InvalidInputError(f"no option is named {option!r}{did_you_mean(option, TRANSFORM_OPTIONS)}")
    if not isinstance(text, str):
        raise InvalidInputError(f"option {option} must be text, as on the command line; got {text!r}")
    try:
        return TRANSFORM_OPTIONS[option](data, text)
    except UnknownFactorError as error:
        step = _step_that_removed(data, error.name)
        if not step:
            raise
        raise InvalidInputError(
            f"factor {error.name!r} no longer exists because an earlier step removed it: {step}; "
            f"the factors are {', '.join(data.space.names)}"
        ) from None


def _step_that_removed(data: DataSet, name: str) -> str:
    """Return the step that removed a factor; empty if there never was one of this name."""
    while isinstance(data, Wrapped):
        if name in data.base.space.names:
            return data.fingerprint.removeprefix(f"{data.base.fingerprint}+")
        data = data.base
    return ""
