# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification may find about a guest: one table, with the id, the severity and the remedy of each.

An id is never given to another finding. The ids below RNG100 are those of a machine's own kernel. Severities:

``error``    the guest has not what its policy asks for, or gets no good random numbers from it.
``warning``  somebody should act or decide.
``info``     why something could not be proven, and what would prove it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable

LONGEST_WORD = 300


@dataclass(frozen=True)
class Kind:
    """One row. ``message`` and ``remedy`` name in braces what the judge fills in.

    ``restart``, ``show`` and ``log`` are always there: commands and a place, in the words of the kind of hypervisor.
    """

    id: str
    severity: str
    message: str
    remedy: str


_ENABLE = "Run the playbook fleet.rng.enable_rng for its hypervisor; its table says what stands in the way."
_RESTART = "Shut it down and start it again ({restart}); a reboot from inside is not enough."
_CHANGE = (
    "Run the playbook fleet.rng.enable_rng; or, if what it has is meant, set it as the policy of the guest "
    "({variables})."
)

NOT_IN_CONFIG = Kind("RNG101", "error", "The wanted RNG, {wanted}, is missing: it has {found}.", _ENABLE)
NOT_LIVE = Kind("RNG102", "error", "It runs without the wanted RNG, {wanted}: it has {found}.", _ENABLE)
WAITS = Kind("RNG103", "warning", "What is right in its configuration waits for a restart: {why}.", _RESTART)
WRONG_SOURCE = Kind("RNG104", "error", "Its source is not {wanted}: {found}.", _CHANGE)
WRONG_RATE = Kind("RNG105", "error", "Its rate is not {wanted}: {found}.", _CHANGE)
OTHER_DEVICE = Kind("RNG106", "error", "Its RNG is not the wanted one, {wanted}: {found}.", _CHANGE)
SEVERAL = Kind(
    "RNG107",
    "error",
    "It has other RNGs beside the wanted one: {found}.",
    "If one was replaced just now, the guest has not let go of it yet: verify again later. Else run the playbook "
    "fleet.rng.enable_rng, which takes the others away; what the guest never lets go of goes when it is shut "
    "down and started again. To keep RNGs that others attached, set virtio_rng_exclusive to false.",
)
NOT_REMOVED = Kind(
    "RNG108",
    "error",
    "It has an RNG although it is to have none: {found}.",
    "Run the playbook fleet.rng.enable_rng; or set virtio_rng_state to present or unmanaged for the guest.",
)
NO_DRIVER = Kind(
    "RNG109",
    "error",
    "The guest has no driver for its virtio RNG.",
    "In the guest: modprobe virtio_rng, and echo virtio_rng > /etc/modules-load.d/virtio_rng.conf for later boots. "
    "Where the kernel has no such module, install the distribution's full kernel package.",
)
OTHER_CURRENT = Kind(
    "RNG110",
    "warning",
    "The guest's kernel draws from {current}, not from the virtio RNG.",
    "In the guest, if the virtio RNG is to be used: echo {name} > /sys/class/misc/hw_random/rng_current. "
    "If {current} is meant, set virtio_rng_state to absent or unmanaged for the guest.",
)
NO_CURRENT = Kind(
    "RNG111",
    "error",
    "The guest's kernel draws from no hardware RNG; available are: {available}.",
    "In the guest: echo {name} > /sys/class/misc/hw_random/rng_current. If the virtio RNG is not available there, "
    "its driver did not accept the device: see dmesg, and shut the guest down and start it again.",
)
NOT_OPEN = Kind(
    "RNG112",
    "error",
    "The guest's QEMU process {pid} has {source} not open on the host.",
    "Look at the log of the guest's QEMU on the host ({log}), and shut the guest down and start it again ({restart}).",
)
TOO_FAST = Kind(
    "RNG113",
    "error",
    "The guest drew {bytes} B in {seconds} s, more than {limit} allows: nothing holds it to that.",
    "See what else feeds /dev/hwrng in the guest, and set virtio_rng_monitor to true to see the rate that QEMU has. "
    "Run the playbook fleet.rng.enable_rng if they differ.",
)
TOO_SLOW = Kind(
    "RNG114",
    "warning",
    "The guest drew {bytes} B in {seconds} s, less than half of what {limit} allows.",
    "Measure again when the host is less busy. If it stays so, see whether the source gives enough ({trial}), and "
    "whether another reader in the guest takes its part.",
)
NO_BYTES = Kind(
    "RNG115",
    "error",
    "The guest drew no byte from its RNG: {why}.",
    "See whether the source gives bytes ({trial}). Then shut the guest down and start it again "
    "({restart}): a driver that lost an answer waits for ever.",
)
UNHEALTHY = Kind(
    "RNG116",
    "error",
    "The bytes that the guest drew failed the health test {tests}.",
    "Measure again: one failure in thousands of runs is chance. If it stays so, take another source "
    "(virtio_rng_source: /dev/urandom), and draw no keys in this guest until then.",
)
NO_AGENT = Kind(
    "RNG117",
    "info",
    "Not proven from inside: no QEMU guest agent answers ({why}).",
    "Install and start qemu-guest-agent in the guest, and give the guest its channel org.qemu.guest_agent.0. "
    "Or put the guest into the inventory, and verify with rng_verify_guests=true.",
)
AGENT_TIMED_OUT = Kind(
    "RNG118",
    "info",
    "Not proven from inside: the guest agent did not answer in time ({why}).",
    "Restart qemu-guest-agent in the guest, or raise virtio_rng_view_timeout, and verify again.",
)
NO_FILE_READING = Kind(
    "RNG119",
    "info",
    "Not proven from inside: the guest agent may not read files ({why}).",
    "In the guest, allow guest-file-open, guest-file-read and guest-file-close in the agent's configuration "
    "(/etc/sysconfig/qemu-ga, /etc/qemu/qemu-ga.conf). Or verify over SSH with rng_verify_guests=true.",
)
NOT_LINUX = Kind(
    "RNG120",
    "info",
    "Not proven from inside: the guest does not run Linux ({why}).",
    "In the guest, see whether its driver runs. Windows: Get-PnpDevice -FriendlyName *VirtIO*RNG*, from the viorng "
    "driver. FreeBSD: sysctl kern.random.random_sources.",
)
CANNOT_TELL = Kind(
    "RNG121",
    "info",
    "Not proven from inside: {why}.",
    "Verify again. If it stays so, read /sys/class/misc/hw_random/rng_current in the guest.",
)
NOT_ASKED = Kind(
    "RNG122",
    "info",
    "Not proven from inside: the guest was not asked.",
    "Set virtio_rng_guest_view to true to ask its QEMU agent, or rng_verify_guests to true to ask over SSH.",
)
REFUSED = Kind("RNG123", "error", "The plan refuses it: {why}.", "Set the variable or the device that it names right.")
UNREADABLE = Kind(
    "RNG124",
    "error",
    "It cannot be judged: {why}.",
    "See what the hypervisor says of it on the host: {show}.",
)
GONE = Kind(
    "RNG125",
    "error",
    "It is no longer there: it was planned, and the hypervisor has lost or replaced it since.",
    "Run again. A guest that moved to another hypervisor is verified there.",
)
NOT_SEEN_OPEN = Kind(
    "RNG126",
    "info",
    "Whether its QEMU has the source open could not be seen: {why}.",
    "Looking into another user's process needs root on the hypervisor itself: leave virtio_rng_become at true. Over "
    "the API of Proxmox VE (virtio_rng_proxmox_api_host) it cannot be seen.",
)
NOT_MEASURED = Kind(
    "RNG127",
    "info",
    "Its rate could not be measured: {why}.",
    "Measuring needs an agent that may run a command: set virtio_rng_guest_exec to true, and allow guest-exec and "
    "guest-exec-status in the agent's configuration in the guest. For a long period or a large quota, set more "
    "seconds or bytes in virtio_rng_measure.",
)
BROKER_GONE = Kind(
    "RNG128",
    "error",
    "The entropy broker behind its source, {source}, {why}. Its reads wait until the broker is back.",
    "Start the broker (systemctl start virtrngd on the host), or deploy it with the playbook fleet.rng.broker_rng. QEMU"
    " does not repeat a request that was lost: if it waits even then, shut it down and start it again ({restart}).",
)
NO_CLIENT = Kind(
    "RNG129",
    "warning",
    "The entropy broker has no client of its name, and whether its QEMU is connected to {source} could not be seen.",
    "Verify again: the broker writes its status every few seconds. If it stays so, look at the host as root "
    "(virtio_rng_become), and at virtrngctl status there.",
)
WAITS_FOR_BROKER = Kind(
    "RNG130",
    "warning",
    "It has waited {seconds} s for the entropy broker, in class {class}.",
    "Give its class more (rng_broker_rate, rng_broker_ceil), or the broker a faster source: virtrngctl top on the host "
    "shows which of the two is short.",
)

