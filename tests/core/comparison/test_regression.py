"""Scores against a baseline."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import disentmetrics as dm
from disentmetrics.comparison.regression import (
    CheckResult,
    CheckStatus,
    Tolerance,
    check,
    read_baseline,
    write_baseline,
)
from disentmetrics.errors import CorruptFileError, InvalidInputError, StorageError
from disentmetrics.metrics import find_metric
from disentmetrics.scoring.declarations import declared
from disentmetrics.scoring.uncertainty import standard_error, t_interval

LOWER_IS_BETTER = "gaussian_total_correlation"
UNIT = "mig"


def score(name: str, value: float, *, spread: float = 0.01, seed: int = 0, **changes: Any) -> dm.Score:
    """Return a score with twenty jackknife replicates."""
    fields = {"protocol": "default", "rows": "500", "code": "mean", "data": "squares-1", "draw": "uniform/0"}
    fields |= {"encoder": "some", "seed": "0", "v": dm.__version__} | changes.pop("fields", {})
    noise = np.random.default_rng(seed).normal(size=20)
    replicates = tuple(value + spread * (noise - noise.mean()))
    interval = t_interval(value, standard_error(replicates, "jackknife"), 19, (-math.inf, math.inf), "jackknife")
    made = dm.Score(
        name, value, str(dm.Signature(name, fields)), interval=interval, replicates=replicates, **declared(name)
    )
    return replace(made, **changes)


def card(*scores: dm.Score, row_key: str = "k") -> dm.ScoreCard:
    return dm.ScoreCard({s.name: s for s in scores}, {"row_key": row_key, "rows": 500, "seed": 0})


def outcome(now: dm.Score | None, was: dm.Score, tolerance: str | float = "interval", **options: Any) -> CheckStatus:
    scores = [] if now is None else [now]
    return check(card(*scores, **options), card(was), tolerance).checks[0].outcome


# what counts as a regression


def test_the_examples_are_of_both_directions() -> None:
    assert find_metric(UNIT)[0].higher_is_better
    assert not find_metric(LOWER_IS_BETTER)[0].higher_is_better


@pytest.mark.parametrize(
    ("now", "tolerance", "expected"),
    [
        (0.48, 0.02, CheckStatus.OK),  # at the edge, where 0.5 - 0.48 is a little more than 0.02
        (0.479, 0.02, CheckStatus.REGRESSED),
        (0.521, "0.02", CheckStatus.IMPROVED),
        (0.49, "2%", CheckStatus.OK),
        (0.489, "2 %", CheckStatus.REGRESSED),
        (0.5, 0, CheckStatus.OK),
        (0.5 - 1e-12, 0, CheckStatus.OK),
        (0.4999, "0%", CheckStatus.REGRESSED),
    ],
)
def test_a_score_may_be_worse_by_the_tolerance_and_no_more(
    now: float, tolerance: str | float, expected: CheckStatus
) -> None:
    assert outcome(score(UNIT, now), score(UNIT, 0.5), tolerance) is expected
    mirrored = {CheckStatus.REGRESSED: CheckStatus.IMPROVED, CheckStatus.IMPROVED: CheckStatus.REGRESSED}.get(
        expected, expected
    )
    assert outcome(score(LOWER_IS_BETTER, now), score(LOWER_IS_BETTER, 0.5), tolerance) is mirrored


def test_the_interval_is_of_the_paired_difference() -> None:
    """Two encoders with correlated replicates differ significantly, although each interval contains the other value."""
    was, now = score(UNIT, 0.50), score(UNIT, 0.49)
    assert was.interval is not None
    assert was.interval.low < now.value
    assert outcome(now, was) is CheckStatus.REGRESSED
    assert outcome(score(UNIT, 0.49, seed=1), was) is CheckStatus.OK


def test_without_pairs_the_intervals_are_combined() -> None:
    """Zou & Donner (2008): for symmetric intervals, the square root of the sum of squares."""
    was, now = score(UNIT, 0.5), replace(score(UNIT, 0.4), replicates=())
    found = check(card(now), card(was)).checks[0]
    assert was.interval is not None
    assert now.interval is not None
    assert found.interval is not None
    reach = math.hypot(was.interval.high - was.value, now.interval.high - now.value)
    assert found.interval.high - found.interval.low == pytest.approx(2 * reach)
    assert found.interval.method == "combined"


@pytest.mark.parametrize("bare", [0, 1])
def test_one_interval_is_enough_and_none_is_not(bare: int) -> None:
    both = [score(UNIT, 0.5), score(UNIT, 0.4)]
    both[bare] = replace(both[bare], interval=None, replicates=())
    assert outcome(both[1], both[0]) is CheckStatus.REGRESSED
    neither = [replace(s, interval=None, replicates=()) for s in both]
    found = check(card(neither[1]), card(neither[0])).checks[0]
    assert found.outcome is CheckStatus.NOT_COMPARABLE
    assert "give a number as tolerance" in found.reason
    assert outcome(neither[1], neither[0], 0.2) is CheckStatus.OK


def test_on_an_entire_population_any_loss_counts() -> None:
    exact = dm.Interval(0.5, 0.5, 0.95, "exact")
    was = replace(score(UNIT, 0.5), interval=exact, replicates=())
    assert outcome(replace(was, value=0.4999), was) is CheckStatus.REGRESSED
    assert outcome(replace(was, value=0.5 - 1e-12), was) is CheckStatus.OK


values = st.floats(0, 1)


@given(values, values, st.sampled_from(["interval", 0.02, 0]), st.sampled_from([UNIT, LOWER_IS_BETTER]))
def test_exchanging_the_two_exchanges_regressed_and_improved(
    a: float, b: float, tolerance: str | float, name: str
) -> None:
    first, second = score(name, a), score(name, b, seed=1)
    exchanged = {
        CheckStatus.REGRESSED: CheckStatus.IMPROVED,
        CheckStatus.IMPROVED: CheckStatus.REGRESSED,
        CheckStatus.OK: CheckStatus.OK,
    }
    assert outcome(second, first, tolerance) is exchanged[outcome(first, second, tolerance)]


@given(values, values, st.floats(0, 1), st.floats(0, 1), st.sampled_from(["", "%"]))
def test_a_wider_tolerance_never_finds_more(a: float, b: float, one: float, two: float, unit: str) -> None:
    narrow, wide = (outcome(score(UNIT, a), score(UNIT, b), f"{t:.17f}{unit}") for t in sorted((one, two)))
    assert narrow is wide or wide is CheckStatus.OK


@given(st.permutations([UNIT, "higgins", "dci", LOWER_IS_BETTER]), values)
def test_the_order_of_scores_does_not_matter(order: list[str], value: float) -> None:
    was = card(*(score(name, 0.5) for name in (UNIT, "higgins", "dci", LOWER_IS_BETTER)))
    found = {c.name: c for c in check(card(*(score(name, value) for name in order)), was).checks}
    sorted_ = {c.name: c for c in check(card(*(score(name, value) for name in sorted(order))), was).checks}
    assert found == sorted_


@given(values, st.sampled_from(["interval", 0.0, "1%"]))
def test_a_card_passes_against_itself(value: float, tolerance: str | float) -> None:
    assert outcome(score(UNIT, value), score(UNIT, value), tolerance) is CheckStatus.OK


# what is not judged


@pytest.mark.parametrize("field", ["protocol", "rows", "data", "draw", "seed", "v", "n_bins"])
def test_a_changed_signature_is_never_passed(field: str) -> None:
    now = score(UNIT, 0.9, fields={field: "other"})
    for tolerance in ("interval", 1.0):
        result = check(card(now), card(score(UNIT, 0.5)), tolerance)
        (found,) = result.failures
        assert not result.passed
        assert found.outcome is CheckStatus.NOT_COMPARABLE
        assert f"{field} (" in found.reason
        assert "other)" in found.reason


@pytest.mark.parametrize("field", ["encoder", "code", "mask", "prune"])
def test_differences_of_the_encoder_are_allowed(field: str) -> None:
    result = check(card(score(UNIT, 0.5, fields={field: "other"})), card(score(UNIT, 0.5)))
    assert result.passed
    assert any(f"{field} was " in line and "is other (all scores)" in line for line in result.remarks())


def test_rows_with_other_labels_are_not_comparable() -> None:
    found = check(card(score(UNIT, 0.5), row_key="x"), card(score(UNIT, 0.5))).checks[0]
    assert found.outcome is CheckStatus.NOT_COMPARABLE
    assert "labels (k and x)" in found.reason


def test_files_of_two_tables_with_the_same_labels_are_comparable() -> None:
    ours, theirs = (score(UNIT, 0.5, fields={"draw": "table", "data": f"file-{n}"}) for n in (1, 2))
    assert outcome(ours, theirs) is CheckStatus.OK
    assert outcome(ours, theirs, row_key="x") is CheckStatus.NOT_COMPARABLE


def test_counts_of_codes_may_differ_and_rules_may_not() -> None:
    def active(text: str) -> dm.Score:
        return score(UNIT, 0.5, fields={"active": text})

    assert outcome(active("7"), active("9")) is CheckStatus.OK
    assert outcome(active("7"), active("kl>0.01")) is CheckStatus.NOT_COMPARABLE


def test_a_score_of_unknown_direction_is_not_judged_unless_either_card_declares_it() -> None:
    was, now = score("house_metric", 0.5), score("house_metric", 0.4)
    assert outcome(now, was) is CheckStatus.NOT_COMPARABLE
    assert outcome(now, replace(was, higher_is_better=False)) is CheckStatus.IMPROVED
    assert outcome(replace(now, higher_is_better=False), was) is CheckStatus.IMPROVED
    assert outcome(replace(now, higher_is_better=True), was) is CheckStatus.REGRESSED


FACTORS = {"shape": 0.5, "x": 0.9, "y": 0.8, "z": 0.1}


@pytest.mark.parametrize(
    ("now", "worst"),
    [
        ({"x": 0.3}, ["x"]),
        ({"x": 0.3, "y": 0.1, "shape": 0.3}, ["y", "x"]),  # the fall of shape is less than half of the largest
        ({"shape": 0.0, "x": 0.0, "y": 0.0, "z": 0.05}, ["x", "y", "shape"]),
        ({"x": math.nan, "y": 0.7}, ["y"]),  # x has no value now
        ({"x": 1.0}, []),
    ],
)
@pytest.mark.parametrize("name", [UNIT, LOWER_IS_BETTER])
def test_a_regression_names_the_factors_that_became_worse_by_most(
    name: str, now: dict[str, float], worst: list[str]
) -> None:
    def with_factors(value: float, per_factor: dict[str, float]) -> dm.Score:
        sign = 1 if name == UNIT else -1
        return score(name, sign * value, per_factor={k: sign * v for k, v in per_factor.items()})

    was, fallen = with_factors(0.5, FACTORS), with_factors(0.3, FACTORS | now)
    regressed = check(card(fallen), card(was)).checks[0]
    assert regressed.outcome is CheckStatus.REGRESSED
    assert list(regressed.factors) == worst
    assert all(regressed.factors[k] == (was.per_factor[k], fallen.per_factor[k]) for k in worst)
    words = "fell most for " if name == UNIT else "rose most for "
    assert (words + ", ".join(worst)[:1] in str(regressed)) == bool(worst)
    improved = check(card(was), card(fallen)).checks[0]
    assert improved.outcome is CheckStatus.IMPROVED
    assert not improved.factors


def test_the_factor_that_fell_is_named_wherever_a_result_is_shown(tmp_path: Path) -> None:
    """Two of three latents are rotated by 45 degrees: their factors fell, and the third did not."""
    factors = np.random.default_rng(0).integers(6, size=(1_000, 3))
    rotated = factors @ [[1, 0, 0], [0, 0.7, -0.7], [0, 0.7, 0.7]]
    before, after = (dm.score(dm.Representation(c, factors), ["mig"], null=False) for c in (factors * 1.0, rotated))
    write_baseline(tmp_path / "baseline.json", before)
    result = check(after, tmp_path / "baseline.json")
    assert set(result.checks[0].factors) == {"factor_1", "factor_2"}
    for text in (str(result), result.to_junit("all"), *result.annotations()):
        assert "; fell most for factor_" in text


def test_missing_fails_and_new_does_not() -> None:
    assert outcome(None, score(UNIT, 0.5)) is CheckStatus.MISSING
    result = check(card(score(UNIT, 0.5), score("higgins", 1.0)), card(score(UNIT, 0.5)))
    assert [c.outcome for c in result.checks] == [CheckStatus.OK, CheckStatus.NEW]
    assert result.passed
    assert not check(card(), card(score(UNIT, 0.5))).passed


def test_parts_are_guarded_too() -> None:
    parts = [{"completeness": score("dci.completeness", value)} for value in (0.5, 0.3)]
    was, now = (replace(score("dci", 0.5), parts=one) for one in parts)
    result = check(card(now), card(was))
    assert {c.name: c.outcome for c in result.checks} == {"dci": "ok", "dci.completeness": "regressed"}


def test_a_part_has_its_own_direction() -> None:
    assert find_metric("block_identifiability")[0].higher_is_better
    leaks, leaked = (score("block_identifiability.leakage", value) for value in (0.5, 0.1))
    assert outcome(leaks, leaked) is CheckStatus.REGRESSED
    assert outcome(leaked, leaks) is CheckStatus.IMPROVED


def test_undefined_scores() -> None:
    defined, lost = score(UNIT, 0.5), replace(score(UNIT, math.nan), undefined="every code is constant")
    nan = replace(score(UNIT, math.nan), undefined=None)
    assert outcome(lost, defined) is CheckStatus.UNDEFINED
    assert outcome(nan, defined) is CheckStatus.UNDEFINED
    assert outcome(lost, lost) is CheckStatus.OK
    assert outcome(defined, lost) is CheckStatus.NEW
    assert "every code is constant" in str(check(card(lost), card(defined)))


@pytest.mark.parametrize(
    "text", ["", "abc", "-0.1", "nan", "inf", "-1%", "%", "1%%", "intervall", "0,02", True, math.nan, None]
)
def test_a_wrong_tolerance_is_refused(text: Any) -> None:
    message = "interval, a number of at least 0 such as 0.02, or a percentage such as 2%"
    with pytest.raises(InvalidInputError, match=message):
        Tolerance.parse(text)


@given(st.floats(0, 1e3), st.sampled_from(["", "%"]))
def test_a_tolerance_is_read_as_written(amount: float, unit: str) -> None:
    parsed = Tolerance.parse(f"{amount!r}{unit}")
    assert parsed.amount == pytest.approx(amount / 100 if unit else amount, abs=1e-300)
    assert Tolerance.parse(str(parsed)).kind == parsed.kind


# what is shown


def some_result() -> CheckResult:
    was = card(*(score(name, 0.5) for name in (UNIT, "higgins", "dci", "sap")))
    now = card(
        score(UNIT, 0.3, fields={"encoder": "mine|<b>&"}),
        score("higgins", 0.9),
        score("dci", 0.5, fields={"seed": "1"}),
        score("mcc", 0.1),
    )
    return check(now, was)


def test_the_text_contains_value_baseline_interval_tolerance_and_changed_fields() -> None:
    text = str(some_result())
    for expected in ("0.300", "0.500", "-0.200", "[-0.200, -0.200]", "encoder was some, is mine|<b>& (mig)"):
        assert expected in text
    assert "mig regressed: 0.3 is 0.2 below the baseline's 0.5" in text
    assert "dci not comparable: the baseline was scored differently: seed (0 and 1)" in text
    assert text.endswith("failed: 1 improved, 1 new, 1 regressed, 1 missing, 1 not comparable (tolerance interval)")


def parsed_junit(text: str) -> ET.Element:
    """Parse, and check what readers of JUnit files require."""
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    assert {"name", "tests", "failures", "errors", "skipped", "time"} <= set(suite.attrib)
    cases = list(suite)
    assert {case.tag for case in cases} <= {"testcase"}
    for case in cases:
        assert {"classname", "name", "time"} == set(case.attrib)
        assert [child.tag for child in case] in (["failure"], ["skipped"], ["system-out"])
        for failure in case.findall("failure"):
            assert {"message", "type"} == set(failure.attrib)
    counts = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "skipped")}
    assert (int(suite.attrib["tests"]), int(suite.attrib["errors"])) == (len(cases), 0)
    assert (int(suite.attrib["failures"]), int(suite.attrib["skipped"])) == (counts["failure"], counts["skipped"])
    return root


def test_junit_has_one_case_per_score() -> None:
    root = parsed_junit(some_result().to_junit("disentmetrics.model"))
    found = {case.attrib["name"]: case[0] for case in root.iter("testcase")}
    kinds = {name: child.tag for name, child in found.items()}
    assert kinds == {
        UNIT: "failure", "higgins": "system-out", "dci": "failure", "sap": "failure", "mcc": "skipped"
    }  # fmt: skip
    assert found[UNIT].attrib["type"] == "regressed"
    assert "|encoder:mine%7C<b>%26|" in str(found[UNIT].text)


@given(st.text(max_size=30), st.text(max_size=30))
def test_junit_is_well_formed_whatever_the_names(name: str, why: str) -> None:
    lost = replace(score(UNIT, math.nan), name=name, undefined=why or "no reason")
    result = check(
        dm.ScoreCard({name: lost}, {"row_key": "k"}),
        dm.ScoreCard({name: replace(lost, value=0.5, undefined=None)}, {"row_key": "k"}),
    )
    root = parsed_junit(result.to_junit(f"suite {name}"))
    assert len(list(root.iter("testcase"))) == 1


def test_annotations_are_escaped_as_workflow_commands_are() -> None:
    lost = replace(score(UNIT, math.nan), name="a:b,c%\n::error::x", undefined="50%\r\n::warning::y")
    was = replace(lost, value=0.5, undefined=None)
    (line,) = check(
        dm.ScoreCard({lost.name: lost}, {"row_key": "k"}), dm.ScoreCard({lost.name: was}, {"row_key": "k"})
    ).annotations()
    title = "a%3Ab%2Cc%25%0A%3A%3Aerror%3A%3Ax undefined"
    assert line == f"::error title={title}::undefined: 50%25%0D%0A::warning::y"


def test_no_name_adds_a_line_to_the_text() -> None:
    name = "evil\n::error::x\x1b[31m"
    result = check(card(), dm.ScoreCard({name: replace(score(UNIT, 0.5), name=name)}))
    assert not any(line.lstrip().startswith("::") for line in str(result).splitlines())
    assert "\x1b" not in str(result)


def test_good_news_are_notices_and_sameness_is_none() -> None:
    kinds = [line.split(" ")[0] for line in some_result().annotations()]
    assert kinds == ["::error", "::notice", "::error", "::error", "::notice"]
    assert check(card(score(UNIT, 0.5)), card(score(UNIT, 0.5))).annotations() == []


def test_real_cards_are_checked_from_files(tmp_path: Path, rng: np.random.Generator) -> None:
    factors = rng.integers((3, 4), size=(300, 2))
    for name, noise in (("good", 0.1), ("bad", 1.0)):
        codes = factors + noise * rng.normal(size=factors.shape)
        dm.score(dm.Representation(codes, factors), ["mig"], null=False).to_json(tmp_path / f"{name}.json")
    assert dm.check(tmp_path / "good.json", tmp_path / "bad.json").passed
    assert {c.outcome for c in dm.check(tmp_path / "bad.json", tmp_path / "good.json").checks} == {"regressed"}


# files of baselines


def some_card(value: float = 0.5) -> dm.ScoreCard:
    with_matrix = replace(
        score(UNIT, value), details={"matrix": np.ones((50, 50))}, replicates=(value, math.nan, value + 0.01)
    )
    undefined = dm.Score("dci", math.nan, "dci|seed:0", undefined="no ‘reason’")
    return dm.ScoreCard({UNIT: with_matrix, "dci": undefined}, {"row_key": "k", "rows": 5, "data": "d"})


def test_a_baseline_is_a_score_card_without_matrices(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "model.json"
    write_baseline(path, some_card())
    read = read_baseline(path)
    assert read.about == some_card().about
    assert read[UNIT].interval == some_card()[UNIT].interval
    assert read[UNIT].higher_is_better
    assert read["dci"].undefined == "no ‘reason’"
    assert read.summary is None
    assert str(dm.ScoreCard.from_json(path)) == str(some_card())
    assert "matrix" not in path.read_text(encoding="utf-8")
    assert check(some_card(), path).passed


def test_a_baseline_has_a_line_for_each_number_and_changes_with_them_alone(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write_baseline(path, some_card())
    before = path.read_text(encoding="utf-8").splitlines()
    assert '   "value": 0.5,' in before
    write_baseline(path, some_card())
    assert path.read_text(encoding="utf-8").splitlines() == before
    write_baseline(path, some_card(0.6))
    changed = [line for line in path.read_text(encoding="utf-8").splitlines() if line not in before]
    assert {line.strip().partition(":")[0] for line in changed if '": ' in line} == {'"value"', '"low"', '"high"'}


def test_a_score_card_is_a_baseline(tmp_path: Path) -> None:
    some_card().to_json(tmp_path / "card.json")
    assert str(read_baseline(tmp_path / "card.json")) == str(some_card())


def test_a_baseline_that_cannot_be_written_stays_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.json"
    write_baseline(path, some_card())
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="No space left"):
        write_baseline(path, some_card(0.9))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_baseline_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such file; --update writes it"):
        read_baseline(tmp_path / "none.json")


@pytest.mark.parametrize("content", ['{"format": "disentmetrics-baseline-1"}', "", "notes", "[1]", '{"format": "disen'])
def test_a_file_that_is_not_a_score_card_is_refused_and_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CorruptFileError, match=r"b\.json must be a .*; to replace the baseline, delete .*b\.json and"):
        read_baseline(path)
    with pytest.raises(CorruptFileError, match="write it again with --update"):
        write_baseline(path, some_card())
    assert path.read_text(encoding="utf-8") == content


@given(st.integers(0, 10_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_baseline_is_refused_and_unchanged(tmp_path: Path, length: int) -> None:
    path = tmp_path / "b.json"
    path.unlink(missing_ok=True)
    write_baseline(path, some_card())
    text = path.read_text(encoding="utf-8").rstrip()
    part = text[: length % len(text)]
    path.write_text(part, encoding="utf-8")
    with pytest.raises(CorruptFileError, match="score again"):
        write_baseline(path, some_card())
    assert path.read_text(encoding="utf-8") == part


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, st.lists(numbers, max_size=3), st.text(max_size=9), st.text(max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_number_and_name_of_a_baseline_is_restored_exactly(
    tmp_path: Path, value: float, replicates: list[float], name: str, encoder: str
) -> None:
    some = replace(some_card(0.5)[UNIT], value=value, name=name, interval=None, replicates=tuple(replicates))
    path = tmp_path / "b.json"
    path.unlink(missing_ok=True)
    write_baseline(path, dm.ScoreCard({name: some}, {"encoder": encoder}))
    read = read_baseline(path)
    assert (read[name].value, read[name].replicates) == (value, tuple(replicates))
    assert read.about["encoder"] == encoder


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write_baseline(path, some_card())
    path.write_text(path.read_text(encoding="utf-8").replace('"value": 0.5,', '"value": NaN,', 1), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="every number must be finite; got NaN"):
        read_baseline(path)
