# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done inside a Linux guest so that its kernel has the virtio RNG early and always, and why. Pure.

It rests on what rng_info said, and on what the role rng_guest looked up in the guest: lines of a word and its value.
The guest wrote both, so they are bounded here, and of paths in them the role only asks whether they are there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable
from ansible_collections.fleet.rng.plugins.plugin_utils.notices import outcomes

INITRAMFS = ("auto", "always", "never")
CURRENT = ("unmanaged", "virtio")
MARK = "fleet-rng-guest"  # in the name of every file that is ours alone
# What builds an initramfs, as the look calls it; others are named in the reason, and left alone.
TOOLS = ("initramfs-tools", "dracut", "mkinitcpio")

_MOST_LINES = 200
_ARGUMENT = re.compile(r"(random|rng_core|virtio_rng)\.[a-z_]{1,40}")
_VALUE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_OFF = re.compile("(n|no|0|off|false)", re.I)


@dataclass
class Seen:
    """What was looked up in the guest."""

    driver: str = "absent"  # loaded, builtin, module: there and not loaded; or absent
    denied: list[str] = field(default_factory=list)  # files that keep the driver from being loaded
    persistent: list[str] = field(default_factory=list)  # files that load it at boot
    tool: str = ""  # what builds the initramfs, "" for none
    images: dict[str, str] = field(default_factory=dict)  # each image: yes, no or unknown: whether the driver is in it
    pending: list[str] = field(default_factory=list)  # images with the driver that were built since the boot
    written: bool = False  # whether our part of the tool's configuration is there
    arguments: str = ""  # what changes kernel arguments
    services: bool = True  # whether something reads what is to be loaded at boot

    @property
    def lacking(self) -> list[str]:
        return [path for path, found in self.images.items() if found != "yes"]


def parse(text: str) -> Seen:
    """Read the lines of the look; what it never prints is skipped."""
    seen = Seen()
    for line in text.splitlines()[:_MOST_LINES]:
        word, dummy, value = line.strip().partition(" ")
        value = printable(value, 200)
        if word == "driver" and value in ("loaded", "builtin", "module", "absent"):
            seen.driver = value
        elif word in ("denied", "persistent"):
            getattr(seen, word).append(value)
        elif word in ("tool", "arguments"):
            setattr(seen, word, value)
        elif word == "image":
            found, dummy, path = value.partition(" ")
            seen.images[path] = found if found in ("yes", "no") else "unknown"
        elif word == "pending":
            seen.pending.append(value)
        elif word == "written":
            seen.written = True
        elif word == "unread":
            seen.services = False
    return seen


