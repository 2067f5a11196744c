# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rng_info in a guest without a network: over its agent, by the connection plugin community.libvirt.libvirt_qemu."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from lab import GuestSpec, HostSpec, Lab, LabSpec
from lab.process import PATIENCE

REPOSITORY = Path(__file__).parents[3]
CACHE = REPOSITORY / ".cache" / "agent-connection"
# The package that carries community.libvirt. Only that collection is taken from it; its ansible-core is not installed.
ANSIBLE = "ansible==12.3.0"
COLLECTION = "ansible_collections/community/libvirt/"
SPEC = LabSpec(
    (HostSpec("hv1", guests=(GuestSpec("quiet", rng="<rng model='virtio'><backend model='builtin'/></rng>"),)),)
)


@pytest.fixture(scope="session")
def lab(boot_lab: Callable[[LabSpec], Lab]) -> Lab:
    return boot_lab(SPEC)


@pytest.fixture(scope="session")
def collections() -> Path:
    """Where community.libvirt is, fetched on first use."""
    if not (CACHE / COLLECTION).exists():
        pip = [sys.executable, "-m", "pip", "--quiet", "--retries=10", "--timeout=60"]
        download = [*pip, "download", "--no-deps", "--dest", str(CACHE), ANSIBLE]
        subprocess.run(download, check=True, timeout=PATIENCE)
        (wheel,) = CACHE.glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(CACHE, [name for name in archive.namelist() if name.startswith(COLLECTION)])
        wheel.unlink()
    return CACHE


@pytest.fixture
def binding(tmp_path: Path) -> Path:
    """The distribution's libvirt binding, for the interpreter of the tools; the connection runs on the controller."""
    for path in Path("/usr/lib/python3/dist-packages").glob("libvirt*"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_the_same_facts_through_the_agent(lab: Lab, collections: Path, binding: Path, tmp_path: Path) -> None:
    guest = lab.guest("quiet")
    uri = f"qemu+ssh://root@{guest.host.address}/system?keyfile={lab.key}&no_verify=1"
    variables = {"ansible_connection": "community.libvirt.libvirt_qemu", "ansible_libvirt_uri": uri}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"quiet": variables}}}))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible"), "all", "-i", str(inventory), "-m", "fleet.rng.rng_info"],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": f"{REPOSITORY / '.collections'}:{collections}",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "PYTHONPATH": str(binding),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rng = json.loads(done.stdout.partition("=>")[2])["rng"]
    assert rng["current"] == guest.rng_current() == "virtio_rng.0"
    assert rng["hwrng"]["readable"]
    assert rng["kernel"]["release"] == guest.read("/proc/sys/kernel/osrelease").strip()
