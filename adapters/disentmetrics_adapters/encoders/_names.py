"""What the names of an encoder's outputs say: which is a mean, and which measures its spread, and how."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple, cast, get_args

from disentmetrics.errors import InvalidInputError

Steps = tuple[str, ...]
"""Keys, indices and attributes that lead to an array in an output."""

Spread = Literal["log_variance", "log_std", "std", "variance"]
SPREADS: tuple[Spread, ...] = get_args(Spread)

IN_WORDS: dict[Spread, str] = {
    "log_variance": "log-variance",
    "log_std": "log standard deviation",
    "std": "standard deviation",
    "variance": "variance",
}

_NAME = re.compile(
    r"z?(?:(?P<mean>mean|mu|loc)"
    r"|(?P<log>log|ln)?(?:(?P<variance>variance|var|(?:sigma|std)(?:2|sq|squared?))"
    r"|(?P<std>std|stdev|stddev|standarddeviation|sigma|scale)))s?(?P<number>\d*)"
)
_TRANSFORMED = {"half", "inv", "inverse", "neg", "negative", "pre", "raw", "sqrt", "tril"}
"""Words by which a name is not that of the quantity itself."""


class Role(NamedTuple):
    """The role of an output by its name, and what distinguishes it from others of that role, as ``enc`` in enc_mu."""

    kind: Spread | Literal["mean", ""]
    owner: str


def role(name: str) -> Role:
    """Return the role of an output by its name.

    Examples
    --------
    >>> [role(name).kind for name in ("mu", "z_logvar", "logSigma2", "log_sigma", "enc/scale:0", "var", "z")]
    ['mean', 'log_variance', 'log_variance', 'log_std', 'std', 'variance', '']
    >>> role("enc_mu").owner, role("mu_z").owner
    ('enc', '')
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*|\d+", name)]
    numbers = []
    while len(words) > 1 and words[-1].isdigit():  # sigma_2 is the second sigma; sigma2 is a square
        numbers.append(words.pop())
    spans = sorted(combinations(range(len(words) + 1), 2), key=lambda span: span[0] - span[1])  # the longest first
    for first, last in spans:
        match = _NAME.fullmatch("".join(words[first:last]))
        if match is None:
            continue
        others = [word for word in (*words[:first], *words[last:]) if word != "z"]
        if _TRANSFORMED & set(others) or any(_NAME.fullmatch(word) for word in others):
            break  # such as std_from_logvar
        owner = ".".join([*others, match["number"], *numbers]).strip(".")
        if match["mean"]:
            return Role("mean", owner)
        measure = "variance" if match["variance"] else "std"
        return Role(cast("Spread", f"log_{measure}" if match["log"] else measure), owner)
    return Role("", "")


def distinct_name(spread: Steps, mean: Steps) -> str:
    """Return the name of an output where it differs from that of its mean; empty if there are only indices.

    Examples
    --------
    >>> distinct_name(("0", "std"), ("0", "mu")), distinct_name(("q", "1"), ("q", "0"))
    ('std', '')
    """
    shared = next((i for i, (a, b) in enumerate(zip(spread, mean, strict=False)) if a != b), len(spread))
    return next((step for step in reversed(spread[shared:]) if not step.isdigit()), "")


def named_pairs(shapes: Mapping[Steps, tuple[int, ...]]) -> dict[tuple[Steps, Steps], Spread]:
    """Return the pairs of outputs that are named as a mean and its spread, with the measure of the spread."""
    pairs: dict[tuple[Steps, Steps], Spread] = {}
    for mean, shape in shapes.items():
        for spread, other in shapes.items():
            if not mean or not spread or (shape, mean[:-1]) != (other, spread[:-1]):
                continue
            (kind, owner), (measure, other_owner) = role(mean[-1]), role(spread[-1])
            if kind == "mean" and measure in SPREADS and owner == other_owner:
                pairs[mean, spread] = measure
    return pairs


def require_log_variances(means: Sequence[Steps], spreads: Sequence[Steps], select: str) -> None:
    """Raise unless each output that is to be read as a log-variance has no name or that of a log-variance.

    Raises
    ------
    InvalidInputError
        With the option ``spread`` that the name suggests.
    """
    for mean, spread in zip(means, spreads, strict=False):
        name = distinct_name(spread, mean)
        kind = role(name).kind
        if not name or kind == "log_variance":
            continue
        if kind == "mean":
            raise InvalidInputError(
                f"select= names the mean first, then its spread; select={select} names {name!r} as the spread: "
                "exchange the two terms"
            )
        required = f"without spread=, the second term of select= must be a log-variance; select={select} names {name!r}"
        if not kind:
            raise InvalidInputError(f"{required}, which may be any measure: add spread={or_(SPREADS)}")
        raise InvalidInputError(
            f"{required}, a {IN_WORDS[kind]} by its name: use select={select}&spread={kind} "
            "(or spread=log_variance if the name is wrong)"
        )


def or_(spreads: Sequence[Spread]) -> str:
    """Return alternatives for the option ``spread``."""
    return f"{', '.join(spreads[:-1])} or {spreads[-1]}"
