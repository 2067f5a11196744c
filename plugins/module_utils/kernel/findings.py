# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worth saying about a machine's random numbers: one table of rules, judged over what was interpreted.

An id is never given to another rule. Severities:

``error``    random numbers may be missing or late now, or at the next boot.
``warning``  something that is there is not used, does not work, or stands on one leg; somebody should act.
``info``     good to know; a sound machine may have it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from .sources import BLOCKED, CANNOT_READ, END_OF_FILE, ERROR, FAILED, SLOW

SEVERITIES = ("error", "warning", "info")  # the worst first
LOW_ENTROPY = 128  # bits: two readers of /dev/random away from a wait on the kernels where it blocks
_OFF = re.compile("0|[nf]|of", re.I)  # as the kernel reads a boolean: by its first letters
NOT_ALLOWED = ("Permission denied", "Operation not permitted")


@dataclass(frozen=True)
class Facts:
    """What the rules look at: the result so far, and what it does not carry as such."""

    rng: Mapping[str, Any]
    version: Optional[Tuple[int, int, int]]
    virtual: Optional[bool]
    container: bool
    random_blocks: bool
    current_known: bool

    def __getattr__(self, name: str) -> Any:
        return self.rng[name]

    @property
    def no_device(self) -> bool:
        """Surely no hardware RNG, seen from where it would be visible."""
        return self.rng["available"] == [] and not self.rng["virtio_devices"] and not self.container

    @property
    def no_instruction(self) -> bool:
        return bool(self.rng["cpu"] == [])  # not None, as on architectures that do not tell

    @property
    def before_5_4(self) -> bool:
        return self.version is not None and self.version < (5, 4, 0)

    @property
    def read_failed(self) -> bool:
        hwrng = self.rng["hwrng"]
        return bool(hwrng["present"]) and hwrng["readable"] is False and hwrng["why"] not in NOT_ALLOWED

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.rng["available"] or [])


@dataclass(frozen=True)
class Rule:
    """One row: its texts may name keys of the result in braces; ``evidence`` lists the keys that show why."""

    id: str
    severity: str
    subject: str
    applies: Callable[[Any], bool]
    message: str
    remedy: str
    evidence: Tuple[str, ...]


RULES = (
    Rule(
        "RNG001",
        "error",
        "kernel",
        lambda f: f.crng_ready is False,
        "The kernel's random number generator is not initialized yet ({entropy_avail} of 256 bits): getrandom() and "
        "/dev/random wait, /dev/urandom is not safe for keys.",
        "Wait for it before keys are made. Give the machine a hardware RNG (a guest: a virtio RNG).",
        ("entropy_avail", "poolsize", "crng_why"),
    ),
    Rule(
        "RNG002",
        "warning",
        "virtio_rng",
        lambda f: f.virtio_rng == "missing" and bool(f.virtio_devices),
        "A virtio RNG is attached, and no driver for it is loaded.",
        "Load the module virtio_rng (modprobe virtio_rng) and have it loaded at boot (/etc/modules-load.d).",
        ("virtio_devices", "virtio_rng"),
    ),
    Rule(
        "RNG003",
        "warning",
        "hw_random",
        lambda f: bool(f.available) and f.current is None and f.current_known,
        "A hardware RNG is available, and the kernel uses none.",
        "Write one of the available names to /sys/class/misc/hw_random/rng_current.",
        ("available", "current"),
    ),
    Rule(
        "RNG004",
        "info",
        "hw_random",
        lambda f: f.has("virtio_rng") and bool(f.current) and not f.current.startswith("virtio_rng"),
        "A virtio RNG is available, and the kernel draws from {current} instead.",
        "Nothing, if that is intended. Otherwise write the virtio RNG's name to /sys/class/misc/hw_random/rng_current.",
        ("available", "current", "selected"),
    ),
    Rule(
        "RNG005",
        "info",
        "/dev/hwrng",
        lambda f: bool(f.hwrng["present"]) and f.available == [] and not f.virtio_devices,
        "/dev/hwrng exists, and no hardware RNG is behind it: every read fails.",
        "Do not give it to a guest as a source: QEMU aborts at the first failing read. /dev/urandom does the job.",
        ("available", "hwrng"),
    ),
    Rule(
        "RNG006",
        "warning",
        "/dev/hwrng",
        lambda f: f.read_failed and bool(f.current),
        "The hardware RNG {current} gave no byte: {hwrng[why]}.",
        "In a guest, check the device's source and rate on the hypervisor: max-bytes=0 starves it, and so does an "
        "entropy daemon that went away. On a host, check the hardware and its driver's messages in the kernel log.",
        ("current", "hwrng"),
    ),
    Rule(
        "RNG007",
        "warning",
        "kernel",
        lambda f: f.random_blocks and f.entropy_avail is not None and f.entropy_avail < LOW_ENTROPY,
        "Only {entropy_avail} bits of entropy are left, and on this kernel /dev/random blocks without.",
        "Give the machine a hardware RNG, or run rngd; a kernel from 5.6 on does not block any more.",
        ("entropy_avail", "poolsize", "kernel"),
    ),
    Rule(
        "RNG008",
        "info",
        "hw_random",
        lambda f: bool(f.virtual) and f.no_device and bool(f.cpu),
        "This guest has no hardware RNG: its seed comes from the CPU's instruction and from timing.",
        "Attach a virtio RNG on the hypervisor.",
        ("available", "cpu"),
    ),
    Rule(
        "RNG009",
        "warning",
        "hw_random",
        lambda f: f.no_device and f.no_instruction and not f.before_5_4,
        "Neither a hardware RNG nor a CPU instruction feeds this kernel: its seed comes from timing alone.",
        "Attach a virtio RNG on the hypervisor, or pass the host's CPU model through; on hardware, load the driver of "
        "its RNG or TPM.",
        ("available", "cpu", "kernel"),
    ),
    Rule(
        "RNG010",
        "error",
        "hw_random",
        lambda f: f.no_device and f.no_instruction and f.before_5_4,
        "Neither a hardware RNG nor a CPU instruction feeds this kernel, which before 5.4 does not help itself: what "
        "needs random numbers at boot may wait for minutes.",
        "Attach a virtio RNG on the hypervisor, or pass the host's CPU model through; or run haveged early at boot.",
        ("available", "cpu", "kernel"),
    ),
    Rule(
        "RNG011",
        "info",
        "kernel",
        lambda f: f.container,
        "This is a container: what is shown is the RNG of the kernel that it shares with its host.",
        "Audit the host.",
        ("role_why",),
    ),
    Rule(
        "RNG012",
        "info",
        "random.trust_cpu",
        lambda f: bool(f.cpu) and _OFF.match((f.arguments or {}).get("random.trust_cpu", "")) is not None,
        "The CPU's instruction does not count as entropy at boot (random.trust_cpu={arguments[random.trust_cpu]}).",
        "Nothing, if that is intended; the machine then needs another source to be ready early.",
        ("arguments", "cpu"),
    ),
    Rule(
        "RNG013",
        "info",
        "nordrand",
        lambda f: "nordrand" in (f.arguments or {}) and f.version is not None and f.version < (6, 0, 0),
        "The CPU's RDRAND is switched off by the kernel argument nordrand.",
        "Nothing, if that is intended; random.trust_cpu=off is milder: it mixes the bytes in and does not count them.",
        ("arguments", "cpu"),
    ),
    Rule(
        "RNG014",
        "info",
        "daemons",
        lambda f: bool(f.daemons) and f.version is not None and f.version >= (5, 6, 0) and f.quality != 0,
        "An entropy daemon runs, which this kernel does not need.",
        "Keep it where a policy asks for it, or where it reads a source without a kernel driver. Otherwise remove it.",
        ("daemons", "kernel"),
    ),
    Rule(
        "RNG015",
        "info",
        "daemons",
        lambda f: bool(f.fips) and f.daemons is not None and "rngd" not in f.daemons,
        "FIPS mode is on and rngd does not run. The unit of Red Hat's rngd does not start in FIPS mode: a check that "
        "asks for it cannot pass.",
        "Nothing on the machine; document the exception in the audit.",
        ("fips", "daemons"),
    ),
    Rule(
        "RNG016",
        "info",
        "hw_random",
        lambda f: bool(f.current) and f.quality == 0 and "rngd" not in (f.daemons or []),
        "The hardware RNG {current} has quality 0: the kernel does not draw from it by itself.",
        "If you trust it, set its quality (bits of entropy in 1024 bits) with the kernel argument "
        "rng_core.default_quality, or in /sys/class/misc/hw_random/rng_quality.",
        ("current", "quality", "arguments"),
    ),
)


