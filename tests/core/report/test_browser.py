"""The report in a real browser: interaction, and absence of errors and requests."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disentmetrics.report import report, save_report
from disentmetrics.results.card import ScoreCard

pytest.importorskip("jinja2", reason="reports need jinja2")
pytest.importorskip("plotly", reason="reports need plotly")
playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")

EVIL = (
    '</script><img src=x onerror=\'window.hacked=1\'><script>window.hacked=1</script>"><svg onload="window.hacked=1">'
)
HANGS = 60_000  # milliseconds, for a machine under load


@pytest.fixture(scope="module")
def browser(executable: str) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, with its requests and its console errors."""

    page: Any
    seconds: float
    complaints: list[str] = field(default_factory=list)


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Open:
    @contextmanager
    def open_page(html: str, **options: Any) -> Iterator[Opened]:
        path = tmp_path / "report.html"
        save_report(html, path)
        context = browser.new_context(reduced_motion="reduce", **options)
        page = context.new_page()
        page.set_default_timeout(HANGS)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("data:", path.as_uri()))
                else complaints.append(f"asked for {request.url}")
            ),
        )
        started = time.perf_counter()
        page.goto(path.as_uri())
        yield Opened(page, time.perf_counter() - started, complaints)
        context.close()
        assert complaints == []

    return open_page


@pytest.fixture(scope="module")
def one(card: ScoreCard) -> str:
    return report([card], names=["clean"])


@pytest.fixture(scope="module")
def four(four_cards: list[ScoreCard]) -> str:
    return report(four_cards, names=["first", "second", "third", "fourth"], explorer=False)


def texts(page: Any, selector: str) -> list[str]:
    found: list[str] = page.locator(selector).all_text_contents()
    return [text.strip() for text in found]


def test_it_opens_quietly_and_every_section_has_its_link(opened: Open, one: str) -> None:
    with opened(one) as found:
        sections = found.page.eval_on_selector_all("main section[id]", "all => all.map(e => '#' + e.id)")
        links = found.page.eval_on_selector_all(".contents a", "all => all.map(e => e.getAttribute('href'))")
        assert links == sections
        assert "clean" in found.page.title()
        assert "#explorer" in links


def test_scores_are_sorted_filtered_and_explained(opened: Open, one: str, card: ScoreCard) -> None:
    names = "#score-table tbody:visible button.unfold"
    with opened(one) as found:
        page = found.page
        given = [score.name for score in card.every_score()]
        assert texts(page, names) == given
        page.click("#score-table th[data-key=value] button")
        rising = sorted(given, key=lambda name: card[name].value)
        assert texts(page, names) == rising
        page.click("#score-table th[data-key=value] button")
        assert texts(page, names) == rising[::-1]
        assert page.get_attribute("#score-table th[data-key=value]", "aria-sort") == "descending"
        page.select_option("#sort", "given")
        assert texts(page, names) == given
        page.fill("#filter", "compact")
        assert texts(page, names) == ["compactness_adj"]
        assert page.text_content("#shown") == f"1 of {len(given)} scores"
        page.fill("#filter", "")
        about = page.locator("tr.about").first
        assert not about.is_visible()
        page.focus("#score-table button.unfold >> nth=0")
        page.keyboard.press("Enter")
        assert about.is_visible()
        assert "Known failure. Two factors packed" in about.inner_text()


def test_a_signature_is_copied(opened: Open, one: str, card: ScoreCard) -> None:
    with opened(one, permissions=["clipboard-read", "clipboard-write"]) as found:
        page = found.page
        page.click("button.unfold >> nth=0")
        page.click("button.copy >> nth=0")
        page.wait_for_function("document.querySelector('button.copy').textContent === 'Copied'")
        assert page.evaluate("navigator.clipboard.readText()") == card["mig"].signature


