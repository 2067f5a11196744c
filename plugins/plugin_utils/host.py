# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a hypervisor, on the controller: what QEMU may open, what stands in its way, and the line of the recap."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.broker_words import broker_line
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import outcomes
from ansible_collections.fleet.rng.plugins.plugin_utils.table import wrapped

KEYS = ("devices", "cgroup_acl", "qemu_conf", "restart_libvirt")
DEVICE_KEYS = ("path", "user", "group", "mode")
QEMU_CONF = "/etc/libvirt/qemu.conf"
APPARMOR_FILE = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
RULE_FILE = "/etc/udev/rules.d/90-fleet-rng-permissions.rules"

_PATH = re.compile(r"/dev/[A-Za-z0-9_.-]{1,60}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,10}")
_MODE = re.compile(r"0?[0-7]{3}")
# What every guest may read wherever libvirt confines them, and nobody should chmod.
_PUBLIC = ("/dev/random", "/dev/urandom", "/dev/null", "/dev/zero", "/dev/full")
# The labels that SELinux lets libvirt's guests read.
_READABLE_TYPES = ("random_device_t", "urandom_device_t")


def permissions(wishes: Any) -> dict[str, Any]:
    """The role's variable with its defaults: ``devices``, ``cgroup_acl``, ``qemu_conf``, ``restart_libvirt``.

    :raises ValueError: for a variable that is not as it should be; the reason.
    """
    if not isinstance(wishes, Mapping) or set(wishes) - set(KEYS):
        raise ValueError(f"it takes {', '.join(KEYS)}")
    devices = [_device(entry) for entry in _listed(wishes.get("devices"))]
    paths = [device["path"] for device in devices]
    if len(set(paths)) < len(paths):
        raise ValueError("a device is there twice")
    conf = wishes.get("qemu_conf") or QEMU_CONF
    if not isinstance(conf, str) or not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", conf):
        raise ValueError("qemu_conf is an absolute path of letters, digits and _.-")
    return {
        # "devices: []" takes away what an earlier run has set up; without the word nothing of it is touched.
        "manage": "devices" in wishes,
        "devices": devices,
        "cgroup_acl": _flag(wishes, "cgroup_acl"),
        "qemu_conf": conf,
        "restart_libvirt": bool(_flag(wishes, "restart_libvirt")),
    }


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError("devices is a list")
    return list(value)


def _flag(wishes: Mapping[str, Any], key: str) -> bool | None:
    value = wishes.get(key)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{key} is true or false")
    return value


def _device(entry: Any) -> dict[str, str]:
    if not isinstance(entry, Mapping) or set(entry) - set(DEVICE_KEYS):
        raise ValueError(f"a device has {', '.join(DEVICE_KEYS)}")
    path = entry.get("path")
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ValueError("the path of a device is directly below /dev, such as /dev/hwrng")
    if path in _PUBLIC:
        raise ValueError(f"{path} is for everybody: leave it as it is")
    user, group = (str(entry.get(key) or "") for key in ("user", "group"))
    if not all(not name or _NAME.fullmatch(name) for name in (user, group)):
        raise ValueError(f"{path}: user and group are names or numbers")
    mode = entry.get("mode", "0640")
    if not isinstance(mode, str) or not _MODE.fullmatch(mode):
        raise ValueError(f"{path}: mode has three or four octal digits in quotes, such as '0640'")
    return {"path": path, "user": user, "group": group, "mode": mode.rjust(4, "0")}


def seen(lines: Sequence[str]) -> dict[str, Any]:
    """What the role's look at the host printed, line by line: a key, a space, a value."""
    found: dict[str, Any] = {"mechanism": "none", "apparmor": False, "selinux": False, "rules": [], "labels": {}}
    for line in lines:
        key, dummy, value = line.partition(" ")
        if key == "mechanism" and value in ("udev", "openrc"):
            found[key] = value
        elif key in ("apparmor", "selinux"):
            found[key] = value == "yes"
        elif key == "rule":
            found["rules"].append(value)
        elif key == "label":
            path, dummy, label = value.partition(" ")
            found["labels"][path] = label
    return found


def obstacles(look: Mapping[str, Any], sources: Sequence[str]) -> list[str]:
    """What AppArmor and SELinux have against guests that read these devices, each with what helps."""
    notes = []
    for path in [source for source in sources if _PATH.fullmatch(source) and source not in _PUBLIC]:
        if look["apparmor"] and path not in look["rules"]:
            notes.append(
                f"AppArmor confines guests, and libvirt gives none of them {path}: add the line '{path} r,' to"
                f" {APPARMOR_FILE}"
            )
        label = str(look["labels"].get(path, ""))
        kind = label.split(":")[2] if label.count(":") >= 2 else ""
        if look["selinux"] and kind and kind not in _READABLE_TYPES:
            notes.append(
                f"SELinux confines guests, and they may not read {path}, a {printable(kind, 60)}: semanage fcontext"
                f" -a -t random_device_t {path}, and restorecon {path}"
            )
    return notes


def recap(state: Mapping[str, Any], width: int) -> list[str]:
    """A line about a hypervisor: what feeds its kernel, its sources, what was changed and what was not, and why."""
    parts = [_feeds(state.get("rng"))]
    sources = [_source(source) for source in state.get("sources") or []]
    if sources:
        parts.append(f"Sources: {'; '.join(sources)}.")
    broker = broker_line(state.get("rng"))
    if broker:
        parts.append(f"Broker: {broker}.")
    parts.extend(outcomes(state))
    if state.get("daemon"):
        parts.append(f"Daemon: {printable(str(state['daemon']), 400)}")
    return wrapped(f"{printable(str(state['host']), 100)}: ", " ".join(parts), width)


def _feeds(rng: Any) -> str:
    if not isinstance(rng, Mapping):
        return "It could not be audited."
    also = ", ".join(printable(str(name), 20) for name in rng.get("cpu") or [])
    current = rng.get("current")
    if current:
        return f"{printable(str(current), 60)} feeds its kernel{f', and {also}' if also else ''}."
    return f"No hardware RNG feeds its kernel, only {also or 'timing'}."


def _source(result: Mapping[str, Any]) -> str:
    name, status = (printable(str(result.get(key)), 60) for key in ("source", "status"))
    if status in ("good", "slow"):
        return f"{name} {status}, {rate(result.get('bytes_per_second'))}"
    return f"{name} {status} ({printable(str(result.get('why')), 120)})"


def rate(bytes_per_second: Any) -> str:
    """A rate as people read it."""
    if not isinstance(bytes_per_second, (int, float)):
        return "of unknown rate"
    value = float(bytes_per_second)
    for unit in ("B/s", "KiB/s"):
        if value < 1024:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} MiB/s" if value < 1000 else f"{value:.0f} MiB/s"