def _read_fails(why: str) -> bool:
    return why.startswith(CANNOT_READ) and not any(word in why for word in NOT_ALLOWED)


# Over the result of each source that was tested.
SOURCE_RULES = (
    Rule(
        "RNG017",
        "error",
        "{source}",
        lambda tested: bool(tested["status"] == FAILED),
        "The source {source} fails a health test: {why}.",
        "Give it to no guest, and let the kernel draw from another one (rng_current). Have the hardware checked, and "
        "the daemon or the driver behind it.",
        ("source", "health", "bytes"),
    ),
    Rule(
        "RNG018",
        "warning",
        "{source}",
        lambda tested: bool(tested["status"] == BLOCKED),
        "The source {source} blocks: {why}. A guest on it would wait as long.",
        "Give guests another source, such as /dev/urandom, which does not block. Look after what is behind this one: "
        "its driver, its daemon, and who else draws from it.",
        ("source", "why", "seconds"),
    ),
    Rule(
        "RNG019",
        "warning",
        "{source}",
        lambda tested: bool(tested["status"] == END_OF_FILE),
        "The source {source} comes to an end: {why}.",
        "Give guests another source, such as /dev/urandom, which never ends.",
        ("source", "why", "bytes"),
    ),
    Rule(
        "RNG020",
        "warning",
        "{source}",
        lambda tested: bool(tested["status"] == SLOW),
        "The source {source} is slow: {why}.",
        "Limit what guests draw from it (virtio_rng_max_bytes, or virtio_rng_host_budget: measured), or give them "
        "another source.",
        ("source", "bytes_per_second"),
    ),
    Rule(
        "RNG021",
        "warning",
        "{source}",
        lambda tested: tested["status"] == ERROR and _read_fails(tested["why"]),
        "The source {source} is there, and gives no byte: {why}.",
        "Give it to no guest: QEMU aborts at the first read that fails. Load the driver of the device behind it, or "
        "start its daemon.",
        ("source", "why"),
    ),
)


def judge(facts: Facts) -> List[Dict[str, Any]]:
    """The findings about a machine, in the order of the table."""
    return [finding(rule, facts.rng) for rule in RULES if rule.applies(facts)]


def judge_sources(results: Iterable[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The findings about sources that were tested, source by source."""
    return [finding(rule, tested) for tested in results for rule in SOURCE_RULES if rule.applies(tested)]


def finding(rule: Rule, values: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "id": rule.id,
        "severity": rule.severity,
        "subject": rule.subject.format_map(values),
        "message": rule.message.format_map(values),
        "remedy": rule.remedy,
        "evidence": {key: values[key] for key in rule.evidence},
    }