def test_a_signature_is_copied_where_the_clipboard_is_denied(opened: Open, one: str, card: ScoreCard) -> None:
    with opened(one) as found:
        page = found.page
        page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error('denied')))")
        page.click("button.unfold >> nth=0")
        page.click("button.copy >> nth=0")
        page.wait_for_function("document.querySelector('button.copy').textContent === 'Copied'")
        page.fill("#filter", "")
        page.focus("#filter")
        page.keyboard.press("Control+V")
        assert page.input_value("#filter") == card["mig"].signature


def test_codes_are_ordered_and_cells_are_accessible_to_screen_readers(opened: Open, one: str, card: ScoreCard) -> None:
    assert card.summary is not None
    assert card.summary.kl is not None
    with opened(one) as found:
        page = found.page
        rows = ".heat >> nth=0 >> tbody th"
        page.check("#code-order input[value=kl]")
        assert texts(page, rows) == [f"z{j}" for j in np.argsort(-card.summary.kl, kind="stable")]
        page.check("#code-order input[value=factor]")
        in_order = texts(page, rows)
        assert sorted(in_order) == ["z0", "z1", "z2", "z3"]
        assert in_order.index("z0") < in_order.index("z1")  # as the factors x and y are
        page.check("#code-order input[value=given]")
        page.hover(".heat-table tbody tr:nth-child(1) td:nth-child(3)")
        nats, share = card.summary.mutual_information[0, 1], card.summary.share[0, 1]
        expected = page.text_content("#tip")
        shown = re.fullmatch(rf"z0 and x: {nats:.2f} nats, (\d+) % of its entropy", expected or "")
        assert shown is not None
        assert int(shown[1]) == pytest.approx(100 * share, abs=0.6)  # rounded twice
        page.focus(".heat-table tbody tr:nth-child(1) td:nth-child(2)")
        page.keyboard.press("ArrowRight")
        assert page.text_content(".heat .reading >> nth=0") == expected
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()


def test_correlations_are_read_from_the_image(opened: Open, one: str, card: ScoreCard) -> None:
    assert card.summary is not None
    with opened(one) as found:
        page = found.page
        page.focus("#correlation")
        page.keyboard.press("ArrowRight")
        assert page.text_content("#tip") == f"z0 and z1: {card.summary.correlation[0, 1]:.2f}"
        page.keyboard.press("ArrowRight")
        assert page.text_content("#tip") == "z0 and z2: no correlation defined"


def test_the_explorer_opens_and_draws_what_is_chosen(opened: Open, one: str) -> None:
    with opened(one) as found:
        page = found.page
        page.click("#explore")
        page.wait_for_selector("#explore-plot .main-svg")
        assert page.text_content("#explore-plot .xtitle") == "x"
        assert page.text_content("#explore-plot .ytitle") == "z0"
        page.select_option("#explore-y", label="z1")
        page.wait_for_function("document.querySelector('#explore-plot .ytitle').textContent === 'z1'")


