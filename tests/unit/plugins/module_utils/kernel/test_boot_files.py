# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that choose at boot: the script runs, in every shell that is here, and decides as the module does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel import boot_files as files
from ansible_collections.fleet.rng.plugins.module_utils.kernel import choice

CASES = json.loads((Path(__file__).parents[3] / "cases/hwrng/choice.json").read_text(encoding="utf-8"))
MACHINES = Path(__file__).parents[3] / "cases/kernel"
SHELLS = [[shell] for shell in ("dash", "bash", "ksh", "zsh") if shutil.which(shell)]
if shutil.which("busybox"):
    SHELLS.append(["busybox", "sh"])
NAMES = ("available", "current", "selected")


def contents(mechanism: str | None, prefer: list[str], name: str | None = None, modules: Any = ()) -> dict[str, str]:
    """The files that there should be."""
    found = files.boot_files(mechanism, prefer, name, modules)
    return {file.path: file.content for file in found if file.content is not None}


def tree(directory: Path, case: dict[str, Any]) -> Path:
    """The files of sysfs that a case has, at a place of their own."""
    texts = case.get("sysfs")
    if texts is None:
        machine = json.loads((MACHINES / f"{case['machine']}.json").read_text(encoding="utf-8"))["snapshot"]
        texts = [machine.get(f"{files.HW_RANDOM}/rng_{name}") for name in NAMES]
    for name, text in zip(NAMES, texts, strict=True):
        if text is not None:
            (directory / f"rng_{name}").write_text(text)
    return directory


def run(shell: list[str], script: str, hw_random: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shell, "-c", script.replace(files.HW_RANDOM, str(hw_random))],
        env={"PATH": "/usr/bin:/bin", **environment},
        cwd=hw_random.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_there_is_a_shell() -> None:
    assert SHELLS


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
@pytest.mark.parametrize(("mechanism", "path"), [("openrc", files.OPENRC_SCRIPT), ("runit", files.RUNIT_SCRIPT)])
def test_the_script_decides_as_the_module_does(
    shell: list[str], case: dict[str, Any], mechanism: str, path: str, tmp_path: Path
) -> None:
    hw_random = tmp_path / "hw_random"
    hw_random.mkdir()
    tree(hw_random, case)
    current = hw_random / "rng_current"
    before = (current.read_text(), current.stat().st_mtime_ns) if current.exists() else None
    done = run(shell, contents(mechanism, case["prefer"])[path], hw_random)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    if "error" in case or case["settled"]:
        assert before == ((current.read_text(), current.stat().st_mtime_ns) if current.exists() else None)
    else:
        assert current.read_text() == f"{case['chosen']}\n"


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_patterns_are_no_file_names(shell: list[str], tmp_path: Path) -> None:
    hw_random = tmp_path / "hw_random"
    hw_random.mkdir()
    tree(hw_random, {"sysfs": ["tpm-rng-0\n", "none\n", "0\n"]})
    (hw_random / "tpm-hello").touch()
    run(shell, contents("openrc", ["tpm-*"])[files.OPENRC_SCRIPT], hw_random)
    assert (hw_random / "rng_current").read_text() == "tpm-rng-0\n"


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_kernel_that_refuses_makes_no_noise(shell: list[str], tmp_path: Path) -> None:
    hw_random = tmp_path / "hw_random"
    hw_random.mkdir()
    tree(hw_random, {"sysfs": ["a b\n", "a\n", "1\n"]})
    (hw_random / "rng_current").unlink()
    (hw_random / "rng_current").symlink_to("/proc/self/nosuch")
    done = run(shell, contents("openrc", ["b"])[files.OPENRC_SCRIPT], hw_random)
    assert done.returncode == 0


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_driver_that_is_coming_is_waited_for(shell: list[str], tmp_path: Path) -> None:
    module = tmp_path / "sys/module/amd_rng"
    module.mkdir(parents=True)
    (module / "initstate").write_text("live\n")
    hw_random = tree(tmp_path, {"sysfs": ["amd tpm-rng-0\n", "tpm-rng-0\n", "0\n"]})
    script = contents("udev", ["amd"])[files.UDEV_SCRIPT].replace('"/sys$DEVPATH', f'"{tmp_path}/sys$DEVPATH')
    waiting = script.replace("sleep 1", f"echo live > {module}/initstate; touch {tmp_path}/slept")
    assert run(shell, waiting, hw_random, DEVPATH="/module/amd_rng").returncode == 0
    assert not (tmp_path / "slept").exists()
    (module / "initstate").write_text("coming\n")
    (hw_random / "rng_current").write_text("tpm-rng-0\n")
    run(shell, waiting, hw_random, DEVPATH="/module/amd_rng")
    assert (tmp_path / "slept").exists()
    assert (hw_random / "rng_current").read_text() == "amd\n"


