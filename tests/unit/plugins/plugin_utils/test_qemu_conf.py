# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing qemu.conf: what libvirt then allows, and that nothing of others changes."""

from __future__ import annotations

import re

import pytest
from ansible_collections.fleet.rng.plugins.plugin_utils.qemu_conf import with_devices
from hypothesis import given
from hypothesis import strategies as st

SHIPPED = """\
# Master configuration file for the QEMU driver.
#user = "root"

#cgroup_device_acl = [
#    "/dev/null", "/dev/full", "/dev/zero",
#    "/dev/random", "/dev/urandom",
#    "/dev/ptmx", "/dev/userfaultfd", "/dev/rtc"
#]
#
# RDMA migration requires the following extra files to be added to the list:
#   "/dev/infiniband/rdma_cm",
"""
SET = 'user = "qemu"\ncgroup_device_acl = [\n  "/dev/null",\n  "/dev/kvm" # not ours\n]\ngroup = "qemu"\n'
SET_BY_ADMIN = SET.replace(" # not ours", "")
FILES = {
    "as shipped": SHIPPED,
    "empty": "",
    "without an example": "user = 'root'\n",
    "without a last newline": SHIPPED.rstrip("\n"),
    "set": SET_BY_ADMIN,
    "set on one line": "x = 1\ncgroup_device_acl=['/dev/null','/dev/kvm',]\n\n\n",
    "set and empty": "cgroup_device_acl = []",
    "with carriage returns": SHIPPED.replace("\n", "\r\n"),
    "hostile": SHIPPED + "# {{ 6 * 7 }} \u202e \x1b[2J\n",
}


def allowed(text: str) -> list[str] | None:
    """What libvirt would read: the list of the last line that sets it, None for its default."""
    found = re.findall(r"^\s*cgroup_device_acl\s*=\s*\[(.*?)\]", text, re.M | re.S)
    assert len(found) <= 1
    assert "#" not in "".join(found), "libvirt reads no comments within a list"
    return re.findall(r"[\"']([^\"']*)[\"']", found[0]) if found else None


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@pytest.mark.parametrize("devices", [["/dev/hwrng"], ["/dev/hwrng", "/dev/ttyACM0"]], ids=len)
def test_devices_are_allowed_and_taken_away_again(text: str, devices: list[str]) -> None:
    edited = with_devices(text, devices)
    now, before = allowed(edited) or [], allowed(text)
    assert set(devices) <= set(now)
    assert set(before if before is not None else ["/dev/null", "/dev/urandom", "/dev/ptmx", "/dev/kvm"]) <= set(now)
    assert with_devices(edited, devices) == edited
    assert with_devices(edited, []) == text
    assert with_devices(edited, ["/dev/hwrng"]) == with_devices(text, ["/dev/hwrng"])


def test_the_default_is_the_one_of_the_example() -> None:
    default = ["null", "full", "zero", "random", "urandom", "ptmx", "userfaultfd", "rtc", "kvm"]
    assert allowed(with_devices(SHIPPED, ["/dev/hwrng"])) == [f"/dev/{name}" for name in [*default, "hwrng"]]


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_without_devices_nothing_changes(text: str) -> None:
    assert with_devices(text, []) == text


def test_what_the_administrator_allows_is_not_ours() -> None:
    text = SET_BY_ADMIN.replace('"/dev/null"', '"/dev/null", "/dev/hwrng"')
    assert with_devices(text, ["/dev/hwrng"]) == text


def test_a_list_that_the_administrator_sets_after_us_is_the_one() -> None:
    edited = with_devices(SHIPPED, ["/dev/hwrng"])
    later = 'cgroup_device_acl = [ "/dev/null" ]\n' + edited
    assert allowed(with_devices(later, ["/dev/hwrng"])) == ["/dev/hwrng", "/dev/null"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SET, "no list of paths"),
        (SET_BY_ADMIN + SET_BY_ADMIN, "set 2 times"),
        ("cgroup_device_acl = [ 5 ]", "no list of paths"),
        ('cgroup_device_acl = [ "/dev/null"', "no list of paths"),
        (with_devices(SHIPPED, ["/dev/hwrng"]).replace("# END fleet.rng\n", ""), "marks"),
        (with_devices(SET_BY_ADMIN, ["/dev/hwrng"]).replace('[ "/dev/hwrng",', "["), "does not begin"),
        (with_devices(SET_BY_ADMIN, ["/dev/hwrng"]).replace("below: ", "below: x\n# "), "not above|does not begin"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        with_devices(text, ["/dev/hwrng"])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_file_comes_back_as_it_was(text: str) -> None:
    try:
        edited = with_devices(text, ["/dev/hwrng"])
    except ValueError:
        return
    assert with_devices(edited, []) == text