def test_the_theme_follows_the_system_until_it_is_chosen(opened: Open, one: str) -> None:
    ink = "getComputedStyle(document.body).color"
    with opened(one, color_scheme="dark") as found:
        page = found.page
        dark = page.evaluate(ink)
        page.click("#theme")
        assert page.evaluate(ink) != dark
        assert page.text_content("#theme") == "Dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_requires(opened: Open, four: str, scheme: str) -> None:
    with opened(four, color_scheme=scheme) as found:
        page = found.page
        page.click("#unfold")
        assert page.evaluate(CONTRAST) == []


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; }
  };
  for (const [kind, side] of [["", "h"], ["diverging", "h"], ["diverging", "l"]]) {  // every colour of a heat map
    const table = document.createElement("table");
    table.className = `heat-table ${kind}`;
    const row = table.insertRow();
    for (let i = 0; i <= 20; i++) {
      const cell = row.insertCell();
      cell.className = `${side}${i}`;
      cell.textContent = kind + i;
    }
    document.body.append(table);
  }
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest("script, style, noscript, option, .dead, .skip, #tip")) continue;
    const style = getComputedStyle(e);
    if (parseFloat(style.fontSize) === 0) continue;
    const [a, b] = [light(rgb(style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 20)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


def test_a_phone_shows_it_without_scrolling_sideways(opened: Open, four: str) -> None:
    with opened(four, viewport={"width": 390, "height": 844}) as found:
        page = found.page
        page.click("#unfold")
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_it_prints_on_paper(opened: Open, four: str) -> None:
    with opened(four, color_scheme="dark") as found:
        page = found.page
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".toolbar >> nth=0").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_scripts_scores_and_explanations_are_there(opened: Open, four: str) -> None:
    with opened(four, java_script_enabled=False) as found:
        page = found.page
        assert page.locator("tr.about").first.is_visible()
        assert not page.locator("#filter").is_visible()
        assert page.locator("noscript p").count() >= 0


def test_cards_are_compared_and_shown_one_at_a_time(opened: Open, four: str, four_cards: list[ScoreCard]) -> None:
    with opened(four) as found:
        page = found.page
        n_rows = page.locator(".differences tbody tr").count()
        page.select_option("#difference-metric", "mig")
        assert page.locator(".differences tbody tr:visible").count() == 6
        page.check("#difference-significant")
        assert page.locator(".differences tbody tr:visible").count() < n_rows
        page.fill("#forest-filter", "second")
        assert set(texts(page, ".forest tr:visible th")) == {"second"}
        page.click(".ranks thead th:first-child button")
        assert texts(page, ".ranks tbody th") == ["first", "fourth", "second", "third"]
        page.select_option("#card-select", label="third")
        page.wait_for_selector("#card[data-name=third]")
        value = page.text_content("#score-table tbody td.value >> nth=0")
        assert value == f"{four_cards[2]['mig'].value:.3f}"
        page.click("#score-table button.unfold >> nth=0")
        assert page.locator("tr.about").first.is_visible()
        page.select_option("#card-select", label="first")
        page.wait_for_selector("#card[data-name=first]")


def test_two_hundred_codes_and_twenty_factors_are_drawn_and_sorted_in_time(opened: Open, wide: ScoreCard) -> None:
    with opened(report([wide], explorer=False)) as found:
        assert found.seconds < 20
        page = found.page
        assert page.locator(".heat").count() == 2
        assert page.locator(".heat >> nth=0 >> tbody td:not(.kl)").count() == 4000
        started = time.perf_counter()
        page.check("#code-order input[value=factor]")
        assert texts(page, ".heat >> nth=0 >> tbody th")[1] == "z20"
        assert time.perf_counter() - started < 10


def test_fifty_cards_are_opened_and_chosen_in_time(opened: Open, fifty: list[ScoreCard], fifty_page: str) -> None:
    with opened(fifty_page) as found:
        assert found.seconds < 20
        page = found.page
        assert page.locator(".forest >> nth=0 >> tr").count() == 50
        page.select_option("#card-select", "49")
        page.wait_for_selector("#card[data-number='49']")
        assert page.text_content("#score-table tbody td.value >> nth=0") == f"{fifty[49]['mig'].value:.3f}"


def test_scripts_in_names_do_not_run(opened: Open, hostile: Callable[[str], ScoreCard]) -> None:
    cards = [hostile(EVIL), hostile(EVIL)]
    html = report(cards, names=[EVIL, f"{EVIL}2"], paths=[EVIL, EVIL], title=EVIL)
    with opened(html) as found:
        page = found.page
        page.click("#unfold")
        page.hover(".heat-table tbody td >> nth=0")
        page.focus("#correlation")
        page.keyboard.press("ArrowRight")
        page.click("#explore")
        page.wait_for_selector("#explore-plot .main-svg")
        page.select_option("#explore-x", index=0)
        page.hover("#explore-plot .nsewdrag")
        page.select_option("#card-select", "1")
        page.wait_for_selector("#card[data-number='1']")
        page.click("#theme")
        assert page.evaluate("window.hacked") is None
        assert page.title() == EVIL
        assert EVIL in page.inner_text("h1")


def test_the_policy_stops_scripts_that_escaping_would_miss(browser: Any, one: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    save_report(
        one.replace("</main>", "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script></main>"), path
    )
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.hacked") is None
    page.close()
