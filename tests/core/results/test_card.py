import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disentmetrics as dm
from disentmetrics.errors import CorruptFileError, DisentmetricsError, InvalidInputError


@pytest.fixture(scope="module")
def card() -> dm.ScoreCard:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(400, 2))
    codes = np.hstack([factors + 0.3 * rng.normal(size=factors.shape), np.zeros((400, 1))])
    return dm.score(dm.Representation(codes, factors), ["mig", "mig@chen2018", "factorvae"])


def test_a_card_is_read_back_equal_from_text_and_from_a_file(card: dm.ScoreCard, tmp_path: Path) -> None:
    path = tmp_path / "card ü.json"
    text = card.to_json(path)
    for read in (dm.ScoreCard.from_json(text), dm.ScoreCard.from_json(path)):
        assert list(read) == list(card)
        assert read.about == card.about
        assert read["mig"].interval == card["mig"].interval
        assert read["mig"].replicates == card["mig"].replicates
        assert np.array_equal(read["mig"].details["mutual_information"], card["mig"].details["mutual_information"])
        assert read.to_json() == text


def test_json_contains_no_nan_and_an_undefined_score_has_a_reason(card: dm.ScoreCard) -> None:
    plain = json.loads(card.to_json(), parse_constant=lambda name: pytest.fail(f"JSON holds {name}"))
    assert plain["scores"]["mig@chen2018"]["value"] is None
    assert "posterior variances" in plain["scores"]["mig@chen2018"]["undefined"]
    assert math.isnan(card["mig@chen2018"].value)
    with pytest.raises(InvalidInputError, match="has no value: mig@chen2018 needs posterior variances"):
        float(card["mig@chen2018"])


def test_tables_show_values_intervals_reasons_and_dead_codes(card: dm.ScoreCard) -> None:
    shown = str(card)
    assert f"{card['mig'].value:.3f}" in shown
    assert "undefined: mig@chen2018 needs posterior variances" in shown
    assert "1 of 3 latents are constant: z2" in shown


def test_html_escapes_what_users_named(rng: np.random.Generator) -> None:
    factors = {"<script>alert(1)</script>": rng.integers(3, size=200), "b": rng.integers(3, size=200)}
    html = dm.score(dm.Representation(rng.normal(size=(200, 2)), factors), ["mig"])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_html_shows_signatures_scores_and_notes_by_question(card: dm.ScoreCard) -> None:
    html = card._repr_html_()
    assert f'title="{card["mig"].signature}"' in html.replace("&quot;", '"').replace("&#x27;", "'")
    assert f"{card['mig'].value:.3f}" in html
    assert "undefined: mig@chen2018 needs posterior variances" in html
    assert "400 rows · 3 codes" in html
    assert html.index("Is each factor in one latent?") < html.index("Do published summaries agree?")
    colours = set(re.findall(r"(?<![a-z-])(?:color|background):([^;]+)", html))
    assert colours == {"inherit", "none"}


def test_nothing_that_users_named_becomes_markup(card: dm.ScoreCard) -> None:
    evil = '"><script>alert(1)</script>'
    html = dm.ScoreCard(card.scores, {**card.about, "data": evil, "encoder": evil}, (evil,))._repr_html_()
    assert "<script" not in html
    assert '""' not in html
    assert "&lt;script&gt;" in html


def test_an_unknown_score_is_a_key_error_that_names_the_nearest(card: dm.ScoreCard) -> None:
    with pytest.raises(KeyError, match="did you mean 'factorvae'"):
        card["factorvea"]


@pytest.mark.parametrize("damage", ["truncated", "other", "list", "no scores", "wrong field", "binary"])
def test_a_damaged_card_is_refused(card: dm.ScoreCard, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "card.json"
    content = json.loads(card.to_json())
    if damage == "other":
        content = {"format": "something-else"}
    elif damage == "list":
        content = [1]
    elif damage == "no scores":
        del content["scores"]
    elif damage == "wrong field":
        content["scores"]["mig"]["value"] = "high"
    text = json.dumps(content)
    path.write_bytes(b"\xff\xfe\x00" if damage == "binary" else text.encode()[: 500 if damage == "truncated" else None])
    with pytest.raises(CorruptFileError, match=r"card\.json must be a"):
        dm.ScoreCard.from_json(path)


def test_a_card_written_before_scores_had_parts_is_read() -> None:
    old: dict[str, Any] = {
        "format": "disentmetrics-scorecard-1",
        "about": {"rows": 9},
        "notes": [],
        "scores": {
            "mig": {
                "name": "mig",
                "value": 0.5,
                "signature": "mig|rows:9",
                "interval": {"low": 0.4, "high": 0.6, "level": 0.95, "method": "jackknife"},
                "null": 0.0,
                "adjusted": 0.5,
                "p_value": 0.01,
                "per_factor": {"x": None},
                "details": {"mutual_information": [[1.0]]},
                "undefined": None,
                "notes": [],
                "seed_sd": 0.0,
                "replicates": [0.5, None],
            }
        },
    }
    read = dm.ScoreCard.from_json(json.dumps(old))["mig"]
    assert (read.value, read.parts, read.corrected) == (0.5, {}, None)
    del old["scores"]["mig"]["null"]
    with pytest.raises(CorruptFileError, match="null"):
        dm.ScoreCard.from_json(json.dumps(old))


def test_a_card_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no such file"):
        dm.ScoreCard.from_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("scores", "mig", "name"), 1e308),
        (("scores", "mig", "signature"), ["a"]),
        (("summary", "histogram_edges"), 0),
    ],
)
def test_a_card_of_other_types_is_refused(path: tuple[str, ...], value: object) -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(200, 2))
    card = dm.score(dm.Representation(codes, rng.integers(3, size=(200, 2))), ["mig"], interval=None, null=False)
    content = json.loads(card.to_json())
    place = content
    for key in path[:-1]:
        place = place[key]
    assert path[-1] in place
    place[path[-1]] = value
    with pytest.raises(DisentmetricsError):
        dm.ScoreCard.from_json(json.dumps(content))


