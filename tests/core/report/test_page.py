import base64
import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from disentmetrics._utils.installation import install_command
from disentmetrics.errors import InvalidInputError, MissingExtraError
from disentmetrics.report import report, save_report
from disentmetrics.report.page import MAX_BYTES
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score

EVIL = [
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "'><svg onload='window.hacked = 1'>",
    "</script><script>window.hacked = 1</script>",
    "</style></title></textarea><script>window.hacked = 1</script>",
    "javascript:window.hacked=1//\u2028\u2029",
    "{{ 7 * 7 }}{% raw %}<!--<script>",
]


@pytest.fixture(autouse=True)
def _extras() -> None:
    pytest.importorskip("jinja2", reason="reports need jinja2")
    pytest.importorskip("plotly", reason="reports need plotly")


class Reader(HTMLParser):
    """Collects elements, attributes and the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.text: list[str] = []
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        else:
            self.text.append(data)


def test_the_extra_is_imported_when_it_is_needed_and_not_before() -> None:
    code = "import sys, disentmetrics.report, disentmetrics.cli; print({'jinja2', 'plotly'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("missing", ["jinja2", "plotly"])
def test_a_missing_extra_is_named_with_its_install(
    card: ScoreCard, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=re.escape(install_command("report"))):
        report([card])


def test_one_card_gives_one_file_that_makes_no_network_requests(card: ScoreCard) -> None:
    html = report([card])
    page = Reader(html)
    assert html.startswith("<!doctype html>")
    assert len(html.encode()) < MAX_BYTES
    asking = [
        value
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "action", "data", "poster", "srcset"} and tag != "a"
    ]
    assert asking
    assert all(value and value.startswith("data:image/png;base64,") for value in asking)
    assert "url(" not in html
    assert "@import" not in html


def test_scripts_are_those_whose_hashes_the_policy_names(card: ScoreCard) -> None:
    html = report([card])
    page = Reader(html)
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"script-src[^;]*(unsafe|http|\*)", policy)
    run = [text for kind, text in page.scripts if kind is None]
    library = re.search(r'id="plotly">([^<]*)<', html)
    assert library
    run.append(gzip.decompress(base64.b64decode(library[1])).decode())
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in run]
    assert re.findall(r"'sha256-[^']*'", policy) == hashes


def test_the_same_cards_give_the_same_page(four_cards: list[ScoreCard]) -> None:
    assert report(four_cards) == report(four_cards)


def test_the_page_contains_every_score_with_its_explanation_and_signature(card: ScoreCard) -> None:
    text = " ".join(Reader(report([card], explorer=False)).text)
    for score in card.every_score():
        assert f"{score.value:.3f}" in text
        assert score.signature in text
    assert "Two factors packed losslessly into one latent score 1." in text
    for note in card.notes:
        assert note in text


def test_the_explorer_can_be_left_out(card: ScoreCard) -> None:
    with_it, without = report([card]), report([card], explorer=False)
    assert len(with_it) - len(without) > 1_500_000
    assert 'id="explorer"' not in without
    assert 'id="plotly"' not in without


def test_an_older_card_without_a_summary_has_a_page_too(card: ScoreCard) -> None:
    html = report([replace(card, summary=None)])
    assert 'id="scores"' in html
    assert 'id="explorer"' not in html
    assert 'id="plotly"' not in html


def test_an_empty_card_and_one_without_a_defined_score_have_a_page_too() -> None:
    html = report([ScoreCard({})])
    assert 'id="provenance"' in html
    undefined = ScoreCard({"mig": Score("mig", float("nan"), "mig|seed:0", undefined="no factor varies")})
    assert "no factor varies" in report([undefined, undefined])


def test_fifty_wide_cards_fit_and_all_are_there_in_full(fifty_page: str) -> None:
    assert len(fifty_page.encode()) < MAX_BYTES
    assert len(re.findall(r'<script type="text/plain" id="card-\d+">', fifty_page)) == 49


def test_names_must_be_as_many_and_different(card: ScoreCard) -> None:
    with pytest.raises(InvalidInputError, match="2 unique names"):
        report([card, card], names=["a", "a"])
    with pytest.raises(InvalidInputError, match="at least one score card"):
        report([])
    with pytest.raises(InvalidInputError, match="at most 200"):
        report([card] * 201)
    with pytest.raises(InvalidInputError, match="built from score cards; got str"):
        report(["card.json"])  # type: ignore[list-item]


def test_cards_of_one_encoder_are_distinguished_by_numbers(card: ScoreCard) -> None:
    html = report([card, card], explorer=False)
    assert f">{card.about['encoder']} (1)</option>" in html
    assert f">{card.about['encoder']} (2)</option>" in html


@pytest.mark.parametrize("evil", EVIL)
def test_text_from_outside_is_text(card: ScoreCard, hostile: Callable[[str], ScoreCard], evil: str) -> None:
    plain = report([card, card], names=["a", "b"], paths=["a", "b"], title="t")
    spoiled = report([hostile(evil), hostile(evil)], names=[evil, f"{evil}2"], paths=[evil, evil], title=evil)
    kinds = {tag for tag, _ in Reader(plain).elements}
    found = Reader(spoiled)
    assert {tag for tag, _ in found.elements} <= kinds | {"details", "summary"}  # around the many notes
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert len([kind for kind, _ in found.scripts if kind is None]) == 1
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", spoiled)
    data = next(text for kind, text in found.scripts if kind == "application/json")
    assert not set("<>&\u2028\u2029") & set(data)


def test_a_page_is_written_completely(tmp_path: Path) -> None:
    save_report("<p>é</p>", tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == "<p>é</p>"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_the_verdict_comes_before_the_findings(card: ScoreCard) -> None:
    html = report([card], explorer=False)
    assert card.verdict is not None
    assert html.index(f"<h2>{card.verdict.sentence}</h2>") < html.index('<section id="findings"')
    assert '<a href="#verdict">Verdict</a>' in html
    assert all(f"<li>{line}</li>" in html for line in card.verdict.sentences())
    assert 'id="verdict"' not in report([replace(card, verdict=None)], explorer=False)