_AFTER_FAILURE = (
    "Mend what the change failed on, in the variable that asks for it or on the host; then run the playbook "
    "fleet.rng.enable_rng again."
)

_SAFE_SOURCE = (
    "Set virtio_rng_source of the guest to a source that is safe on its hypervisor, such as /dev/urandom; then run the "
    "playbook fleet.rng.enable_rng."
)
_MEND_CONNECTION = "Or mend its connection, as ansible NAME -m fleet.rng.rng_info tells, and verify again."
_UNREACHED = {  # where the guest's own connection was tried too
    NO_AGENT: f"{NO_AGENT.remedy.partition(' Or ')[0]} {_MEND_CONNECTION}",
    NO_FILE_READING: f"{NO_FILE_READING.remedy.partition(' Or ')[0]} {_MEND_CONNECTION}",
    NOT_ASKED: f"Set virtio_rng_guest_view to true to ask its QEMU agent. {_MEND_CONNECTION}",
}

KINDS = tuple(kind for kind in list(globals().values()) if isinstance(kind, Kind))


def after_failure(kind: Kind, *, unsafe: bool = False) -> Kind:
    """The same finding where changing the guest was tried, and ``failure`` came of it; ``unsafe``: of its source."""
    message = f"{kind.message.removesuffix('.')}; changing it failed: {{failure}}."
    return replace(kind, message=message, remedy=_SAFE_SOURCE if unsafe else _AFTER_FAILURE)