def early(rng: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether this kernel has nothing better than the virtio RNG to begin with, and why."""
    cpu, arguments = rng.get("cpu"), rng.get("arguments") or {}
    if _OFF.fullmatch(str(arguments.get("random.trust_cpu", ""))):
        return True, "the CPU's instruction is not trusted (random.trust_cpu)"
    if "nordrand" in arguments:
        return True, "the CPU's instruction is switched off (nordrand)"
    if cpu:
        return False, f"the CPU's {printable(str(cpu[0]), 20)} is there before any driver"
    return True, "no instruction of the CPU is known to feed it before"


def plan(rng: Mapping[str, Any], look: str, wishes: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be done, what stands in its way, and what waits for a reboot."""
    seen = parse(look)
    problems: list[str] = []
    notes: list[str] = []
    attached = bool(rng.get("virtio_devices")) or any(
        str(name).startswith("virtio_rng") for name in rng.get("available") or []
    )
    load = persist = False
    if wishes["driver"]:
        load, persist = _driver(seen, table, problems, notes)
    write, rebuild = _initramfs(rng, seen, str(wishes["initramfs"]), problems, notes)
    arguments, waiting = _arguments(rng, seen, wishes["arguments"], table, problems)
    choose = wishes["current"] == "virtio" and attached and (load or seen.driver in ("loaded", "builtin"))
    if not attached:
        notes.append("no virtio RNG is attached: that is its hypervisor's to do")
    return {
        "driver": {"state": seen.driver, "load": load, "persist": persist},
        "initramfs": {
            "tool": seen.tool, "write": write, "rebuild": rebuild, "images": seen.lacking if rebuild else [],
            "pending": bool(seen.pending) and seen.written,
        },
        "current": {"choose": choose},
        "arguments": {"set": arguments, "by": seen.arguments, "waiting": waiting},
        "attached": attached,
        "problems": problems,
        "notes": notes,
    }  # fmt: skip


def _driver(seen: Seen, table: Mapping[str, Any], problems: list[str], notes: list[str]) -> tuple[bool, bool]:
    if seen.driver == "builtin":
        return False, False
    if seen.driver == "absent":
        problems.append(
            f"its kernel has no driver for a virtio RNG: install {table['kernel_package']}, or boot the kernel whose "
            "modules are installed"
        )
        return False, False
    if seen.denied:
        problems.append(f"{', '.join(seen.denied[:3])} keeps virtio_rng from being loaded: remove that line")
        return False, False
    if not seen.services:
        problems.append("nothing loads modules at boot: add the service modules to the runlevel boot")
    others = [path for path in seen.persistent if MARK not in path and path != table["modules_line"]]
    if others:
        notes.append(f"{others[0]} loads the driver at boot")
    return seen.driver == "module", not others


def _initramfs(
    rng: Mapping[str, Any], seen: Seen, wish: str, problems: list[str], notes: list[str]
) -> tuple[bool, bool]:
    """Whether to have our part of the tool's configuration, and whether to build the images again."""
    if wish == "never" or seen.driver in ("builtin", "absent") or seen.denied:
        return False, False
    needed, why = early(rng) if wish == "auto" else (True, "asked for")
    if not needed:
        notes.append(f"its initramfs is left alone: {why}")
        return False, False
    if not seen.images and not seen.tool:
        notes.append("it has no initramfs")
        return False, False
    if seen.tool not in TOOLS:
        (problems if wish == "always" else notes).append(
            f"its initramfs is left alone: {seen.tool or 'what builds it is not known, and it'} has no file or line of "
            "its own for a driver that this role could write"
        )
        return False, False
    if not seen.images:
        notes.append("its initramfs is left alone: there is no image of it where distributions put them")
        return False, False
    unknown = [path for path, found in seen.images.items() if found == "unknown"]
    if unknown and seen.written:
        problems.append(f"{unknown[0]} cannot be listed, so nobody knows whether the driver is in it")
        return True, False
    # With the driver in every image by somebody else's doing there is nothing of ours to add.
    return bool(seen.lacking) or seen.written, bool(seen.lacking)


def _arguments(
    rng: Mapping[str, Any], seen: Seen, wanted: Mapping[str, Any], table: Mapping[str, Any], problems: list[str]
) -> tuple[dict[str, str], list[str]]:
    """The kernel arguments to have in the boot loader's configuration, and those that wait for a reboot."""
    values = {str(name): str(value) for name, value in wanted.items()}
    if not values:
        return {}, []
    if not seen.arguments or seen.arguments != table["arguments_by"]:
        problems.append(f"kernel arguments are left alone: {table['arguments_why']}")
        return {}, []
    running = rng.get("arguments") or {}
    return values, [f"{name}={value}" for name, value in values.items() if running.get(name) != value]


def mistakes(wishes: Mapping[str, Any]) -> list[str]:
    """What is wrong with the role's variables, as sentences."""
    found = []
    if wishes["initramfs"] not in INITRAMFS:
        found.append(f"rng_guest_initramfs is one of {', '.join(INITRAMFS)}")
    if wishes["current"] not in CURRENT:
        found.append(f"rng_guest_current is one of {', '.join(CURRENT)}")
    arguments = wishes["arguments"]
    if not isinstance(arguments, Mapping) or not all(
        _ARGUMENT.fullmatch(str(name)) and isinstance(value, (str, int)) and not isinstance(value, bool)
        and _VALUE.fullmatch(str(value))
        for name, value in arguments.items()
    ):  # fmt: skip
        found.append(
            "rng_guest_kernel_arguments has arguments of random, rng_core and virtio_rng, such as random.trust_cpu, "
            "with values of letters, digits and _.:-, where on and off are in quotes"
        )
    return found


def recap(state: Mapping[str, Any]) -> str:
    """One line about a guest: what feeds its kernel, what was changed, what waits, what is wrong."""
    parts = [_feeds(state.get("rng"), str(state.get("unsupported") or "")), *outcomes(state)]
    return f"{printable(str(state['guest']), 100)}: {' '.join(parts)}"


def _feeds(rng: Any, unsupported: str) -> str:
    if unsupported:
        return f"{printable(unsupported, 300)}."
    if not isinstance(rng, Mapping):
        return "It could not be audited."
    arguments = " ".join(f"{name}={value}" for name, value in (rng.get("arguments") or {}).items())
    also = ", ".join(str(name) for name in rng.get("cpu") or [])
    current = rng.get("current")
    if current:
        by = f"{current} feeds its kernel" + (f", and {also}" if also else "")
    elif also:
        by = f"no hardware RNG feeds its kernel, only {also}"
    else:
        by = "only timing feeds its kernel"
    return printable(f"{by}{f' (arguments: {arguments})' if arguments else ''}", 300) + "."
