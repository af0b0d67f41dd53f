"""What a score costs: the table on the page is that of the kept file, and within the goals."""

from __future__ import annotations

from pathlib import Path

from score_costs import COLUMNS, PASS, kept_rows, table

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_page_has_the_table_of_the_kept_file():
    assert table(kept_rows()) in PAGE.read_text()


def test_snip_and_magnitude_take_little_more_than_a_pass_and_grasp_not_four():
    rows = {(row["model"], row["score"]): row for row in kept_rows()}
    for model in ("ResNet-50", "ViT-B"):
        whole = rows[model, PASS]
        for score, most in (("snip", 1.2), ("magnitude", 1.2), ("grasp", 4.0)):
            for what in ("seconds", "MiB"):
                assert float(rows[model, score][what]) <= most * float(whole[what]), (model, score)


def test_a_pass_that_is_too_small_to_be_seen_has_no_multiples():
    costs = {PASS: ("0.000", "0.0"), "snip": ("0.001", "0.1")}
    rows = [
        dict(zip(COLUMNS, ("small", score, *cost), strict=True)) for score, cost in costs.items()
    ]
    assert table(rows).endswith("| snip | - | - |")


def test_a_round_of_synflow_takes_no_more_than_a_pass_and_a_fifth():
    rows = {(row["model"], row["score"]): float(row["seconds"]) for row in kept_rows()}
    for model in ("ResNet-50", "ViT-B"):
        assert rows[model, "synflow"] <= 1.2 * rows[model, PASS]
