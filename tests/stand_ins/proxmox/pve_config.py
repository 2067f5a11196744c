# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's state: files in Proxmox VE's own places and format, below ``$PVE_STAND_IN`` (default: /).

    etc/pve/qemu-server/ID.conf, etc/pve/lxc/ID.conf   guests and containers
    run/qemu-server/ID.pid                             there while a guest runs
    etc/pve/site.json                                  node, cluster, user, rights (a list for a path, or as the API
                                                       tells them), tokens (of that user), version and faults; may be
                                                       missing
    var/log/pvesh.log                                  every call, as a line of JSON

Faults: "paused", "ha", "stubborn" (ignores the power button), "no start": lists of guests; "hang": seconds before any
answer; "garbage": an answer in place of JSON; "quorum": false; "slow": {ID: looks} for a guest that is off
only when its status was asked for so many times after the shutdown, which holds its lock for so long; "meanwhile":
{ID: [{key: value}, ...]} for what another administrator writes just before the next change of that guest, each once;
"https": what only the server does, see pve_https.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ.get("PVE_STAND_IN") or "/")
CONFIGS, CONTAINERS, PIDS = ROOT / "etc/pve/qemu-server", ROOT / "etc/pve/lxc", ROOT / "run/qemu-server"
SITE, LOG = ROOT / "etc/pve/site.json", ROOT / "var/log/pvesh.log"

RNG_SOURCES = ["/dev/urandom", "/dev/random", "/dev/hwrng"]
# Option -> the privilege that it takes. Those of the second list are applied to a running guest at once.
OPTIONS = {
    "rng0": "VM.Config.HWType",
    "machine": "VM.Config.HWType",
    "memory": "VM.Config.Memory",
    "cores": "VM.Config.CPU",
    "smbios1": "VM.Config.HWType",
    "name": "VM.Config.Options",
    "description": "VM.Config.Options",
    "onboot": "VM.Config.Options",
    "tags": "VM.Config.Options",
}
AT_ONCE = ("name", "description", "onboot", "tags")
KNOWN = {
    *OPTIONS,
    "args",
    "arch",
    "lock",
    "template",
    "vmgenid",
    "parent",
    "snaptime",
    "meta",
    "agent",
    "ostype",
    "boot",
}
DISKS = re.compile(r"(scsi|virtio|ide|sata|net|efidisk|tpmstate|unused)\d+")


class Refused(Exception):  # noqa: N818  what the API says, not a fault of this program
    """An answer that is an error: its text goes to stderr, as it is."""

    def __init__(self, text: str, code: int = 255) -> None:
        super().__init__(text)
        self.code = code


def bad_parameter(name: str, why: str) -> Refused:
    usage = "\n\npvesh set <api_path> [OPTIONS] [FORMAT_OPTIONS]"
    return Refused(f"400 Parameter verification failed.\n{name}: {why}{usage}", 2)


def site() -> dict:
    try:
        given = json.loads(SITE.read_text())
    except FileNotFoundError:
        given = {}
    usual = {"node": "pve1", "cluster": "", "user": "root@pam", "rights": {}, "version": "9.2.1", "faults": {}}
    return {**usual, "tokens": {"ansible@pve!fleet": "5b0e1c1a-0f6e-4b6e-9d53-7a1c2f3d4e5f"}, **given}