def test_a_sourced_script_leaves_its_reader_alone(tmp_path: Path) -> None:
    script = contents("runit", ["nothing"])[files.RUNIT_SCRIPT]
    done = subprocess.run(
        ["sh", "-c", f"best=mine\n{script}\necho $best /tm* $PWD"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[0] == "mine"
    assert done.stdout.split()[-1] == str(tmp_path)
    assert "*" not in done.stdout, "patterns are expanded there as before"


def test_udev() -> None:
    found = contents("udev", ["tpm-*", "amd"], modules=("tpm_tis",))
    assert set(found) == {files.UDEV_RULE, files.UDEV_SCRIPT, files.MODULES_FILE}
    rule = found[files.UDEV_RULE]
    assert 'ATTR{[misc/hw_random]rng_current}=="tpm-*", ATTR{[misc/hw_random]rng_current}!="none", ' in rule
    assert f'RUN+="/bin/sh {files.UDEV_SCRIPT}"\n' in rule
    assert "@" not in rule
    assert (
        'ATTR{[misc/hw_random]rng_current}=="none", ATTR{[misc/hw_random]rng_selected}'
        in contents("udev", ["none"])[files.UDEV_RULE]
    )


def test_tmpfiles_names_the_device() -> None:
    (text,) = contents("tmpfiles", ["tpm-*"], "tpm-rng-0").values()
    assert text.endswith("\nw /sys/devices/virtual/misc/hw_random/rng_current - - - - tpm-rng-0\n")


def test_modules_are_loaded_one_by_line() -> None:
    text = contents("tmpfiles", ["amd"], "amd", ("amd-rng", "tpm_tis"))[files.MODULES_FILE]
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["amd-rng", "tpm_tis"]


def test_nothing_at_boot_means_no_file() -> None:
    assert contents(None, ["amd"], "amd", ("amd_rng",)) == {}


def test_every_mechanism_has_its_own_files_and_removes_the_others() -> None:
    paths = {file.path for file in files.boot_files(None, ["amd"], None, ())}
    for mechanism, main in files.MAIN_FILES.items():
        found = files.boot_files(mechanism, ["amd"], "amd", ())
        assert {file.path for file in found} == paths
        assert main in {file.path for file in found if file.content}
        scripts = {file.path for file in found if file.content and file.content.startswith("#!")}
        assert scripts <= {file.path for file in found if file.executable}


@pytest.mark.parametrize("mechanism", files.MAIN_FILES)
def test_ours_are_known_by_their_first_lines(mechanism: str) -> None:
    for text in contents(mechanism, ["amd"], "amd", ("amd_rng",)).values():
        assert files.is_ours(text)
        assert not files.is_ours("# mine\n\n\n" + text)
    assert not files.is_ours("")
    assert not files.is_ours("w /sys/class/misc/hw_random/rng_current - - - - amd\n")


def test_patterns_mean_the_same_to_the_module_and_to_a_shell(tmp_path: Path) -> None:
    names = [
        "amd",
        "tpm-rng-0",
        "virtio_rng.0",
        "virtio_rng.1",
        "3f104000.rng",
        "ccp-1-rng",
        "a[b",
        "a]",
        "x!y",
        "-",
        "=",
    ]
    patterns = ["*", "?", "[a-c]*", "[!a]*", "[]a]*", "a[*", "*]", "*[0-9]", "virtio_rng.[01]", "[", "[!", "!", "x!*",
                "[!-]", "-", "=", "*.rng", "[a", "??", "tpm-rng-[!1-9]", "[[]*", "a[[]b", "[0-9a-f]*.rng", "=*",
                "[-=]"]  # fmt: skip
    loop = "set -f\nfor p in " + " ".join(patterns) + "; do for n in " + " ".join(names)
    loop += "; do case $n in $p) echo $p $n ;; esac; done; done"
    for shell in SHELLS:
        found = subprocess.run([*shell, "-c", loop], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        seen = {tuple(line.split()) for line in found.splitlines()}
        expected = set()
        for pattern in choice.parse_prefer(patterns):
            for name in names:
                if choice.find([pattern], choice.Seen((name,), "none", False)):
                    expected.add((pattern, name))
        assert seen == expected, shell
