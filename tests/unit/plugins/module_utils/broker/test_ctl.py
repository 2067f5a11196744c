# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""virtrngctl against a daemon's real control socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.broker import ctl, status
from ansible_collections.fleet.rng.plugins.module_utils.broker.control import Connection
from ansible_collections.fleet.rng.plugins.module_utils.errors import RngError
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.broker_document import made
from ansible_collections.fleet.rng.tests.unit.plugins.module_utils.broker.control_loop import answering


class Told:
    """What the command said, and its exit code."""

    def __init__(self, code: int, captured: Any) -> None:
        self.code = code
        self.out: str = captured.out
        self.error: str = captured.err


Ctl = Callable[..., Told]


@pytest.fixture
def virtrngctl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ctl:
    """Run a command against a daemon with these commands."""

    def run(*words: str, **commands: Any) -> Told:
        with answering(tmp_path / "s", commands):
            code = ctl.main(["--socket", str(tmp_path / "s"), *words], "0.1.0")
        (tmp_path / "s").unlink()
        return Told(code, capsys.readouterr())

    return run


def test_status(virtrngctl: Ctl) -> None:
    told = virtrngctl("status", status=lambda connection: {"status": made(100)})
    assert told.code == 0
    assert told.out.startswith("virtrngd 0.1.0   pid 4711   up 1 min")
    assert "web1               gold                   7   6.2 KiB" in told.out
    assert told.error == ""


def test_status_as_a_document(virtrngctl: Ctl) -> None:
    told = virtrngctl("status", "--json", status=lambda connection: {"status": made(100, version="\u00e9")})
    assert told.code == 0
    assert json.loads(told.out) == made(100, version="\u00e9")


def test_top_once(virtrngctl: Ctl) -> None:
    seconds = iter([100.0, 110.0])
    told = virtrngctl("top", "--once", "--interval", "0.1", status=lambda connection: {"status": made(next(seconds))})
    assert told.code == 0
    assert "web1                    64 B gold" in told.out


def test_metrics(virtrngctl: Ctl) -> None:
    text = status.openmetrics(made(100))
    told = virtrngctl("metrics", metrics=lambda connection: {"metrics": text})
    assert (told.code, told.out) == (0, text)


def test_reload(virtrngctl: Ctl) -> None:
    told = virtrngctl("reload", reload=lambda connection: {"classes": 3, "problems": []})
    assert (told.code, told.error) == (0, "")
    assert told.out == "virtrngd uses the configuration as it is now: 3 classes\n"


def test_a_reload_that_could_not_do_everything(virtrngctl: Ctl) -> None:
    told = virtrngctl("reload", reload=lambda connection: {"classes": 3, "problems": ["socket \x1b: taken", "b"]})
    assert told.code == 1
    assert told.error == "virtrngctl: socket \\x1b: taken\nvirtrngctl: b\n"


