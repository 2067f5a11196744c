# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides whether all tests have passed: counts, what is run again, and the last lines of the output."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import run_tests

PASS = '<testcase classname="tests.a" name="good"/>'
FAIL = '<testcase classname="tests.a" name="bad"><failure message="assert 1 == 2&#10;line">long</failure></testcase>'
BREAK = '<testcase classname="tests.a" name="broken"><error message="no lab">long</error></testcase>'
SKIP = '<testcase classname="tests.a" name="elsewhere"><skipped message="no busybox"/></testcase>'


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".cache/junit").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def targets(clone: Path, **stages: tuple[str | None, int]) -> None:
    """A Makefile whose targets leave these test cases (or no JUnit file) and end with these statuses."""
    rules = []
    for stage, (cases, status) in stages.items():
        name = stage.replace("_", "-")
        (clone / f"{name}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
        copy = f"cp {name}.xml .cache/junit/{name}.xml; " if cases is not None else ""
        rules.append(f"{name}:\n\t@{copy}exit {status}\n")
    (clone / "Makefile").write_text("\n".join(rules))


def result(capfd: pytest.CaptureFixture[str], *stages: str) -> tuple[int, list[str]]:
    """The exit status, and the lines of the summary without times."""
    status = run_tests.main(list(stages))
    summary = capfd.readouterr().out.split("==== summary ====\n")[1]
    return status, [line.split(" s   ")[-1] for line in summary.splitlines()]


def test_all_is_well(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    targets(clone, lint=(None, 0), unit=(PASS + PASS + SKIP, 0))
    assert result(capfd, "lint", "unit") == (
        0,
        ["1 passed, 0 failed", "2 passed, 0 failed, 1 skipped", "", "3 passed, 0 failed"],
    )
    assert (clone / ".cache/closing-line").read_text() == "3 passed, 0 failed\n"


def test_failures_are_named_and_later_stages_run(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    targets(clone, lint=(None, 3), unit=(PASS + FAIL + BREAK, 1), page=(PASS, 1), types=(None, 0))
    assert result(capfd, "lint", "unit", "page", "types") == (
        1,
        [
            "0 passed, 1 failed",
            "1 passed, 2 failed",
            "1 passed, 1 failed",
            "1 passed, 0 failed",
            "",
            "==== failed ====",
            "lint: make ended with 2",
            "tests.a::bad: assert 1 == 2 line",
            "tests.a::broken: no lab",
            "page: make ended with 2",
            "",
            "3 passed, 4 failed",
        ],
    )


def test_what_passes_when_run_again_is_named_and_no_failure(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    targets(clone, integration=(PASS + FAIL, 1), integration_again=(PASS, 0))
    assert result(capfd, "integration") == (
        0,
        [
            "2 passed, 0 failed, 1 passed when run again",
            "",
            "==== failed at first, passed when run again ====",
            "tests.a::bad: assert 1 == 2 line",
            "",
            "2 passed, 0 failed",
        ],
    )


@pytest.mark.parametrize(
    "again",
    [(FAIL, 1), (PASS + FAIL, 1), (PASS, 1), (PASS, 0), ("", 5), (None, 2), (SKIP + SKIP, 0)],
    ids=["fails again", "one does", "breaks", "fewer", "none", "does not start", "skipped"],
)
def test_what_does_not_pass_again_has_failed(
    again: tuple[str | None, int], clone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    targets(clone, integration=(PASS + FAIL + BREAK, 1), integration_again=again)
    status, lines = result(capfd, "integration")
    assert status == 1
    assert lines[-1] == "1 passed, 2 failed"


def test_many_failures_are_no_accident(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    many = "".join(FAIL.replace("bad", f"bad{number}") for number in range(run_tests.FEW + 1))
    targets(clone, integration=(many, 1), integration_again=(PASS * (run_tests.FEW + 1), 0))
    status, lines = result(capfd, "integration")
    assert (status, lines[-1]) == (1, f"0 passed, {run_tests.FEW + 1} failed")


def test_a_stage_that_does_not_end(
    clone: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "Makefile").write_text("unit:\n\t@sleep 600\npage:\n\t@true\n")
    monkeypatch.setattr(run_tests, "RUN_SECONDS", 0.5)
    status, lines = result(capfd, "unit", "page")
    assert (status, lines[-1]) == (1, "0 passed, 2 failed")
    assert lines[-3].startswith("page: no time left")
