"""The tables of what searches found, from the rows that they left."""

from __future__ import annotations

from pathlib import Path

from search_tables import demo, halved, random_starts, search, subsets

HEAD = "phase,widths,nonzeros,networks,trainings,reached,diverged,stopped,accuracy\n"


def cells(table: str) -> list[list[str]]:
    header, _, *rows = (line[2:-2].split(" | ") for line in table.splitlines())
    return [header, *rows]


def test_a_search_size_by_size(tmp_path: Path):
    path = tmp_path / "found.csv"
    path.write_text(
        "phase,widths,nonzeros,networks,trainings,reached,diverged,stopped,accuracy\n"
        "2,2-3-1,9,3,0,0,0,0,0.0\n2,2-3-1,10,1200,3600,0,0,0,0.75\n"
        "2,2-3-1,11,4,12,0,0,0,0.5\n2,2-3-1,12,5,15,2,0,0,0.95\n"
    )
    assert cells(search(path, 0.95)) == [
        ["nonzeros", "networks", "trainings", "at 95 %", "best accuracy"],
        ["10", "1,200", "3,600", "0", "75.00%"],
        ["11", "4", "12", "0", "50.00%"],
        ["12", "5", "15", "2", "95.00%"],
    ]
    assert [row[0] for row in cells(search(path, 0.95, records=True))[1:]] == ["10", "12"]


def test_searches_of_as_many_masks_beside_each_other(tmp_path: Path):
    found, none = tmp_path / "found.csv", tmp_path / "none.csv"
    found.write_text(
        f"{HEAD}2,2-3-1,9,3,0,0,0,0,0.0\n2,2-3-1,45,12,36,1,0,0,0.996\n2,2-3-1,46,2,64,4,0,0,0.999\n"
    )
    none.write_text(f"{HEAD}2,2-3-1,45,12,100,0,0,0,0.97\n")
    # Five, one and none of a hundred: 1.6 to 11.3, 0.0 to 5.4 and 0 to 3.6 %.
    assert cells(subsets({"a": found, "b": none}, 0.995, 45))[1:] == [
        ["a", "100", "5 (1.6 to 11.3)", "1 (0.0 to 5.4)", "45", "99.60%"],
        ["b", "100", "0 (0.0 to 3.6)", "0 (0.0 to 3.6)", "-", "-"],
    ]


def test_a_search_with_halving(tmp_path: Path):
    path = tmp_path / "halved.csv"
    path.write_text(f"{HEAD}2,2-3-1,9,84,84,0,0,84,0.0\n2,2-3-1,10,1200,1200,2,0,1100,0.9961\n")
    assert cells(halved(path, 0.995)) == [
        ["nonzeros", "networks", "run to the end", "at 99.5 %", "best accuracy"],
        ["9", "84", "0", "0", "-"],
        ["10", "1,200", "100", "2", "99.61%"],
    ]


def test_a_space_from_several_starts(tmp_path: Path):
    paths = [tmp_path / "0.csv", tmp_path / "1.csv"]
    paths[0].write_text(
        f"{HEAD}2,any,8,2,2,0,0,0,0.5\n2,any,9,3,3,0,0,0,0.6\n2,any,10,7,7,3,0,0,0.96\n"
    )
    paths[1].write_text(
        f"{HEAD}2,any,8,2,2,1,0,0,0.95\n2,any,9,3,3,0,0,0,0.7\n2,any,10,7,7,0,0,0,0.8\n"
    )
    assert cells(random_starts(paths, 9)) == [
        ["nonzeros", "networks", "start 0", "start 1"],
        ["up to 9", "5", "60.00%", "**95.00%**"],
        ["10", "7", "**96.00%** (3)", "80.00%"],
    ]
    assert [row[0] for row in cells(random_starts(paths, 7))[1:]] == ["8", "9", "10"]


def test_the_demo_seed_by_seed(tmp_path: Path):
    path = tmp_path / "seeds.csv"
    path.write_text(
        "seed,nonzeros,networks,trainings,reached,accuracy\n0,24,9,900,0,0.9\n0,25,4,400,1,0.951\n"
        "0,26,1,100,2,0.964\n1,26,1,100,0,0.9\n"
    )
    assert cells(demo(path)) == [
        ["seed", "0", "1"],
        ["nonzeros", "25", "-"],
        ["accuracy", "95.10%", "-"],
    ]
