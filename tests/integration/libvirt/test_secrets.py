# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and cookies of a domain survive byte for byte, and nobody gets to see them."""

from __future__ import annotations

from integration.libvirt.hypervisor import Hypervisor, task

# VNC takes at most eight characters.
SECRETS = ("Vnc&<'8!", 'Spice "secret" & <more>', "session=cookie-of-the-disk")
DEVICES = """
<graphics type='vnc' passwd='Vnc&amp;&lt;&apos;8!' passwdValidTo='2031-01-01T00:00:00'/>
<graphics type='spice' passwd='Spice &quot;secret&quot; &amp; &lt;more&gt;'/>
<disk type='network' device='cdrom'>
  <driver name='qemu' type='raw'/>
  <source protocol='https' name='image.iso'>
    <host name='example.org' port='443'/><cookies><cookie name='session'>cookie-of-the-disk</cookie></cookies>
  </source>
  <target dev='sda' bus='sata'/><readonly/>
</disk>
"""
RAW = ("Vnc&", "Spice", "cookie-of-the-disk")  # as they would look at the least, however escaped


def test_secrets_survive_and_never_appear(hv: Hypervisor) -> None:
    hv.define("vault", firmware_only=True, devices=DEVICES)
    before = hv.documents()
    kept = (before["vault"]["config"] or "").replace("&amp;", "&")
    assert all(secret in kept for secret in RAW), "libvirt has not kept the secrets to begin with"
    tasks = [
        {**task([{"guest": "vault", **device}]), "diff": True, "check_mode": check}
        for device in ({}, {"max_bytes": 1}, {"max_bytes": 0}, {"state": "absent"})
        for check in (True, False)
    ]
    outcomes = hv.play(*tasks, {"fleet.rng.libvirt_rng_info": {}}, options=("-vvvv",))
    assert [outcome.changed for outcome in outcomes] == [True] * 4 + [False] * 2 + [True] * 2 + [False]
    for secret in (*SECRETS, *RAW):
        assert secret not in outcomes[0].output
        assert secret not in str([outcome.result for outcome in outcomes])
    hv.assert_rest_identical(before)
