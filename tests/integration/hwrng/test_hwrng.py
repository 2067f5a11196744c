# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing among two real RNGs over SSH. What is written for the next boot is given to the program that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.hwrng.conftest import TOOLS, Two
from lab.guest import HW_RANDOM

LOADER = f"LD_LIBRARY_PATH={TOOLS} {TOOLS}/"
RULE = "/etc/udev/rules.d/90-fleet-rng-hwrng.rules"
SCRIPT = "/etc/local.d/fleet-rng-hwrng.start"
TMPFILES = "/etc/tmpfiles.d/fleet-rng-hwrng.conf"


def test_the_second(two: Two) -> None:
    options = {"prefer": ["tpm-*", "virtio_rng.1"], "boot": "none"}
    assert two.uses() == ("virtio_rng.0", False)
    predicted = two.run(check=True, **options)
    assert two.uses() == ("virtio_rng.0", False)
    result = two.run(**options)
    assert not result["failed"]
    assert two.uses() == ("virtio_rng.1", True)
    assert (result["changed"], result["chosen"], result["available"][:2]) == (
        True,
        "virtio_rng.1",
        ["virtio_rng.0", "virtio_rng.1"],
    )
    assert result["current"] == {"before": "virtio_rng.0", "after": "virtio_rng.1"}
    assert result["diff"][0]["after"] == "virtio_rng.1\nchosen\n"
    assert {key: predicted[key] for key in result} == result
    again = two.run(**options)
    assert (again["changed"], again["reason"]) == (False, "virtio_rng.1, and is in use already")
    assert two.guest.draw(64).bytes == 64


def test_the_kernels_own_choice_is_made_to_stay(two: Two) -> None:
    assert two.run(prefer=["virtio_rng.*"], boot="none")["changed"]
    assert two.uses() == ("virtio_rng.0", True)
    assert not two.run(prefer=["virtio_rng.*"], boot="none")["changed"]


def test_nothing_matches(two: Two) -> None:
    two.run(prefer=["virtio_rng.1"], boot="none")
    for check in (True, False):
        result = two.run(check=check, prefer=["tpm-*", "amd"], boot="none")
        assert (result["failed"], result["changed"]) == (True, False)
        assert result["msg"].startswith("prefer: tpm-*, amd matches nothing; available: virtio_rng.0, virtio_rng.1")
        assert two.uses() == ("virtio_rng.1", True)


def test_none_by_name(two: Two) -> None:
    """A kernel older than 6.18 has to be left alone; a newer one has to stop."""
    result = two.run(prefer=["none"], boot="none")
    if "none" in two.guest.read(f"{HW_RANDOM}/rng_available").split():
        assert (result["failed"], two.uses()) == (False, ("none", True))
        assert "No such device" in two.guest.run("dd if=/dev/hwrng bs=1 count=1 2>&1; :")
        assert not two.run(prefer=["none"], boot="none")["changed"]
    else:
        assert result["failed"]
        assert result["msg"].endswith("in use, as before: virtio_rng.0; this kernel cannot be told to use none")
        assert two.uses() == ("virtio_rng.0", False)


def test_unplugged_while_chosen(two: Two) -> None:
    two.run(prefer=["virtio_rng.1"], boot="none")
    two.unplug("second")
    assert two.uses()[0] == "virtio_rng.0"
    result = two.run(prefer=["virtio_rng.1"], boot="none")
    assert (result["failed"], result["changed"]) == (True, False)
    assert "prefer: virtio_rng.1 matches nothing; available: virtio_rng.0" in result["msg"]
    assert two.uses()[0] == "virtio_rng.0"
    two.plug("second")
    assert not two.run(prefer=["virtio_rng.1"], boot="none")["failed"]
    assert two.uses() == ("virtio_rng.1", True)


def test_a_name_that_the_kernel_does_not_know_leaves_the_old_one(two: Two) -> None:
    """What the module relies on when a device goes between its look and its write, whatever the kernel answers."""
    two.run(prefer=["virtio_rng.1"], boot="none")
    two.guest.run(f"echo virtio_rng.9 > {HW_RANDOM}/rng_current; :")
    assert two.uses() == ("virtio_rng.1", True)


@pytest.mark.usefixtures("tools")
def test_systemd_tmpfiles_applies_the_line(two: Two) -> None:
    two.guest.run(f"mkdir -p /usr/bin && ln -s {TOOLS}/systemd-tmpfiles /usr/bin/")
    result = two.run(prefer=["virtio_rng.1"])
    assert result["boot"] == {"mechanism": "tmpfiles", "path": TMPFILES, "changed": True}
    two.forget()
    two.guest.run(f"{LOADER}systemd-tmpfiles --create {TMPFILES}")
    assert two.uses() == ("virtio_rng.1", True)
    assert not two.run(prefer=["virtio_rng.1"])["changed"]
    assert two.run(prefer=["virtio_rng.1"], boot="none")["boot"]["changed"]
    assert two.guest.run("ls /etc/tmpfiles.d").split() == []


