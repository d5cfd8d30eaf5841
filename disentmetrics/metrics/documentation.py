"""Signature and docstring of a metric's call, generated from its formula.

A formula takes a Representation and returns a RawScore; the metric is called with arrays or a Representation and
returns a Score. The docstring of the formula contains its summary, equation, options, range of the value and
notes; the parts that all calls have in common are written here, once.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from disentmetrics.results.score import Score

PROVIDED = frozenset({"rng", "seed", "name"})
"""Keyword-only parameters of a formula that the metric fills in; the others are its options."""

Sections = dict[str, str]
_HEADING = re.compile(r"^([A-Z][A-Za-z ]*)\n-{3,}[ ]*$\n?", re.MULTILINE)
_ORDER = ("Parameters", "Returns", "Raises", "Notes", "References", "Examples")


def options_of(formula: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the options of a formula by name: its keyword-only parameters, but for those the metric provides.

    Examples
    --------
    >>> def formula(representation, *, seed, n_bins=20): ...
    >>> list(options_of(formula))
    ['n_bins']
    """
    parameters = inspect.signature(formula).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in PROVIDED
    }


def call_signature(options: Iterable[inspect.Parameter]) -> inspect.Signature:
    """Return the signature under which a metric with these options is called.

    Examples
    --------
    >>> def formula(representation, *, n_bins: int = 20): ...
    >>> list(call_signature(options_of(formula).values()).parameters)
    ['codes', 'factors', 'log_variance', 'protocol', 'seed', 'n_bins']
    """
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            # Names instead of the types themselves: ArrayLike is printed as a union of twenty lines.
            inspect.Parameter("codes", positional, annotation="ArrayLike | Representation"),
            inspect.Parameter("factors", positional, default=None, annotation="ArrayLike | None"),
            inspect.Parameter("log_variance", keyword, default=None, annotation="ArrayLike | None"),
            inspect.Parameter("protocol", keyword, default="default", annotation=str),
            inspect.Parameter("seed", keyword, default=0, annotation=int),
            *options,
        ],
        return_annotation=Score,
    )


def merged_docstring(own: str, inherited: str) -> str:
    r"""Return a numpydoc docstring, completed by the sections of another one that it lacks.

    Examples
    --------
    >>> merged_docstring("Half.", "Double.\n\nReturns\n-------\nRawScore\n    Even.")
    'Half.\n\nReturns\n-------\nRawScore\n    Even.'
    """
    head, sections = _parsed(own)
    return _written(head, {**_parsed(inherited)[1], **sections})


def call_docstring(
    formula_docstring: str,
    *,
    protocols: Iterable[str],
    options: Iterable[str],
    uses_factors: bool,
    higher_is_better: bool,
    randomised: bool,
) -> str:
    """Return the docstring of a metric's call, in the sections of numpydoc.

    Parameters
    ----------
    formula_docstring : str
        Its entry ``representation`` states what the metric requires of codes and factors, and ``Returns`` the range
        of the value, parts and details. Conditions of an UndefinedScoreError move to ``Returns``, as a call returns
        an undefined score where the formula raises.
    protocols, options : iterable of str
    uses_factors, higher_is_better, randomised : bool
        From the declaration.

    Returns
    -------
    str
        Empty if the formula has no docstring.
    """
    if not formula_docstring:
        return ""
    head, sections = _parsed(formula_docstring)
    documented = _entries(sections.get("Parameters", ""))
    raises = _entries(sections.get("Raises", ""))
    own = set(options)
    sections["Parameters"] = "\n".join(
        [
            *_common_parameters(documented, protocols, uses_factors=uses_factors, randomised=randomised),
            *(_entry(head, text) for head, text in documented.items() if own & set(_names(head))),
        ]
    )
    returned = " ".join(_entries(sections.get("Returns", "")).values())
    sections["Returns"] = _entry("Score", _returns(returned, raises.get("UndefinedScoreError", ""), higher_is_better))
    unfit = "If arrays do not match in shape, or the protocol or an option does not exist or has an invalid value."
    sections["Raises"] = _entry("InvalidInputError", " ".join([unfit, raises.get("InvalidInputError", "")]).strip())
    return _written(head, sections)


