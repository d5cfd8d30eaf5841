import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from disentmetrics.report.heat import correlation, diverging, heat_tables, sheet, tuning
from disentmetrics.results.card import ScoreCard
from disentmetrics.results.score import Score


def opened(source: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGBA"))


def test_the_tables_contain_the_numbers_of_the_card(card: ScoreCard) -> None:
    (information,) = heat_tables(card)
    assert card.summary is not None
    assert information.factors == ("shape", "x", "y")
    shown = [[text for _, text in row.cells] for row in information.rows]
    expected = [[f"{v:z.2f}".replace("-", "−") for v in row] for row in card.summary.mutual_information]
    assert shown == expected


def test_colour_is_the_share_of_the_entropy(card: ScoreCard) -> None:
    assert card.summary is not None
    (information,) = heat_tables(card)
    assert information.rows[0].cells[1][0] == round(20 * card.summary.share[0, 1])


def test_latents_are_ordered_by_kl_and_by_their_best_encoded_factor(card: ScoreCard) -> None:
    assert card.summary is not None
    assert card.summary.kl is not None
    (table,) = heat_tables(card)
    by_kl = [row.code for row in sorted(table.rows, key=lambda row: row.by_kl)]
    assert by_kl == [f"z{j}" for j in np.argsort(-card.summary.kl, kind="stable")]
    by_factor = [row.code for row in sorted(table.rows, key=lambda row: row.by_factor)]
    assert by_factor.index("z0") < by_factor.index("z1")
    assert [row.active for row in table.rows] == [True, True, False, True]


def test_importance_of_all_codes_is_cut_to_those_that_are_shown(card: ScoreCard) -> None:
    summary = card.summary
    assert summary is not None
    importance = np.arange(18.0).reshape(6, 3)
    score = Score("dci", 0.5, "dci", details={"importance": importance})
    cut = replace(card, scores={"dci": score}, summary=replace(summary, code_positions=np.array([0, 2, 3, 5])))
    table = heat_tables(cut)[1]
    assert [[text for _, text in row.cells] for row in table.rows][1] == ["6.00", "7.00", "8.00"]


def test_a_card_without_a_summary_shows_the_matrix_of_its_metric(card: ScoreCard) -> None:
    (table,) = heat_tables(replace(card, summary=None))
    assert [row.code for row in table.rows] == ["z0", "z1", "z2", "z3"]
    assert not table.wholes
    assert all(row.kl is None for row in table.rows)


def test_a_card_without_matrices_has_no_tables() -> None:
    assert heat_tables(ScoreCard({"a": Score("a", 0.5, "a")}, {"factors": ["x"]})) == []


def test_opacity_shows_the_magnitude_and_hue_the_sign() -> None:
    pixels = opened(diverging(np.array([[1.0, -0.5], [0.0, np.nan]]), 1.0, "title").source)
    assert pixels[..., 3].tolist() == [[255, 128], [0, 70]]
    assert pixels[0, 0, 0] > pixels[0, 0, 2]
    assert pixels[0, 1, 0] < pixels[0, 1, 2]


def test_the_strongest_correlations_are_described_in_words(card: ScoreCard) -> None:
    assert card.summary is not None
    found = correlation(card.summary)
    assert found is not None
    matrix = card.summary.correlation
    assert found.strongest[0][:2] == ("z0", "z1")
    assert float(found.strongest[0][2]) == round(float(matrix[0, 1]), 2)
    assert (found.image.width, found.image.height) == matrix.shape


def test_a_tuning_map_lies_with_its_first_factor_across(card: ScoreCard) -> None:
    summary = card.summary
    assert summary is not None
    drawn = tuning(summary, summary.tuning_maps[0])
    assert (drawn.across, drawn.down) == ("x", "y")
    of_x = next(picture for picture in drawn.maps if picture.title == "z0")
    pixels = opened(of_x.source)
    assert (of_x.width, of_x.height) == (6, 8)
    assert (pixels[:, 0, 2] > pixels[:, 0, 0]).all()  # blue at low x
    assert (pixels[:, -1, 0] > pixels[:, -1, 2]).all()


def test_a_sheet_lays_tiles_in_rows_with_clear_gaps() -> None:
    laid = sheet(np.full((3, 2, 2, 1), 9, dtype=np.uint8), 2)
    assert laid.shape == (5, 5, 4)
    assert (laid[0, 0] == [9, 9, 9, 255]).all()
    assert not laid[2].any()
    assert not laid[3:, 3:].any()
