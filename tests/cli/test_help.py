"""`--help` shows every option once, in groups, and tells how long things take."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from prunelimits.cli import COMMANDS, main
from prunelimits.cli.help import options_of

NAMES = list(COMMANDS)
# What trains, or may take long in another way.
LONG = ("search", "eliminate", "gap", "limit")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_in_one_group(name: str):
    fields = [field for group in COMMANDS[name].groups.values() for field in group]
    assert sorted(fields) == sorted(options_of(COMMANDS[name]))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_something_and_is_one_that_the_parser_takes(name: str):
    import tyro

    options = options_of(COMMANDS[name])
    assert all(len(option.text) > 5 for option in options.values())
    flags = {flag for option in options.values() for flag in option.flags}
    with pytest.warns(DeprecationWarning, match="get_parser"):
        parser = tyro.extras.get_parser(COMMANDS[name])
    taken = {flag for action in parser._actions for flag in action.option_strings}
    assert flags == taken - {"-h", "--help"}


@pytest.mark.parametrize("name", NAMES)
def test_help_has_every_flag_and_no_none(name: str, capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, name, "--help")
    assert text.startswith(f"usage: prunelimits {name}")
    for option in options_of(COMMANDS[name]).values():
        assert " ".join([", ".join(option.flags), option.value]).strip() in text
    assert "None" not in text
    assert ("How long" in text) or name not in LONG
    for title in COMMANDS[name].groups:
        assert f"\n{title}\n" in text


def test_defaults_stand_behind_the_text(capsys: pytest.CaptureFixture[str]):
    text = " ".join(shown(capsys, "search", "-h").split())
    assert "Accuracy to reach, or R2 with --regression; above 0 and at most 1. [0.95]" in text
    assert "by every learning rate ... [0.05 0.1]" in text
    assert "batches and held-out samples. [0]" in text
    assert "--every-widths Instead: all networks" in text


def test_the_overview_has_a_line_for_each_command(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, "--help")
    for name in NAMES:
        assert re.search(rf"^  {name} +[A-Z]", text, re.MULTILINE)
    assert "--version" in text
    assert "--tyro-print-completion" in text


def test_without_a_command_there_is_the_overview(capsys: pytest.CaptureFixture[str]):
    overview = shown(capsys, "--help")
    assert main([]) == 2
    assert capsys.readouterr().out == overview


@pytest.mark.slow
def test_completion_is_printed_as_the_pages_say():
    command = [sys.executable, "-m", "prunelimits", "--tyro-print-completion", "bash"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--held-out" in printed.stdout
