"""Verdicts on random encoders whose truth is known: the confusion matrix of the documentation.

    python benchmarks/verdicts.py                        # 600 encoders, prints the tables
    python benchmarks/verdicts.py --encoders 200 --wrong # and lists the wrong verdicts
    python benchmarks/verdicts.py --write                # and writes the tables into docs/verdict.md

Factors are random: ordinal grids, categories, real numbers, circles, independent or dependent. Each encoder deals
them into blocks: factors with a latent of their own, rotated pairs and triples, curved mixtures, packed pairs,
circles over two latents, factors spread over several latents, missing factors. Warps, noise, copies, dead latents,
rounding, missing labels and the number of rows are random, too. Thresholds of the verdict were tuned on seeds below
:data:`FIRST_SEED` alone.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import disentmetrics as dm
from disentmetrics.factors import Factor, FactorSpace
from disentmetrics.results.verdict import STATUSES, Verdict
from disentmetrics.scoring.verdict import verdict

FIRST_SEED = 2_000_000
"""Seeds from here on were not used to tune thresholds."""
N_ENCODERS = 600
PAGE = Path(__file__).parents[1] / "docs" / "verdict.md"
START, END = "<!-- verdicts -->", "<!-- /verdicts -->"
Floats = NDArray[np.float64]

SMALL_ANGLE = 10.0
CLEAR_ANGLES = (17.0, 73.0)
"""Rotations in between are clearly mixed, those within 10 degrees of an axis clearly not."""
MIXED_BELOW = 0.9
"""Largest share of a factor in one rotated latent that is clearly mixed."""
READABLE_FROM = 0.55
"""Share of a noisy factor that is clearly readable."""
MISSING_BELOW = 0.12


@dataclass(frozen=True)
class Truth:
    """What is right for one factor.

    Attributes
    ----------
    status : str
    block : str
        Kind of block that the factor belongs to.
    latents : frozenset of int
        For a captured factor those that capture it, one of which must be named.
    mixed_with, may_be_mixed_with : frozenset of int
        Factors that must be named as mixed with it, and those that may be.
    """

    status: str
    block: str
    latents: frozenset[int] = frozenset()
    mixed_with: frozenset[int] = frozenset()
    may_be_mixed_with: frozenset[int] = frozenset()


@dataclass
class Encoder:
    """A random encoder: columns of codes and the truth about each factor."""

    columns: list[Floats] = field(default_factory=list)
    truths: dict[int, Truth] = field(default_factory=dict)

    def add(self, *columns: Floats) -> list[int]:
        """Append latents; return their positions."""
        self.columns += columns
        return list(range(len(self.columns) - len(columns), len(self.columns)))


@dataclass(frozen=True)
class Case:
    """A representation and what is right for each of its factors."""

    representation: dm.Representation
    truths: tuple[Truth, ...]


def draw(seed: int) -> Case:
    """Draw a random encoder."""
    rng = np.random.default_rng(seed)
    n_rows = int(np.exp(rng.uniform(np.log(500), np.log(10_000))))
    n_factors = int(rng.integers(2, 7))
    space, indices, linked = _factors(rng, n_rows, n_factors)
    numbers = np.stack([_numeric(space.factors[k], indices[:, k], rng) for k in range(n_factors)], axis=1)
    encoder = Encoder()
    if rng.random() < 0.05:  # an encoder that learned nothing
        encoder.add(*rng.normal(size=(int(rng.integers(1, 11)), n_rows)))
        encoder.truths = {k: Truth("missing", "noise") for k in range(n_factors)}
    else:
        _deal(encoder, rng, space, indices, numbers, linked)
    if linked and {"captured"} == {encoder.truths[k].status for k in linked}:  # each latent may capture the other, too
        latents = frozenset().union(*(encoder.truths[k].latents for k in linked))
        encoder.truths |= {k: replace(encoder.truths[k], latents=latents) for k in linked}
    _extras(encoder, rng, n_rows)
    order = rng.permutation(len(encoder.columns))
    position = {int(old): new for new, old in enumerate(order)}
    codes = np.stack([encoder.columns[j] for j in order], axis=1)
    truths = tuple(
        replace(t, latents=frozenset(position[j] for j in t.latents))
        for t in (encoder.truths[k] for k in range(n_factors))
    )
    codes = _scaled(codes, rng)
    if rng.random() < 0.2:
        indices = np.where(rng.random(indices.shape) < rng.uniform(0, 0.3), np.nan, indices)
    return Case(dm.Representation(codes, indices, space=space), truths)


def _factors(rng: np.random.Generator, n_rows: int, n_factors: int) -> tuple[FactorSpace, Floats, set[int]]:
    """Return random factors, their values and those that depend on each other."""
    linked: set[int] = set()
    factors, columns = [], []
    copula = rng.normal(size=(n_rows, n_factors))
    if rng.random() < 0.15:  # correlated factors
        linked |= {0, 1}
        copula[:, 1] = (rho := rng.uniform(0.2, 0.6)) * copula[:, 0] + np.sqrt(1 - rho**2) * copula[:, 1]
    from scipy.stats import norm

    uniform = norm.cdf(copula)
    for k in range(n_factors):
        kind = rng.choice(["ordinal", "ordinal", "categorical", "continuous", "circular"])
        size = int(rng.integers(*{"categorical": (2, 7), "circular": (8, 41)}.get(kind, (3, 33))))
        if kind == "continuous":
            factors.append(Factor(f"f{k}", None, "continuous"))
            columns.append(uniform[:, k] if rng.random() < 0.5 else copula[:, k])
        else:
            factors.append(Factor(f"f{k}", size, kind))
            columns.append(np.minimum(np.floor(uniform[:, k] * size), size - 1))
    if n_factors > 2 and rng.random() < 0.15:  # the last factor is a function of the first
        n_values, first = factors[0].size or 0, columns[0]
        if n_values > 5:
            function = rng.choice(["half", "square", "parity"])
            values = {"half": first // 2, "square": (first - n_values // 2) ** 2, "parity": first % 3}[function]
            values = np.unique(values, return_inverse=True)[1].astype(float)
            factors[-1] = Factor(f"f{n_factors - 1}", int(values.max()) + 1, "ordinal")
            columns[-1] = values
            linked |= {0, n_factors - 1}
    return FactorSpace(factors), np.stack(columns, axis=1), linked


def _numeric(factor: Factor, column: Floats, rng: np.random.Generator) -> Floats:
    """Return a factor as one standardised number per row; categories in random order."""
    if factor.kind == "categorical":
        column = rng.permutation(factor.size or 0)[column.astype(int)].astype(float)
    return np.asarray((column - column.mean()) / column.std())


def _deal(
    encoder: Encoder,
    rng: np.random.Generator,
    space: FactorSpace,
    indices: Floats,
    numbers: Floats,
    linked: set[int],
) -> None:
    """Deal the factors into blocks; those that depend on each other have latents of their own."""
    left = list(map(int, rng.permutation(len(space))))
    while left:
        mixable = [k for k in left if k not in linked and space.factors[k].kind != "circular"]
        kind = str(rng.choice(list(BLOCKS), p=np.array(list(BLOCKS.values())) / sum(BLOCKS.values())))
        if kind in (
            "packed pair",
            "network",
        ):  # of a sum, no half of the variance of indicators of many categories is readable
            mixable = [k for k in mixable if space.factors[k].kind != "categorical" or space.factors[k].size == 2]
        mixed = mixable[: MIXED.get(kind, 0)]
        if kind == "turned circle":
            circles = [k for k in left if k not in linked and space.factors[k].kind == "circular"]
            mixed = circles[:1] + [k for k in mixable if space.factors[k].kind != "categorical"][:1]
        if len(mixed) == MIXED.get(kind, 1):
            _mixed(encoder, rng, kind, mixed, numbers, indices, space)
            left = [k for k in left if k not in mixed]
        else:
            k = left.pop()
            _single(encoder, rng, kind, k, space.factors[k], indices[:, k], numbers[:, k], linked=k in linked)


BLOCKS = {
    "own latent": 0.22,
    "rotated pair": 0.16,
    "rotated triple": 0.08,
    "curved pair": 0.08,
    "packed pair": 0.08,
    "leaking pair": 0.04,
    "projection": 0.06,
    "network": 0.05,
    "turned circle": 0.04,
    "circle": 0.08,
    "halves": 0.05,
    "averages": 0.03,
    "one-hot": 0.05,
    "missing": 0.07,
    "noisy": 0.08,
}
"""Kinds of blocks that factors are dealt into, with their probabilities."""
MIXED = {
    "rotated pair": 2,
    "curved pair": 2,
    "packed pair": 2,
    "leaking pair": 2,
    "rotated triple": 3,
    "projection": 3,
    "network": 3,
    "turned circle": 2,
}
"""Number of factors that are mixed in a block."""


def _single(
    encoder: Encoder,
    rng: np.random.Generator,
    kind: str,
    k: int,
    factor: Factor,
    column: Floats,
    number: Floats,
    *,
    linked: bool,
) -> None:
    if kind == "missing" and not linked:
        encoder.truths[k] = Truth("missing", kind)
        return
    if kind == "circle" and not linked and factor.kind == "circular":
        angle = 2 * np.pi * (column / (factor.size or 1)) + rng.uniform(0, 2 * np.pi)
        encoder.add(*(_warped(z, rng) for z in (np.cos(angle), np.sin(angle))))
        encoder.truths[k] = Truth("spread", kind)
        return
    if kind == "halves" and not linked and factor.kind in ("ordinal", "continuous") and len(np.unique(column)) > 5:
        middle = np.median(number)
        encoder.add(np.maximum(number - middle, 0.0), np.minimum(number - middle, 0.0))
        encoder.truths[k] = Truth("spread", kind)
        return
    if kind == "one-hot" and not linked and factor.kind == "categorical" and (factor.size or 0) > 2:
        encoder.add(*(np.where(column == value, 1.0, 0.0) for value in range(factor.size or 0)))
        encoder.truths[k] = Truth("spread", kind)
        return
    if kind == "averages" and not linked and factor.kind in ("ordinal", "continuous"):
        encoder.add(*(_warped(number + 0.6 * rng.normal(size=len(number)), rng) for _ in range(3)))
        encoder.truths[k] = Truth("spread", kind)
        return
    if kind == "noisy" and not linked and factor.kind in ("ordinal", "continuous"):
        share = rng.uniform(READABLE_FROM, 1.0) if rng.random() < 0.6 else rng.uniform(0.0, MISSING_BELOW)
        z = np.sqrt(share) * number + np.sqrt(1 - share) * rng.normal(size=len(number))
        places = encoder.add(_warped(z, rng))
        captured = share >= READABLE_FROM
        encoder.truths[k] = Truth("captured" if captured else "missing", kind, frozenset(places))
        return
    z = _warped(number + rng.choice([0.0, 0.05, 0.1]) * rng.normal(size=len(number)), rng)
    if encoder.columns and rng.random() < 0.15 and not linked:  # a small leak of another latent
        other = encoder.columns[int(rng.integers(len(encoder.columns)))]
        z = z / z.std() + 10 ** rng.uniform(-6, -1.3) * (other - other.mean()) / other.std()
    places = encoder.add(z)
    if rng.random() < 0.15:
        places += encoder.add(_warped(number, rng))
    encoder.truths[k] = Truth("captured", "dependent" if linked else "own latent", frozenset(places))


def _mixed(
    encoder: Encoder,
    rng: np.random.Generator,
    kind: str,
    mixed: Sequence[int],
    numbers: Floats,
    indices: Floats,
    space: FactorSpace,
) -> None:
    """Add the latents of a block of several factors."""
    sizes = [space.factors[k].size or 0 for k in mixed]
    latents, truths = _MIXERS[kind](rng, Given(numbers[:, mixed], indices[:, mixed], sizes))
    if kind != "packed pair":
        noise = rng.choice([0.0, 0.05, 0.1])
        latents = latents + noise * latents.std(axis=0) * rng.normal(size=latents.shape)
        latents = np.stack([_warped(z, rng) for z in latents.T], axis=1)
    places = encoder.add(*latents.T)
    for k, truth in zip(mixed, truths, strict=True):
        encoder.truths[k] = replace(
            truth,
            latents=frozenset(places[j] for j in truth.latents),
            mixed_with=frozenset(mixed[m] for m in truth.mixed_with),
            may_be_mixed_with=frozenset(mixed[m] for m in truth.may_be_mixed_with),
        )


@dataclass(frozen=True)
class Given:
    """Factors of a block: standardised numbers, indices, and the number of values, 0 if they are continuous."""

    numbers: Floats
    indices: Floats
    sizes: list[int]


Block = tuple[Floats, list[Truth]]
"""Latents of a block and the truth about its factors, both numbered within the block."""


def _each_with_the_other(block: str) -> list[Truth]:
    return [Truth("mixed", block, mixed_with=frozenset([1 - i])) for i in range(2)]


def _each_with_some(block: str, n_factors: int) -> list[Truth]:
    others = [frozenset(range(n_factors)) - {i} for i in range(n_factors)]
    return [Truth("mixed", block, may_be_mixed_with=frozenset(o)) for o in others]


def _turn(v: Floats, angle: float | Floats) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([cosine * v[:, 0] - sine * v[:, 1], sine * v[:, 0] + cosine * v[:, 1]], axis=1)


def _rotated_pair(rng: np.random.Generator, given: Given) -> Block:
    near_axis = rng.random() < 0.2
    angle = np.radians(rng.uniform(*((0.0, SMALL_ANGLE) if near_axis else CLEAR_ANGLES)) * rng.choice([-1, 1]))
    if near_axis:
        return _turn(given.numbers, angle), [Truth("captured", "small rotation", frozenset([i])) for i in range(2)]
    return _turn(given.numbers, angle), _each_with_the_other("rotated pair")


def _projected(rng: np.random.Generator, given: Given, n_latents: int, block: str) -> Block:
    while True:
        turn = np.linalg.qr(rng.normal(size=(n_latents, n_latents)))[0][:, :3]
        explained = turn**2 / (turn**2).sum(axis=1, keepdims=True)
        strong = (turn**2 > 0.1) & (explained < 0.8)
        if explained.max() < MIXED_BELOW and strong.any(axis=0).all():
            break
    truths = _each_with_some(block, 3)
    # One latent may read all digits of factors of few values. Otherwise three latents are needed, and only a factor
    # that is weak in those of another one may be named or not.
    if n_latents == 3 and all(size == 0 or size > 6 for size in given.sizes):
        truths = [
            replace(
                truth,
                mixed_with=frozenset(m for m in range(3) if m != i and ((explained[:, m] > 0.15) & strong[:, i]).any()),
            )
            for i, truth in enumerate(truths)
        ]
    return given.numbers @ turn.T, truths


def _rotated_triple(rng: np.random.Generator, given: Given) -> Block:
    return _projected(rng, given, 3, "rotated triple")


def _projection(rng: np.random.Generator, given: Given) -> Block:
    return _projected(rng, given, int(rng.integers(4, 8)), "projection")


def _network(rng: np.random.Generator, given: Given) -> Block:
    """Return two layers, each of which mixes all factors."""
    first = second = _mixing(rng, 3)
    while np.square(second @ first).max() > 0.7:  # the second must not undo the first
        second = _mixing(rng, 3)
    hidden = given.numbers @ first.T
    hidden = np.where(hidden > 0, hidden, 0.3 * hidden)
    return (hidden - hidden.mean(axis=0)) / hidden.std(axis=0) @ second.T, _each_with_some("network", 3)


def _turned_circle(rng: np.random.Generator, given: Given) -> Block:
    angle = 2 * np.pi * given.indices[:, 0] / given.sizes[0] + rng.uniform(0, 2 * np.pi)
    around = np.stack([1.4 * np.cos(angle), 1.4 * np.sin(angle), given.numbers[:, 1]], axis=1)
    return around @ _mixing(rng, 3).T, _each_with_the_other("turned circle")


def _leaking_pair(rng: np.random.Generator, given: Given) -> Block:
    """Return a latent of one factor, which also occurs in that of the other."""
    weight = np.exp(rng.uniform(np.log(0.5), np.log(2)))
    truths = [
        Truth("captured", "leaking pair", frozenset([0])),
        Truth("mixed", "leaking pair", frozenset(), frozenset([0])),
    ]
    return np.stack([given.numbers[:, 0], given.numbers[:, 1] + weight * given.numbers[:, 0]], axis=1), truths


def _curved_pair(rng: np.random.Generator, given: Given) -> Block:
    if rng.random() < 0.5:  # a swirl: farther points are turned farther
        radius = np.linalg.norm(given.numbers, axis=1)
        angle = np.radians(rng.uniform(35, 55)) + rng.uniform(0.2, 0.6) * (radius - radius.mean())
        return _turn(given.numbers, angle), _each_with_the_other("curved pair")
    first, second = given.numbers.T
    bent = np.stack([_warped(first + second, rng), _warped(first - second, rng)], axis=1)
    bent = (bent - bent.mean(axis=0)) / bent.std(axis=0)
    return _turn(bent, np.radians(rng.uniform(-15, 15))), _each_with_the_other("curved pair")


def _packed_pair(rng: np.random.Generator, given: Given) -> Block:
    """Return one latent: both digits of a number, or a sum of which about half of each factor is readable."""
    numbers = [len(np.unique(column)) for column in given.indices.T]
    if max(numbers) <= 10 and (rng.random() < 0.5 or min(numbers) > 2):
        packed = given.indices[:, 0] * numbers[1] + given.indices[:, 1]
    else:
        packed = given.numbers[:, 0] + np.exp(rng.uniform(-0.15, 0.15)) * given.numbers[:, 1]
    return packed[:, None], _each_with_the_other("packed pair")


_MIXERS: dict[str, Callable[[np.random.Generator, Given], Block]] = {
    "rotated pair": _rotated_pair,
    "rotated triple": _rotated_triple,
    "projection": _projection,
    "network": _network,
    "turned circle": _turned_circle,
    "leaking pair": _leaking_pair,
    "curved pair": _curved_pair,
    "packed pair": _packed_pair,
}


def _mixing(rng: np.random.Generator, n: int) -> Floats:
    """Return a random rotation without an entry near 1 or, in each row, all but one near 0."""
    while True:
        turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
        if (turn**2).max() < 0.75:
            return np.asarray(turn)


def _warped(z: Floats, rng: np.random.Generator) -> Floats:
    z = (z - z.mean()) / z.std()
    warp = rng.choice(["none", "none", "exp", "cube", "tanh"])
    return np.asarray({"none": z, "exp": np.exp(z), "cube": z**3 + 0.3 * z, "tanh": np.tanh(1.5 * z)}[warp])


def _extras(encoder: Encoder, rng: np.random.Generator, n_rows: int) -> None:
    if len(encoder.columns) > 1 and rng.random() < 0.15:  # the sum of two latents, in addition to both
        owned = sorted({min(t.latents) for t in encoder.truths.values() if t.status == "captured"})
        if len(owned) > 1:
            pair = [encoder.columns[j] for j in owned[:2]]
            encoder.add(sum((z - z.mean()) / max(float(z.std()), 1e-12) for z in pair))
    for _ in range(int(rng.choice([0, 0, 1, 2, 3, 8, 16]))):
        kind = rng.choice(["noise", "noise", "constant", "tiny", "spikes"])
        encoder.add(
            {
                "noise": rng.normal(size=n_rows),
                "constant": np.full(n_rows, 0.3),
                "tiny": 1e-6 * rng.normal(size=n_rows),
                "spikes": np.where(rng.random(n_rows) < 0.02, rng.normal(size=n_rows), 0.0),
            }[kind]
        )
    if not encoder.columns:
        encoder.add(rng.normal(size=n_rows))


def _scaled(codes: Floats, rng: np.random.Generator) -> NDArray[np.floating]:
    """Change signs and scales; round or shorten numbers at times."""
    codes = codes * rng.choice([-1, 1], size=codes.shape[1]) * 10 ** rng.uniform(-2, 2, size=codes.shape[1])
    precision = rng.choice(["double", "double", "single", "rounded", "outliers"])
    if precision == "single":
        return codes.astype(np.float32)
    if precision == "rounded":
        spread = np.where(codes.std(axis=0) > 0, codes.std(axis=0), 1.0)
        return np.asarray(np.round(codes / spread, 3) * spread)
    if precision == "outliers":
        rows = rng.integers(len(codes), size=3)
        codes[rows] *= 1e3
    return codes


def is_right(case: Case, k: int, given: Verdict) -> bool:
    """Whether the verdict on a factor is right: its status, the latent that captures it, what it is mixed with."""
    truth, name = case.truths[k], case.representation.space.names[k]
    if name not in given.factors:
        return False
    factor = given.factors[name]
    if factor.status != truth.status:
        return False
    if truth.status == "captured":
        return factor.latents[0] in {case.representation.code_names[j] for j in truth.latents}
    if truth.status == "mixed":
        named = {case.representation.space.position(partner) for partner in factor.mixed_with}
        return truth.mixed_with <= named <= truth.mixed_with | truth.may_be_mixed_with
    return True


@dataclass(frozen=True)
class Result:
    """One factor of one encoder."""

    seed: int
    factor: str
    truth: Truth
    status: str
    right: bool


def results(seeds: Sequence[int]) -> Iterator[Result]:
    """Yield the verdict on every factor of the encoders of these seeds."""
    for seed in seeds:
        case = draw(seed)
        given = verdict(case.representation)
        for k, name in enumerate(case.representation.space.names):
            status = given.factors[name].status if name in given.factors else "left out"
            yield Result(seed, name, case.truths[k], status, is_right(case, k, given))


def tables(drawn: Sequence[Result]) -> str:
    """Return the confusion matrix and the share of right verdicts by kind of block, as Markdown."""
    counts = Counter((r.truth.status, r.status) for r in drawn)
    lines = [f"| truth | {' | '.join(STATUSES)} | right, latents and partners included |", "|---|" + "---|" * 5]
    for truth in STATUSES:
        of_truth = [r for r in drawn if r.truth.status == truth]
        share = np.mean([r.right for r in of_truth]) if of_truth else np.nan
        lines.append(f"| {truth} | {' | '.join(str(counts[truth, s]) for s in STATUSES)} | {100 * share:.1f} % |")
    lines += ["", "| block | factors | right |", "|---|---|---|"]
    for block in sorted({r.truth.block for r in drawn}):
        of_block = [r.right for r in drawn if r.truth.block == block]
        lines.append(f"| {block} | {len(of_block)} | {100 * np.mean(of_block):.1f} % |")
    n_encoders, n_right = len({r.seed for r in drawn}), sum(r.right for r in drawn)
    lines += ["", f"{n_encoders} encoders, {n_right} of {len(drawn)} verdicts on factors right."]
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", type=int, default=N_ENCODERS)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="first seed")
    parser.add_argument("--wrong", action="store_true", help="list the wrong verdicts")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    options = parser.parse_args()
    drawn = list(results(range(options.first, options.first + options.encoders)))
    text = tables(drawn)
    sys.stdout.write(text + "\n")
    if options.wrong:
        for r in drawn:
            if not r.right:
                sys.stdout.write(f"{r}\n")
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(START)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
