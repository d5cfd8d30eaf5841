"""Verdicts: which factors of a representation are disentangled, and what is wrong with the others, in sentences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from disentmetrics._utils.plain import to_plain

Status = Literal["captured", "spread", "mixed", "missing"]
STATUSES: tuple[Status, ...] = get_args(Status)
READABLE = 0.6
"""Share from which a factor is called readable, below only partly so."""
_LISTED = 8
_NAMED = 3  # latents in the sentence of the entire verdict


@dataclass(frozen=True)
class FactorVerdict:
    """How one factor is encoded.

    Attributes
    ----------
    name : str
    status : {"captured", "spread", "mixed", "missing"}
        ``captured`` by a single latent that follows no other factor; ``spread`` over several latents that follow no
        other factor; ``mixed`` with other factors over one or more latents; ``missing`` from the codes.
    share : float
        Share of the factor's variance explained by ``latents`` on held-out rows, in [0, 1]; by all latents
        if it is missing.
    single_share : float
        The same for the best single latent, the first of ``latents``.
    latents : tuple of str
        Latents that encode the factor, the best one first; one if it is captured. If it is missing, those that it
        changes nevertheless.
    mixed_with : tuple of str
        Factors that these latents encode, too.
    copies : tuple of str
        Further latents that each capture the factor as well.
    depends_on : tuple of str
        Factors of which this one is a function, and which share its latent for that reason.
    is_linear : bool
        Whether a linear function of ``latents`` reads the factor nearly as well, as after a rotation.
    is_circular : bool
        Whether the factor is circular: one latent cannot encode it without a discontinuity, but two can.
    """

    name: str
    status: Status
    share: float
    single_share: float
    latents: tuple[str, ...] = ()
    mixed_with: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    is_linear: bool = False
    is_circular: bool = False

    @property
    def is_disentangled(self) -> bool:
        """Whether the factor is captured, or circular and spread over two latents, as a circle must be."""
        return self.status == "captured" or (self.status == "spread" and self.is_circular and len(self.latents) == 2)

    @property
    def sentence(self) -> str:
        """The verdict on this factor in words."""
        share = _percent(self.share)
        if self.status == "missing":
            changed = f", although it changes {_and(self.latents)}" if self.latents else ""
            return f"{self.name} is not captured: all latents together explain {share} of it{changed}"
        listed = _and(self.latents)
        if self.status == "captured":
            capture = "capture" if len(self.copies) > 1 else "captures"
            copied = f"; {_and(self.copies)} {capture} it as well" if self.copies else ""
            shared = f", which also encodes {_and(self.depends_on)}, on which it depends" if self.depends_on else ""
            return f"{self.name} is captured by {listed} ({share}){shared}{copied}"
        together = f"{share} together, {_percent(self.single_share)} by {self.latents[0]} alone"
        if self.status == "spread":
            circle = "; one latent cannot encode a circle without a jump" if self.is_circular else ""
            return f"{self.name} is spread over {listed} ({together}){circle}"
        if len(self.latents) == 1:
            return f"{self.name} is mixed with {_and(self.mixed_with)} in {listed} ({share})"
        return f"{self.name} is mixed with {_and(self.mixed_with)} over {listed} ({together})"


@dataclass(frozen=True)
class Verdict:
    """Which factors of a representation are disentangled, and what is wrong with the others.

    Attributes
    ----------
    factors : mapping of str to FactorVerdict
        By the name of the factor.
    left_out : mapping of str to str
        Factors without a verdict, and why.
    unused : tuple of str
        Latents that encode none of the factors.

    Examples
    --------
    >>> x = FactorVerdict("x", "captured", 0.98, 0.98, ("z3",))
    >>> print(Verdict({"x": x, "shape": FactorVerdict("shape", "missing", 0.1, 0.1)}))
    1 of 2 factors is disentangled; shape is not captured.
    • x is captured by z3 (98 %)
    • shape is not captured: all latents together explain 10 % of it
    """

    factors: Mapping[str, FactorVerdict]
    left_out: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"• {line}" for line in self.sentences())])

    @property
    def n_disentangled(self) -> int:
        """Number of factors that are disentangled."""
        return sum(factor.is_disentangled for factor in self.factors.values())

    @property
    def sentence(self) -> str:
        """The verdict in one sentence: how many factors are disentangled, and what is wrong with the others."""
        if not self.factors:
            reasons = [f"{name} {reason}" for name, reason in self.left_out.items()]
            return f"No verdict: {_some(reasons, '; ')}." if reasons else "No verdict: no factors are known."
        others = [factor for factor in self.factors.values() if not factor.is_disentangled]
        missing = [factor.name for factor in others if factor.status == "missing"]
        clauses = [_mixed_clause(together) for together in _mixed_together(others)]
        clauses += [
            f"{factor.name} is {_readably(factor)}spread over {_latents(factor.latents)}"
            for factor in others
            if factor.status == "spread"
        ]
        weak = [factor for factor in self.factors.values() if factor.is_disentangled and factor.share < READABLE]
        clauses += [f"{factor.name} is captured only in part ({_percent(factor.share)})" for factor in weak]
        if missing and len(self.factors) > 1:
            clauses.append(f"{_and(missing)} {'is' if len(missing) == 1 else 'are'} not captured")
        return "; ".join([self._count(), *clauses]) + "."

    def _count(self) -> str:
        n, count = len(self.factors), self.n_disentangled
        if n == 1:
            name, factor = next(iter(self.factors.items()))
            is_ = "disentangled" if count else "not captured" if factor.status == "missing" else "not disentangled"
            return f"The only factor, {name}, is {is_}"
        if count in (0, n):
            return f"None of {n} factors is disentangled" if not count else f"All {n} factors are disentangled"
        return f"{count} of {n} factors {'is' if count == 1 else 'are'} disentangled"

    def sentences(self, *, most: int | None = None) -> list[str]:
        """Return one sentence per factor, then one about unused latents and one per factor without a verdict.

        Parameters
        ----------
        most : int, optional
            Of more factors, those that are not disentangled come first, and one line counts the others.
        """
        listed = list(self.factors.values())
        if most is not None and len(listed) > most:
            listed = sorted(listed, key=lambda factor: factor.is_disentangled)
        lines = [factor.sentence for factor in listed[:most]]
        lines += [f"and {len(listed) - len(lines)} more factors" for _ in listed[len(lines) : len(lines) + 1]]
        if self.unused:
            lines.append(f"{_and(self.unused)} {'encodes' if len(self.unused) == 1 else 'encode'} none of the factors")
        reasons = [f"{name} has no verdict: it {reason}" for name, reason in self.left_out.items()]
        return [*lines, *reasons[:most]]

    def to_plain(self) -> dict[str, Any]:
        """Return the verdict as dicts, lists and scalars of JSON, with its sentence."""
        plain: dict[str, Any] = to_plain(self)
        return {"sentence": self.sentence, **plain, "factors": list(plain["factors"].values())}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Verdict":
        """Restore what :meth:`to_plain` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a part is missing or of a wrong type.
        """
        factors = [_factor_of(entry) for entry in plain["factors"]]
        return cls(
            {factor.name: factor for factor in factors},
            {str(name): str(reason) for name, reason in plain["left_out"].items()},
            tuple(map(str, plain["unused"])),
        )


def _factor_of(plain: Mapping[str, Any]) -> FactorVerdict:
    if plain["status"] not in STATUSES:
        raise ValueError(f"the status of a factor must be one of {', '.join(STATUSES)}; got {plain['status']!r}")
    listed = ("latents", "mixed_with", "copies", "depends_on")
    return FactorVerdict(
        name=str(plain["name"]),
        status=plain["status"],
        share=_share_of(plain["share"]),
        single_share=_share_of(plain["single_share"]),
        is_linear=bool(plain["is_linear"]),
        is_circular=bool(plain["is_circular"]),
        **{name: tuple(map(str, plain[name])) for name in listed},
    )


def _share_of(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f"a share must lie in [0, 1]; got {share}")
    return share


def _mixed_together(factors: Sequence[FactorVerdict]) -> list[list[FactorVerdict]]:
    """Return the mixed factors in sets that share the same latents and are mixed with each other."""
    groups: list[list[FactorVerdict]] = []
    for factor in factors:
        if factor.status == "mixed":
            for group in groups:
                if set(group[0].latents) == set(factor.latents) and group[0].name in factor.mixed_with:
                    group.append(factor)
                    break
            else:
                groups.append([factor])
    return groups


def _mixed_clause(together: Sequence[FactorVerdict]) -> str:
    first = together[0]
    names, latents = _and([factor.name for factor in together]), _latents(first.latents)
    be = "is" if len(together) == 1 else "are"
    others = [name for name in first.mixed_with if name not in {factor.name for factor in together}]
    over = f"{'over' if len(first.latents) > 1 else 'in'} {latents}"
    with_others = f" with {_and(others)}" if others else ""
    mean = sum(factor.share for factor in together) / len(together)
    readable = "readable but" if mean >= READABLE else "only partly readable and"
    rotated = len(first.latents) > 1 and len(together) > 1 and all(factor.is_linear for factor in together)
    return f"{names} {be} {readable} {'rotated' if rotated else 'mixed'}{with_others} {over}"


def _readably(factor: FactorVerdict) -> str:
    return "" if factor.share >= READABLE else "only partly readable and "


def _latents(names: Sequence[str]) -> str:
    return _and(names) if len(names) <= _NAMED else f"{len(names)} latents"


def _percent(share: float) -> str:
    return f"{math.floor(100 * share + 0.5)} %"


def _and(names: Sequence[str]) -> str:
    if len(names) > _LISTED:
        return _some(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _some(names: Sequence[str], separator: str = ", ") -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return separator.join(names[:_LISTED]) + more