def _common_parameters(
    documented: Mapping[str, str], protocols: Iterable[str], *, uses_factors: bool, randomised: bool
) -> list[str]:
    """Return the entries of the parameters that every metric has, with what the formula adds to them."""
    by_name = {name: text for head, text in documented.items() for name in _names(head)}
    drawn = by_name.get("seed") or by_name.get("rng", "").replace("Random number generator", "Random seed")
    if not randomised and not drawn:
        drawn = "The metric itself is deterministic: only rows with unequal weights are resampled."
    names = ", ".join(f'"{name}"' for name in protocols)
    return [
        _entry(
            "codes : (n_samples, n_codes) array or Representation",
            "Codes, one row per observation: the posterior mean of a variational encoder. A Representation, which "
            f"contains codes, factors and posterior variances, is passed alone. {by_name.get('representation', '')}",
        ),
        _entry(
            "factors : (n_samples, n_factors) array, mapping of columns or data frame, optional",
            "Ground-truth factors of the same rows, with labels of any type."
            if uses_factors
            else "Ignored: the metric is unsupervised.",
        ),
        _entry("log_variance : (n_samples, n_codes) array, optional", "Natural logarithm of the posterior variances."),
        _entry(
            f"protocol : {{{names}}}",
            "Named set of options; ``default`` is the recommended one. Options passed explicitly take precedence.",
        ),
        _entry("seed : int", drawn if drawn.startswith("Random seed") else f"Random seed. {drawn}"),
    ]


def _returns(returned: str, undefined: str, higher_is_better: bool) -> str:  # noqa: FBT001 # as declared
    sentences = [returned]
    if "is better" not in returned:
        sentences.append(f"{'Higher' if higher_is_better else 'Lower'} is better.")
    sentences.append(
        "``per_factor`` maps factor names to scores where the metric has one for each factor. Only "
        ":func:`disentmetrics.score` estimates the interval and the null by permutation."
    )
    if undefined.startswith("If "):
        sentences.append(f"Undefined, with ``value`` NaN and the reason in ``undefined``, i{undefined[1:]}")
    return " ".join(sentences).strip()


def _parsed(docstring: str) -> tuple[str, Sections]:
    """Return what precedes the first section of a docstring, and the sections by name."""
    head, *pieces = _HEADING.split(inspect.cleandoc(docstring))
    return head.strip("\n"), {name: text.strip("\n") for name, text in zip(pieces[::2], pieces[1::2], strict=True)}


def _written(head: str, sections: Sections) -> str:
    names = [*(name for name in _ORDER if name in sections), *(name for name in sections if name not in _ORDER)]
    return "\n\n".join([head, *(f"{name}\n{'-' * len(name)}\n{sections[name]}" for name in names)])


def _entries(section: str) -> dict[str, str]:
    """Return the texts of a section's entries, each joined to one line, by the line that introduces it."""
    pieces = re.split(r"^(\S.*)$", section, flags=re.MULTILINE)[1:]
    return {head: " ".join(text.split()) for head, text in zip(pieces[::2], pieces[1::2], strict=True)}


def _names(head: str) -> list[str]:
    return head.partition(" :")[0].strip().split(", ")


def _entry(head: str, text: str) -> str:
    return "\n".join([head, *_wrapped(text)]) if text.strip() else head


def _wrapped(text: str) -> list[str]:
    """Break a text at spaces outside of literals, so that no line is longer than a terminal is wide."""
    pieces = re.sub(r"``.+?``", lambda literal: literal.group().replace(" ", "\0"), text)
    lines = textwrap.wrap(pieces, 92, initial_indent=" " * 4, subsequent_indent=" " * 4, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]
