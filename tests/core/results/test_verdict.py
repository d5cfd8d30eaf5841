"""Verdicts in words and as JSON."""

import json
from dataclasses import replace

import pytest

from disentmetrics.results.verdict import FactorVerdict, Verdict

X = FactorVerdict("x", "mixed", 0.98, 0.49, ("z4", "z8"), ("y",), is_linear=True)
Y = FactorVerdict("y", "mixed", 0.99, 0.52, ("z8", "z4"), ("x",), is_linear=True)
SHAPE = FactorVerdict("shape", "missing", 0.04, 0.02)
SCALE = FactorVerdict("scale", "captured", 0.97, 0.97, ("z2",))
ANGLE = FactorVerdict("angle", "spread", 0.99, 0.5, ("z0", "z1"), is_circular=True)

CIRCLE = "one latent cannot encode a circle without a jump"


def verdict(*factors: FactorVerdict) -> Verdict:
    return Verdict({factor.name: factor for factor in factors})


def test_one_sentence_says_what_is_right_and_what_is_wrong() -> None:
    assert verdict(SHAPE, SCALE, X, ANGLE, Y).sentence == (
        "2 of 5 factors are disentangled; x and y are readable but rotated over z4 and z8; shape is not captured."
    )


@pytest.mark.parametrize(
    ("factors", "sentence"),
    [
        ((SCALE,), "The only factor, scale, is disentangled."),
        ((SHAPE,), "The only factor, shape, is not captured."),
        ((SCALE, ANGLE), "All 2 factors are disentangled."),
        ((SCALE, SHAPE), "1 of 2 factors is disentangled; shape is not captured."),
        ((X, Y), "None of 2 factors is disentangled; x and y are readable but rotated over z4 and z8."),
        (
            (replace(X, is_linear=False), Y),
            "None of 2 factors is disentangled; x and y are readable but mixed over z4 and z8.",
        ),
        (
            (replace(X, mixed_with=("y", "scale")), SCALE),
            "1 of 2 factors is disentangled; x is readable but mixed with y and scale over z4 and z8.",
        ),
        (
            (replace(X, latents=("z3",), share=0.5), replace(Y, latents=("z3",), share=0.5)),
            "None of 2 factors is disentangled; x and y are only partly readable and mixed in z3.",
        ),
        (
            (replace(X, latents=tuple("abcd"), mixed_with=("u",)), SCALE),
            "1 of 2 factors is disentangled; x is readable but mixed with u over 4 latents.",
        ),
        (
            (replace(ANGLE, is_circular=False), SCALE),
            "1 of 2 factors is disentangled; angle is spread over z0 and z1.",
        ),
        (
            (replace(SCALE, share=0.5), ANGLE),
            "All 2 factors are disentangled; scale is captured only in part (50 %).",
        ),
        ((), "No verdict: no factors are known."),
    ],
)
def test_the_sentence_of_each_kind_of_verdict(factors: tuple[FactorVerdict, ...], sentence: str) -> None:
    assert verdict(*factors).sentence == sentence


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (SCALE, "scale is captured by z2 (97 %)"),
        (replace(SCALE, copies=("z5",)), "scale is captured by z2 (97 %); z5 captures it as well"),
        (replace(SCALE, copies=("z5", "z6")), "scale is captured by z2 (97 %); z5 and z6 capture it as well"),
        (
            replace(SCALE, depends_on=("x",)),
            "scale is captured by z2 (97 %), which also encodes x, on which it depends",
        ),
        (
            ANGLE,
            "angle is spread over z0 and z1 (99 % together, 50 % by z0 alone); " + CIRCLE,
        ),
        (X, "x is mixed with y over z4 and z8 (98 % together, 49 % by z4 alone)"),
        (replace(X, latents=("z4",)), "x is mixed with y in z4 (98 %)"),
        (SHAPE, "shape is not captured: all latents together explain 4 % of it"),
        (
            replace(SHAPE, latents=("z1",)),
            "shape is not captured: all latents together explain 4 % of it, although it changes z1",
        ),
    ],
)
def test_the_sentence_about_one_factor(factor: FactorVerdict, sentence: str) -> None:
    assert factor.sentence == sentence


def test_of_many_factors_those_that_are_not_disentangled_are_listed() -> None:
    many = [replace(SCALE, name=f"f{k}") for k in range(20)]
    lines = verdict(*many, SHAPE).sentences(most=3)
    assert lines[0] == SHAPE.sentence
    assert lines[-1] == "and 18 more factors"
    assert len(verdict(*many, SHAPE).sentences()) == 21


def test_unused_latents_and_factors_without_a_verdict_are_named() -> None:
    given = Verdict({"scale": SCALE}, {"flat": "takes a single value"}, ("z0", "z9"))
    assert given.sentences()[1:] == [
        "z0 and z9 encode none of the factors",
        "flat has no verdict: it takes a single value",
    ]
    assert Verdict({}, {"flat": "takes a single value"}).sentence == "No verdict: flat takes a single value."


def test_a_verdict_survives_json() -> None:
    given = Verdict({f.name: f for f in (X, Y, SHAPE, ANGLE)}, {"flat": "takes a single value"}, ("z9",))
    plain = json.loads(json.dumps(given.to_plain()))
    assert plain["sentence"] == given.sentence
    assert plain["factors"][0]["status"] == "mixed"
    assert Verdict.from_plain(plain) == given


@pytest.mark.parametrize(("key", "value"), [("status", "perfect"), ("share", 1.5), ("share", None)])
def test_a_damaged_verdict_is_refused(key: str, value: object) -> None:
    plain = verdict(X, Y).to_plain()
    plain["factors"][0][key] = value
    with pytest.raises((ValueError, TypeError)):
        Verdict.from_plain(plain)