class Config:
    """One file: sections in their order, the first without a name."""

    def __init__(self, vmid: int) -> None:
        self.path = CONFIGS / f"{vmid}.conf"
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            raise Refused(
                f"Configuration file 'nodes/{site()['node']}/qemu-server/{vmid}.conf' does not exist"
            ) from None
        self.digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        self.sections: dict[str, dict[str, str]] = {"": {}}
        self.comments: dict[str, list[str]] = {}
        section = ""
        for line in raw.decode().splitlines():
            if header := re.match(r"^\[(.*)\]\s*$", line):
                section = "PENDING" if header[1].upper() == "PENDING" else header[1]
                self.sections[section] = {}
            elif line.startswith("#"):
                self.comments.setdefault(section, []).append(line)
            elif pair := re.match(r"^([a-z][a-z_\-]*\d*):\s*(.+?)\s*$", line):
                if pair[1] == "rng0" and rng_problem(pair[2]):
                    print(f"vm {vmid} - unable to parse value of 'rng0' - format error", file=sys.stderr)
                elif pair[1] in KNOWN or DISKS.fullmatch(pair[1]) or pair[1] == "delete":
                    self.sections[section][pair[1]] = pair[2]

    @property
    def main(self) -> dict[str, str]:
        return self.sections[""]

    @property
    def pending(self) -> dict[str, str]:
        return self.sections.setdefault("PENDING", {})

    @property
    def deletions(self) -> list[str]:
        return [name.lstrip("!") for name in re.split(r"[,; ]+", self.pending.get("delete", "")) if name]

    def mark_deleted(self, names: list[str]) -> None:
        self.pending.pop("delete", None)
        if names:
            self.pending["delete"] = ",".join(sorted(set(names)))

    def tidy(self) -> None:
        """What is pending and changes nothing goes."""
        for name, value in list(self.pending.items()):
            if name != "delete" and self.main.get(name) == value:
                del self.pending[name]
        self.mark_deleted([name for name in self.deletions if name in self.main])

    def settle(self, only: tuple[str, ...] | None = None) -> None:
        """Apply what is pending: all of it, or what a running guest takes at once."""
        for name in [name for name in self.deletions if only is None or name in only]:
            self.main.pop(name, None)
            self.mark_deleted([other for other in self.deletions if other != name])
        for name, value in list(self.pending.items()):
            if name != "delete" and (only is None or name in only):
                self.main[name] = self.pending.pop(name)
                assert value

    def write(self) -> None:
        text = ""
        snapshots = sorted(name for name in self.sections if name not in ("", "PENDING"))
        for name in ["", "PENDING", *snapshots]:
            body = self.sections.get(name, {})
            if name == "PENDING" and not body:
                continue
            text += f"\n[{name}]\n" if name else ""
            text += "".join(f"{line}\n" for line in self.comments.get(name, []))
            text += "".join(f"{key}: {body[key]}\n" for key in sorted(body))
        temporary = self.path.with_suffix(f".tmp.{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(self.path)


def rng_problem(text: str) -> str:
    """Why this is no value of rng0; nothing when it is one."""
    seen: dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        if "=" in part:
            key, value = part.split("=", 1)
            if not key or not value:
                return "missing key in comma-separated list property"
        else:
            key, value = "source", part
        if key in seen:
            return f"duplicate key in comma-separated list property: {key}"
        if key not in ("source", "max_bytes", "period"):
            return f"invalid key in comma-separated list property: {key}"
        seen[key] = value
    problems = [
        f"rng0.{key}: type check ('integer') failed - got '{seen[key]}'"
        for key in ("max_bytes", "period")
        if key in seen and not re.match(r"^[+-]?\d+$", seen[key])
    ]
    if "source" not in seen:
        problems.append("rng0.source: property is missing and it is not optional")
    elif seen["source"] not in RNG_SOURCES:
        shown = ", ".join(RNG_SOURCES)
        problems.append(f"rng0.source: value '{seen['source']}' does not have a value in the enumeration '{shown}'")
    return "\n".join(["format error", *problems]) if problems else ""


def check_right(path: str, *wanted: str, quiet: bool = False) -> bool:
    """Whether the user has one of these privileges there."""
    here = site()
    held = here["rights"].get(path, here["rights"].get("/", []))
    if here["user"] == "root@pam" or any(right in held for right in wanted):
        return True
    if quiet:
        return False
    raise Refused(f"403 Permission check failed ({path}, {'|'.join(wanted)})")


def running(vmid: int) -> bool:
    return (PIDS / f"{vmid}.pid").exists()
