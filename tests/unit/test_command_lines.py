"""Whatever is typed, a command ends with an exit code and words of ours: no traceback, and nothing begun."""

import json
import os
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from producer import __main__ as command_line
from producer import side_door
from producer.records import _note
from schemas.errors import VecmillError

pytestmark = pytest.mark.fuzz

#: A port that nobody listens at; a worker or a service would go on for ever.
AWAY = "redis://:secretword@127.0.0.1:1/0"
COMMANDS = sorted(set(command_line.cli.commands) - {"worker", "serve"})
odd = st.sampled_from(
    [
        *(
            "",
            " ",
            "-",
            "--",
            "~",
            "~nobody/x",
            ".",
            "..",
            "/",
            "nowhere",
            "table",
            "torn",
            "note",
            "text.txt",
            "pipe",
            "*",
            "**/*",
        ),
        *("[", "a@3", "table@7", "s3://", "s3://../x", "http://u:secretword@h/x", "redis://", AWAY, "rediss://h:port"),
        *("{", "{x}", "{0}", "\udcff", "é" * 300, "a" * 5000, "-1", "0", "9" * 20, "1e9", "../x", "embed"),
        *("* * * * *", "61 * * * *", "UTC", "Europe/../x"),
    ]
)
values = odd | st.text(st.characters(exclude_characters="\0"), max_size=12)


def options_of(command: click.Command) -> list[str]:
    return [option for one in command.params if isinstance(one, click.Option) for option in one.opts]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(COMMANDS))
    command: click.Command = command_line.cli.commands[name]
    words = [name]
    if isinstance(command, click.Group):
        words.append(draw(st.sampled_from(sorted(command.commands))))
        command = command.commands[words[-1]]
    for _ in range(draw(st.integers(0, 4 if options_of(command) else 0))):
        option = draw(st.sampled_from(options_of(command)))
        words += draw(st.sampled_from([[option], [option, draw(values)], [f"{option}={draw(values)}"]]))
    needed = [word for one in command.params if one.required and one.name in ("model", "to", "cron")
              for word in (f"--{one.name}", draw(values))]  # fmt: skip
    return [*words, *draw(st.permutations([*draw(st.lists(values, max_size=3))])), *needed]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_torch(*_: object, **__: object) -> bytes:
        raise VecmillError("no model is loaded here")

    monkeypatch.setattr(side_door, "_ask", no_torch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("VECMILL_BROKER_URL", raising=False)
    monkeypatch.setenv("VECMILL_DEBUG", "1")  # what nobody foresaw is raised
    (tmp_path / "text.txt").write_text("a text\n")
    (tmp_path / "table" / "_runs").mkdir(parents=True)
    (tmp_path / "table" / "_runs" / "x.json").write_text("{}")
    (tmp_path / "torn" / "_delta_log").mkdir(parents=True)
    (tmp_path / "torn" / "_delta_log" / f"{0:020d}.json").write_text("{")
    note = _note("note")
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"tables": []}))
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.timeout(300)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(line=lines())
@example(line=["resume", "note"])
@example(line=["status", "\udcff"])
@example(line=["embed", "pipe", "--model", "nowhere", "--to", "out"])
@example(line=["embed", "text.txt", "--model", "m\udcff", "--to", "out"])
@example(line=["embed", "text.txt", "--model", "a" * 5000, "--to", "out"])
@example(line=["embed", "text.txt", "--model", "nowhere", "--to", "a" * 5000])
@example(line=["embed", "text.txt", "--model", "nowhere", "--to", "~nobody/x"])
@example(line=["history", "a" * 5000])
@example(line=["compact", "text.txt"])
@example(line=["history", "torn"])
@example(line=["runs", "\udcff"])
@example(line=["status", "--broker", "http://u:secretword@h/x"])
def test_a_line_of_any_words(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["vecmill", *line])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code in (0, 1, 2)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert bool(said.err) == (ended.value.code != 0) or ended.value.code == 0
    assert ("secretword" in " ".join(line)) or "secretword" not in said.err
    assert not (place / "out").exists()


@pytest.mark.parametrize(("url", "told"), [(AWAY, True), ("redis://127.0.0.1:1/0", False)])
def test_a_password_on_the_command_line_is_warned_of_and_not_repeated(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, told: bool
) -> None:
    monkeypatch.setattr("sys.argv", ["vecmill", "status", "--broker", url])
    with pytest.raises(SystemExit):
        command_line.main()
    said = capsys.readouterr().err
    assert ("every user of this machine" in said) == told
    assert "secretword" not in said