def with_unsafe_source(kind: Kind) -> Kind:
    """The same finding where the hypervisor refuses the wanted source, for the reason ``unsafe``."""
    return replace(kind, message=f"{kind.message.removesuffix('.')}; {{unsafe}}.", remedy=_SAFE_SOURCE)


def unreached(kind: Kind) -> Kind:
    """The same finding where the guest was asked over its own connection as well, and ``connection`` came of it."""
    message = kind.message.replace("the guest was not asked", "the guest's agent was not asked")
    message = f"{message.removesuffix('.')}; asked over its own connection: {{connection}}."
    return replace(kind, message=message, remedy=_UNREACHED.get(kind, kind.remedy))


def finding(kind: Kind, subject: str, evidence: Mapping[str, Any], **words: object) -> dict[str, Any]:
    """A finding on the wire; ``words`` may come from a guest, and are made printable here."""
    shown = {name: printable(str(value), LONGEST_WORD) for name, value in words.items()}
    bounded = {k: printable(value, LONGEST_WORD) if isinstance(value, str) else value for k, value in evidence.items()}
    return {
        "id": kind.id,
        "severity": kind.severity,
        "subject": printable(subject, 80),
        "message": kind.message.format_map(shown),
        "remedy": kind.remedy.format_map(shown),
        "evidence": bounded,
    }