def test_the_boot_script_chooses_by_the_same_list(two: Two) -> None:
    two.guest.run("mkdir -p /run/openrc")
    result = two.run(prefer=["tpm-*", "virtio_rng.[1-9]", "*"])
    assert result["boot"] == {"mechanism": "script", "path": SCRIPT, "changed": True}
    assert two.guest.run("readlink /etc/runlevels/default/local").strip() == "/etc/init.d/local"
    two.forget()
    two.guest.run(SCRIPT)
    assert two.uses() == ("virtio_rng.1", True)
    two.guest.run(SCRIPT)
    two.unplug("second")
    two.forget()
    two.guest.run(SCRIPT)
    assert two.uses() == ("virtio_rng.0", True)
    assert not two.run(prefer=["tpm-*", "virtio_rng.[1-9]", "*"])["changed"]


def start_udev(two: Two) -> None:
    two.guest.run(f"ln -sf udevadm {TOOLS}/systemd-udevd; mkdir -p /etc/udev")
    two.guest.run(f"{LOADER}systemd-udevd </dev/null >/dev/null 2>&1 & echo $! > /run/udevd.pid")
    two.guest.run("until [ -e /run/udev/control ]; do sleep 0.1; done")


@pytest.mark.usefixtures("tools")
def test_udev_chooses_whenever_a_driver_takes_or_leaves_a_device(two: Two) -> None:
    start_udev(two)
    prefer = ["tpm-*", "virtio_rng.[1-9]", "*"]
    result = two.run(prefer=prefer)
    assert result["boot"] == {"mechanism": "udev", "path": RULE, "changed": True}
    assert not two.run(prefer=prefer)["changed"]
    two.forget()
    two.guest.run(f"{LOADER}udevadm trigger --action=add --sysname-match=hw_random && {LOADER}udevadm settle")
    assert two.uses() == ("virtio_rng.1", True), "as at boot, for the drivers that were there before udev"
    two.unplug("second")
    two.await_use("virtio_rng.0")  # the next preference, and no longer the kernel's choice
    two.plug("second")
    two.await_use("virtio_rng.1")  # the first preference is back


@pytest.mark.usefixtures("tools")
def test_udev_starts_nothing_while_the_first_preference_is_in_use(two: Two) -> None:
    start_udev(two)
    two.run(prefer=["virtio_rng.0", "virtio_rng.1"])
    script = "/etc/udev/fleet-rng-hwrng.sh"
    two.guest.run(f"sed -i '2i touch /run/udev-ran' {script}")
    two.unplug("second")
    two.guest.run(f"{LOADER}udevadm settle")
    assert two.guest.run("ls /run/udev-ran 2>&1; :").endswith("No such file or directory\n")
    two.forget()
    two.plug("second")
    two.await_use("virtio_rng.0")
    two.guest.run("ls /run/udev-ran")


def test_a_driver_is_loaded_first(two: Two) -> None:
    two.guest.run(
        "d=/lib/modules/$(uname -r); mkdir -p $d && for m in /modules/*; do n=${m##*/}; cp $m $d/${n#*-}; done; depmod"
    )
    two.guest.run("rmmod virtio_rng; mkdir -p /run/openrc")
    options = {"prefer": ["virtio_rng.*"], "modules": ["virtio_rng"]}
    predicted = two.run(check=True, **options)
    assert (predicted["changed"], predicted["chosen"], predicted["reason"]) == (
        True,
        None,
        "known once virtio_rng is loaded",
    )
    result = two.run(**options)
    assert not result["failed"], result
    assert result["current"] == {"before": "none", "after": two.guest.rng_current()}
    assert two.uses()[1]
    assert "virtio_rng" in two.guest.read("/etc/modules-load.d/fleet-rng-hwrng.conf").splitlines()
    assert not two.run(**options)["changed"]
    result = two.run(prefer=["virtio_rng.*"], modules=["nosuch"])
    assert result["failed"]
    assert result["msg"].startswith("modules: nosuch cannot be loaded: ")
    two.guest.run("rm -rf /lib/modules")


def test_a_file_of_the_operator_is_left_alone(two: Two) -> None:
    two.guest.run(f"mkdir -p /run/openrc /etc/local.d && echo '# mine' > {SCRIPT}")
    result = two.run(prefer=["virtio_rng.1"])
    assert result["failed"]
    assert f"{Path(SCRIPT)} is there and was not written by this module" in result["msg"]
    assert two.uses() == ("virtio_rng.0", False)
    assert two.guest.read(SCRIPT) == "# mine\n"


@pytest.mark.parametrize("pattern", ["$(touch /run/bad)", "`id`", "virtio_rng.1\n*"])
def test_nothing_reaches_a_shell(two: Two, pattern: str) -> None:
    two.guest.run("mkdir -p /run/openrc")
    result = two.run(prefer=[pattern])
    assert result["failed"]
    assert result["msg"].startswith("prefer: ")
    assert two.guest.run("ls /etc/local.d /run/bad 2>/dev/null; :") == ""
