"""httpd --help: it fits a screen, and leaves nothing out."""

from __future__ import annotations

import pytest

from httpd.cli import main
from httpd.cli.commands import COMMANDS
from httpd.config.settings import GROUPS, OPTIONS, Settings

# What a terminal has, but for the line that the next prompt takes.
LINES, COLUMNS = 23, 80


def told(topic: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int = COLUMNS) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as left:
        main(["--help", *([topic] if topic else [])])
    assert left.value.code == 0
    out, err = capfd.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("topic", ["", "commands", *(group.name for group in GROUPS if group.name != "settings")])
def test_each_page_fits_a_screen(
    topic: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = told(topic, capfd, monkeypatch).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) < COLUMNS


@pytest.mark.parametrize(("columns", "longest"), [(80, 79), (300, 119)])
def test_no_line_is_longer_than_the_terminal_or_than_an_eye_follows(
    columns: int, longest: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(map(len, told("all", capfd, monkeypatch, columns).splitlines())) <= longest


def test_the_first_screen_names_every_group_and_every_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = " ".join(told("", capfd, monkeypatch).split())
    for name in (*COMMANDS, *(group.name for group in GROUPS)):
        assert f" {name}" in shown
    assert "Exit status: 0 stopped, 1 not started, 2 options not understood" in shown


def test_all_of_it_names_every_option_command_and_variable(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = told("all", capfd, monkeypatch)
    for option in OPTIONS.values():
        assert option.variable in shown
        assert any(f"{flag} " in shown for flag in option.flags) or option is Settings.dir
        assert " ".join(option.meaning.split()[:4]) in " ".join(shown.split())
    for name in COMMANDS:
        assert f"\n  {name} " in shown
    assert "--limits" in shown


def test_a_default_is_told_unless_its_sentence_does(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = told("reaching", capfd, monkeypatch)
    assert "the port; 0 takes any free one (default: 8000)" in shown
    assert shown.count("127.0.0.1") == 1


@pytest.mark.parametrize(
    ("topic", "said"),
    [("reach", "did you mean reaching?"), ("zzz", "there is reaching, tls,")],
)
def test_a_topic_that_is_none(topic: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["-h", topic])
    assert said in capfd.readouterr().err
