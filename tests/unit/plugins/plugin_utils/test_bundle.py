# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file out of many: what it takes in, what it refuses, and that it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.bundle import BundleError, bundle

MAIN = "from .low import word\n\n\ndef main(version):\n    print(word(), version)\n    return 7\n"
LOW = "def word():\n    return 'low'\n"


def tree(root: Path, **files: str) -> Path:
    """A folder of sources; two underscores in a name are a slash."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def make(root: Path, entry: str = "top") -> str:
    return bundle(root, entry, "program", "1.2.3")


def run(text: str, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = directory / "program"
    program.write_text(text, encoding="utf-8")
    command = [sys.executable, "-I", str(program), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")


def sources(text: str) -> list[str]:
    return [line.split("'")[1] for line in text.splitlines() if line.startswith("SOURCES['")]


def test_it_runs_away_from_its_sources(tmp_path: Path) -> None:
    done = run(make(tree(tmp_path / "a", top=MAIN, low=LOW)), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "low 1.2.3\n", "")


def test_only_what_is_imported_is_in_it(tmp_path: Path) -> None:
    root = tree(tmp_path, top=MAIN, low="from .pack import inner\nword = inner.word\n", other="import ansible\n")
    tree(root, pack__inner="from ..deep.er import word\n", pack__unused="", deep__er=LOW)
    names = ["", ".deep", ".deep.er", ".low", ".pack", ".pack.inner", ".top"]
    assert sources(make(root)) == [f"fleet_rng{name}" for name in names]


def test_imports_inside_functions_count(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "a", low=LOW, top="def main(version):\n    from .low import word\n    return word() != 'low'\n"
    )
    assert run(make(root), tmp_path).returncode == 0


def test_the_same_sources_give_the_same_bytes_wherever_they_are(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "a", top=MAIN, low=LOW), tree(tmp_path / "b", low=LOW, top=MAIN)
    assert make(one) == make(other)


def test_sources_are_in_it_as_they_stand(tmp_path: Path) -> None:
    awkward = MAIN + '# \\n {curly} $dollar $$ "quotes" é\nTEXT = r"""\\d\n"""\n'
    assert awkward in make(tree(tmp_path / "a", top=awkward, low=LOW))
    assert run(make(tmp_path / "a"), tmp_path).returncode == 7


def test_a_fault_names_its_file_and_line(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", top="\ndef main(version):\n    return 1 / 0  # here\n")
    assert 'File "fleet_rng/top.py", line 3, in main' in run(make(root), tmp_path).stderr


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import ansible.module_utils.basic\n", "ansible"),
        ("from ansible_collections.fleet.rng.plugins.module_utils import text\n", "ansible_collections"),
        ("try:\n    import yaml\nexcept ImportError:\n    pass\n", "yaml"),
        ("from .. import top\n", "from above"),
        ("from .missing import this\n", "missing"),
        ("TEXT = '''text'''\n", "cannot be quoted"),
        ("TEXT = 1", "does not end with a line"),
    ],
)
def test_what_hosts_need_not_have_is_refused(source: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=why):
        make(tree(tmp_path, top=source))


def test_an_old_python_is_told_so(tmp_path: Path) -> None:
    text = make(tree(tmp_path / "a", top=MAIN, low=LOW)).replace("(3, 8)", "(99, 0)")
    done = run(text, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("program needs Python 3.8 or newer, and this is 3.")
