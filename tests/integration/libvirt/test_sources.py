# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources that would abort, freeze or mislead a guest are refused before QEMU sees them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.libvirt.hypervisor import Cycle, Hypervisor
from lab import Guest
from lab.process import wait_for

PREPARE = """
mkdir -p /srv/rng/directory && cd /srv/rng
ln -s nowhere dangling
ln -s /dev/null link-to-null
ln -s /proc/self/environ link-to-proc
: > empty
head -c 64 /dev/urandom > regular
mkfifo fifo
mknod block b 7 0
mkdir -m 0777 open
ln -s /dev/urandom open/link
mknod -m 0666 '/dev/a device with spaces' c 1 9
ln -s /dev/urandom /dev/link
"""

BAD = {
    "missing": ("/srv/rng/missing", "No such file or directory"),
    "dangling_link": ("/srv/rng/dangling", "a dangling link"),
    "directory": ("/srv/rng/directory", "is a directory"),
    "dev_null": ("/dev/null", "no source of randomness"),
    "dev_zero": ("/dev/zero", "no source of randomness"),
    "dev_full": ("/dev/full", "no source of randomness"),
    "link_to_dev_null": ("/srv/rng/link-to-null", "no source of randomness"),
    "link_to_proc": ("/srv/rng/link-to-proc", "is a regular file"),
    "empty_file": ("/srv/rng/empty", "is a regular file"),
    "regular_file": ("/srv/rng/regular", "is a regular file"),
    "fifo": ("/srv/rng/fifo", "is a FIFO"),
    "block_device": ("/srv/rng/block", "is a block device"),
    "device_whose_read_fails": ("/dev/net/tun", "cannot be read"),
    "hwrng_without_an_rng_behind": ("/dev/hwrng", "no hardware RNG selected"),
    "link_that_others_can_swap": ("/srv/rng/open/link", "others than root can write to"),
    "egd_unix_without_server": ("egd+unix:/srv/rng/nobody", "nobody accepts there"),
    "egd_tcp_without_server": ("egd+tcp://127.0.0.1:9", "nobody accepts there"),
    "egd_udp_to_an_unknown_name": ("egd+udp://no.such.host.invalid:708", "egd+udp://no.such.host.invalid:708"),
}
GOOD = ("/dev/urandom", "/dev/random", "/dev/link", "/dev/a device with spaces")


@pytest.fixture(scope="module")
def cycle(main: Hypervisor) -> Iterator[Cycle]:
    """All of them in one play."""
    main.host.check("sh", "-ec", PREPARE)
    for name in (*BAD, *map(str, range(len(GOOD)))):
        main.define(name, firmware_only=True)
    bad = [{"guest": name, "source": source} for name, (source, _why) in BAD.items()]
    yield main.cycle([*bad, *({"guest": str(number), "source": source} for number, source in enumerate(GOOD))])
    main.forget()


@pytest.mark.parametrize("name", BAD)
def test_unsafe_source_is_refused_for_its_guest_alone(name: str, cycle: Cycle, main: Hypervisor) -> None:
    main.assert_refused(name, BAD[name][1], cycle.applied)


@pytest.mark.parametrize("number", range(len(GOOD)), ids=GOOD)
def test_safe_source_is_served_meanwhile(number: int, cycle: Cycle, main: Hypervisor) -> None:
    assert cycle.statuses(str(number)) == ("added", "not_applicable")
    config, _live = main.rngs(str(number))
    assert config
    assert GOOD[number] in config[0]


@pytest.mark.usefixtures("cycle")  # makes the files
@pytest.mark.parametrize("name", BAD)
def test_running_guest_survives(name: str, main: Hypervisor, runner: Guest) -> None:
    done = main.module([{"guest": runner.name, "source": BAD[name][0]}])
    assert BAD[name][1] in done.guest(runner.name)["error"]
    assert main.counts(runner.name) == (0, 0)


SWAPPER = """
while [ -d /srv/swap ]; do
    ln -sfn /dev/null /srv/swap/.new && mv -T /srv/swap/.new /srv/swap/rng
    ln -sfn /dev/urandom /srv/swap/.new && mv -T /srv/swap/.new /srv/swap/rng
done
"""


def test_link_swapped_between_check_and_attach(hv: Hypervisor, runner: Guest) -> None:
    """Whoever owns a directory can swap a link in it at any moment, so no check of such a link means anything."""
    hv.host.check("sh", "-ec", "mkdir -p /srv/swap && chown nobody /srv/swap && ln -s /dev/urandom /srv/swap/rng")
    hv.host.check("sh", "-c", f"setsid setpriv --reuid nobody --clear-groups sh -c '{SWAPPER}' >/dev/null 2>&1 &")
    try:
        for dummy in range(5):
            done = hv.module([{"guest": runner.name, "source": "/srv/swap/rng"}])
            assert "others than root can write to /srv/swap" in done.guest(runner.name)["error"]
        hv.survives(runner)
    finally:
        # The swapper goes on until the directory is gone, and may add to it while rm empties it.
        hv.host.check("timeout", "600", "sh", "-c", "until rm -rf /srv/swap; do :; done")


def test_device_that_qemu_as_another_user_may_not_read(fragile: Hypervisor) -> None:
    fragile.define("guest", firmware_only=True)
    fragile.define("other", firmware_only=True)
    devices = [{"guest": "guest", "source": "/dev/private"}, {"guest": "other"}]
    fragile.host.check("mknod", "-m", "0600", "/dev/private", "c", "1", "9")
    with fragile.qemu_conf('user = "nobody"\ngroup = "nogroup"'):
        refused = fragile.cycle(devices)
        assert "QEMU (uid 65534, gid 65534) may not read it" in refused.applied.guest("guest")["error"]
        assert "udev rule" in refused.applied.guest("guest")["error"]
        assert refused.statuses("other") == ("added", "not_applicable")
        assert fragile.counts("guest") == (0, None)
        fragile.host.check("chmod", "0644", "/dev/private")
        assert fragile.cycle(devices).statuses("guest") == ("added", "not_applicable")


def test_hwrng_with_an_rng_behind_is_served(fragile: Hypervisor) -> None:
    fragile.define("guest", firmware_only=True, running=True)
    cycle = fragile.cycle([{"guest": "guest", "source": "/dev/hwrng"}])
    assert cycle.statuses("guest") == ("added", "added")
    wait_for("/dev/hwrng, open in QEMU", lambda: "/dev/hwrng" in fragile.opened_by("guest"), pause=0.1)