def test_a_card_is_described_in_one_line() -> None:
    assert repr(dm.ScoreCard({}, {"data": "toy-1", "rows": 5})) == "ScoreCard(0 scores: none, data: toy-1, rows: 5)"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no such device")
def test_a_device_is_never_replaced_by_a_file() -> None:
    with pytest.raises(InvalidInputError, match="/dev/full is a device or a pipe: name a file"):
        dm.ScoreCard({}).to_json("/dev/full")
    assert Path("/dev/full").is_char_device()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "card.json")
    dm.ScoreCard({}).to_json(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert len(dm.ScoreCard.from_json(tmp_path / "card.json")) == 0


def test_kinds_of_factors_stand_on_the_card() -> None:
    rng = np.random.default_rng(0)
    labels = {"label": rng.integers(0, 150, 300), "hour": rng.integers(0, 25, 300), "size": rng.integers(0, 3, 300)}
    table = dm.Representation(rng.normal(size=(300, 2)), labels, kinds={"hour": "circular:24"})
    card = dm.score(table, ["mcc"], interval=None, null=False)
    line = "factors: label (continuous), hour (circular, 24, period 24), size (ordinal, 3)"
    assert card.about["kinds"] == {"label": "continuous", "hour": "circular:24", "size": "ordinal"}
    assert line in str(card)
    assert line in card._repr_html_()
    assert "factor hour: 25 values are 24 on a circle of period 24, such as 0 and 24" in card.remarks()
    read = dm.ScoreCard.from_json(card.to_json())
    assert read.factor_lines() == card.factor_lines() == [line]
    assert read.summary is not None
    assert read.summary.factors == table.space.factors[:1] + read.summary.factors[1:]
    assert read.summary.factors[1].period == 24
    assert dm.ScoreCard({}, {"kinds": {"a": "ordinal"}}).factor_lines() == ["factors: a (ordinal)"]
    assert dm.ScoreCard({}).factor_lines() == []


def test_many_factors_are_counted() -> None:
    kinds = {f"v{k}": "ordinal" for k in range(25)}
    assert dm.ScoreCard({}, {"kinds": kinds}).factor_lines()[0].endswith("v19 (ordinal), and 5 more")


def test_the_verdict_is_printed_first_and_survives_json(card: dm.ScoreCard) -> None:
    assert card.verdict is not None
    shown = str(card)
    assert shown.startswith("All 2 factors are disentangled.\n• factor_0 is captured by z0 (")
    assert "Percentages are shares of the variance" in shown
    assert max(map(len, shown.splitlines())) <= 80
    again = dm.ScoreCard.from_json(card.to_json())
    assert again.verdict == card.verdict
    assert json.loads(card.to_json())["verdict"]["sentence"] == "All 2 factors are disentangled."
    assert "All 2 factors are disentangled." in card._repr_html_()


def test_a_card_of_an_older_version_has_no_verdict(card: dm.ScoreCard) -> None:
    content = json.loads(card.to_json())
    del content["verdict"]
    old = dm.ScoreCard.from_json(json.dumps(content))
    assert old.verdict is None
    assert str(old).splitlines()[0].startswith("metric")
    content["verdict"] = {"sentence": "fine"}
    with pytest.raises(CorruptFileError):
        dm.ScoreCard.from_json(json.dumps(content))


def test_a_card_without_factors_has_no_verdict(rng: np.random.Generator) -> None:
    assert dm.score(dm.Representation(rng.normal(size=(100, 2)), None), ["active_units"], null=False).verdict is None


def test_names_in_a_verdict_are_escaped_in_html_and_stay_on_one_line(rng: np.random.Generator) -> None:
    factors = {"<b>x</b>": rng.integers(5, size=300), "a\nb\x1b[31m": rng.integers(5, size=300)}
    codes = np.stack(list(factors.values()), axis=1).astype(float)
    named = dm.score(dm.Representation(codes, factors), ["mig"], interval=None, null=False)
    assert "&lt;b&gt;x&lt;/b&gt; is captured" in named._repr_html_()
    assert "a b [31m is captured by z1" in str(named)