def test_a_configuration_with_mistakes(virtrngctl: Ctl) -> None:
    def refuse(dummy: Connection) -> None:
        raise RngError("/etc/virtrngd/virtrngd.json: rate: 'x' is not valid")

    told = virtrngctl("reload", reload=refuse)
    assert (told.code, told.out) == (1, "")
    assert told.error == "virtrngctl: /etc/virtrngd/virtrngd.json: rate: 'x' is not valid\n"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["status"], {"status": made(100)}),
        (["top", "--once", "--interval", "0.1"], {"status": made(100)}),
        (["metrics"], {"metrics": "# EOF\n"}),
        (["reload"], {"classes": 3}),
        (["upgrade"], {"status": made(100)}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_one_that_ends_without_an_answer_is_asked_again(virtrngctl: Ctl, words: list[str], answer: Any) -> None:
    """As one does that becomes another program at that moment."""
    asked: list[Connection] = []

    def ends(connection: Connection) -> Any:
        asked.append(connection)
        if len(asked) == 1:
            connection.sock.shutdown(2)
            return None
        return {"status": made(100, restarts=2)} if len(asked) > 2 and words == ["upgrade"] else answer

    command = next(iter(answer)) if words[0] != "reload" else "reload"
    told = virtrngctl(*words, **{command: ends}, upgrade=Broker().upgrade)
    assert (told.code, told.error) == (0, "")
    assert len(asked) >= 2


class Broker:
    """Tells its status, and becomes another after some looks at that."""

    def __init__(self, looks: int = 1, **after: Any) -> None:
        self.looks = looks
        self.after = after

    def status(self, dummy: Connection) -> dict[str, Any]:
        self.looks -= 1
        return {"status": made(100, **(self.after if self.looks < 0 else {}))}

    def upgrade(self, connection: Connection) -> None:
        connection.answer({}, more=True)
        connection.answer({"restarts": 2})


def test_an_upgrade(virtrngctl: Ctl) -> None:
    broker = Broker(looks=3, restarts=2, version="0.2.0", clients=5)
    told = virtrngctl("upgrade", status=broker.status, upgrade=broker.upgrade)
    assert (told.code, told.error) == (0, "")
    assert told.out == "virtrngd 0.2.0 runs in place of 0.1.0; 5 clients, 1 before\n"
    assert broker.looks == -1


def test_an_upgrade_whose_connection_just_ends(virtrngctl: Ctl) -> None:
    broker = Broker(restarts=2)
    told = virtrngctl("upgrade", status=broker.status, upgrade=lambda connection: connection.sock.shutdown(2))
    assert told.code == 0


def test_an_upgrade_that_is_refused_late(virtrngctl: Ctl) -> None:
    def refuse(connection: Connection) -> None:
        connection.answer({}, more=True)
        connection.refuse("the new program does not start: SyntaxError; the program that runs goes on")

    told = virtrngctl("upgrade", status=Broker().status, upgrade=refuse)
    assert told.code == 1
    assert "SyntaxError; the program that runs goes on" in told.error


def test_an_upgrade_that_ended_the_daemon(virtrngctl: Ctl) -> None:
    broker = Broker(restarts=0, pid=4712)
    told = virtrngctl("upgrade", status=broker.status, upgrade=broker.upgrade)
    assert told.code == 1
    assert "virtrngd ended (pid 4711) and was started again (pid 4712)" in told.error


def test_an_upgrade_after_which_nothing_is_new(virtrngctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctl, "COMING_BACK", 0.1)
    broker = Broker()
    told = virtrngctl("upgrade", status=broker.status, upgrade=broker.upgrade)
    assert told.code == 1
    assert "still the old program" in told.error


def test_an_upgrade_after_which_nobody_answers(virtrngctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctl, "COMING_BACK", 0.1)
    looks = iter([{"status": made(100)}])

    def look(dummy: Connection) -> Any:
        found = next(looks, None)
        if found is None:
            raise RngError("no clients today")
        return found

    told = virtrngctl("upgrade", status=look, upgrade=Broker().upgrade)
    assert told.code == 1
    assert told.error == "virtrngctl: no clients today\n"


def test_nobody_is_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert ctl.main(["status", "--socket", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == (
        f"virtrngctl: nobody answers at {tmp_path}/none: there is no such socket; is virtrngd running?\n"
    )


def test_something_else_is_there(virtrngctl: Ctl) -> None:
    told = virtrngctl("status", status=lambda connection: {"status": "fine"})
    assert told.code == 1
    assert "is no virtrngd" in told.error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "arguments are required"),
        (["stop"], "invalid choice: 'stop'"),
        (["status", "--once"], "unrecognized arguments: --once"),
        (["top", "--interval", "0"], "--interval is 0.1 to 3600 seconds"),
        (["top", "--interval", "nan"], "--interval is 0.1 to 3600 seconds"),
        (["top", "--interval", "soon"], "invalid float value"),
    ],
)
def test_wrong_options(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["--version"], ["top", "--help"]):
        with pytest.raises(SystemExit) as ended:
            ctl.main(words, "0.1.0")
        assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "virtrngctl 0.1.0\n" in shown
    assert "Exit codes: 0 done; 1 failed" in shown
    assert "default: /run/virtrngd/control.sock" in shown
    for command in ("status", "top", "reload", "upgrade", "metrics"):
        assert f"\n  {command} " in shown


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    program = f"import sys; from {ctl.__name__} import main; sys.exit(main(sys.argv[1:]))"
    guests = [{**made(100)["guests"][0], "guest": f"web{number}"} for number in range(20000)]
    with answering(tmp_path / "s", {"status": lambda connection: {"status": made(100, guests=guests)}}):
        child = subprocess.Popen(
            [sys.executable, "-c", program, "status", "--socket", str(tmp_path / "s")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "C"},
        )
        assert child.stdout is not None
        assert child.stdout.read(8) == b"virtrngd"
        child.stdout.close()
        child.stdout = None
        dummy, error = child.communicate(timeout=60)
    assert (child.returncode, error) == (0, b"")
