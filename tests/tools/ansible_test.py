# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` or ``ansible-test units`` on a copy of this tree.

ansible-test insists on a tree at ansible_collections/NAMESPACE/NAME that is no symbolic link, and keeps its virtual
environments below tests/output of that tree and in ~/.ansible/test. Both stay in .cache/ansible-test, from run to run.
"""

from __future__ import annotations

import configparser
import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "ansible-test"
COPY = CACHE / "ansible_collections" / "fleet" / "rng"
KEPT = (".git", "tests/output")
HOME = CACHE / "home"

# ansible-test puts this pip into its environments. It would fetch a bootstrap script from a server of the Ansible
# project; the wheel from the package index that is configured here does as well.
PIP_VERSION = "24.2"
GET_PIP = """\
import sys

sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main

sys.exit(main(["install", "--upgrade"] + [arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel")]))
"""


def copy_tree() -> None:
    """Make the copy equal to what git would commit; what ansible-test writes is left alone.

    The copy is a repository too: ansible-test asks git for the files, and git ignores .cache.
    """
    if not (COPY / ".git").exists():
        subprocess.run(["git", "init", "--quiet", COPY], check=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    wanted = {Path(name) for name in names if name and (ROOT / name).is_file()}
    for name in wanted:
        source, target = ROOT / name, COPY / name
        if not target.exists() or not filecmp.cmp(source, target, shallow=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for target in [path for path in COPY.rglob("*") if path.is_file()]:
        if target.relative_to(COPY) not in wanted and not any(target.is_relative_to(COPY / kept) for kept in KEPT):
            target.unlink()


def provide_pip() -> None:
    """Put pip's wheel where ansible-test looks for a bootstrap script it has fetched before."""
    cache = HOME / ".ansible" / "test" / "cache"
    script = cache / f"get_pip_{PIP_VERSION.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", cache, f"pip=={PIP_VERSION}"]
    subprocess.run(fetch, check=True)
    script.write_text(GET_PIP.format(wheel=str(cache / f"pip-{PIP_VERSION}-py3-none-any.whl")))


def write_pip_config() -> None:
    """Hand over where pip finds packages: ansible-test passes on neither our home nor PIP_INDEX_URL."""
    config = configparser.RawConfigParser()
    own = [".pip/pip.conf", ".config/pip/pip.conf"]
    config.read([Path.home() / name for name in own] + [os.environ.get("PIP_CONFIG_FILE", "")])
    if not config.has_section("global"):
        config.add_section("global")
    for name, value in os.environ.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            config.set("global", name.removeprefix("PIP_").lower().replace("_", "-"), value)
    target = HOME / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w") as stream:
        config.write(stream)


def search_path() -> str:
    """PATH with real interpreters only.

    pyenv has shims such as python3.8 that fail unless a version is activated, and ansible-test takes every pythonX.Y it
    finds for a Python to test with. So the shims go, and the interpreters behind them come last.
    """
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    shims = [folder for folder in folders if folder.name == "shims" and (folder.parent / "versions").is_dir()]
    real = [binaries for folder in shims for binaries in sorted((folder.parent / "versions").glob("3.*/bin"))]
    return os.pathsep.join(str(folder) for folder in [*folders, *real] if folder not in shims)


def main(arguments: list[str]) -> int:
    """Prepare the copy and call ansible-test in it."""
    copy_tree()
    provide_pip()
    write_pip_config()
    if arguments[0] == "units":
        arguments = ["units", "--python", "{}.{}".format(*sys.version_info[:2]), *arguments[1:]]
    command = ["ansible-test", *arguments, "--venv", "--color", "no"]
    environment = {**os.environ, "HOME": str(HOME), "PATH": search_path()}
    return subprocess.run(command, cwd=COPY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
