# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wanted x observed x capabilities -> what to do, and why. The only place that decides.

It is pure, so the plan on the controller, check mode and the real run cannot disagree: all three ask :func:`decide`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from .device import DRIVER_OPTIONS, MODELS, RngDevice, request_bytes
from .observation import CONFIG, LIVE, LOCK, TEMPLATE, Devices, FoundDevice, ObservedGuest

UNCHANGED = "unchanged"
ADDED = "added"
REPLACED = "replaced"
REMOVED = "removed"
NEEDS_RESTART = "needs_restart"
PENDING_REMOVAL = "pending_removal"
NOT_APPLICABLE = "not_applicable"
STATUSES = (UNCHANGED, ADDED, REPLACED, REMOVED, NEEDS_RESTART, PENDING_REMOVAL, NOT_APPLICABLE)

OWN_ALIAS = "ua-fleet-rng"

# Machine types without PCI Express, where model virtio is a transitional device.
_CONVENTIONAL_PCI = ("pc-i440fx-", "pc-0.", "pc-1.", "pseries")


@dataclass(frozen=True)
class Capabilities:
    """What one kind of hypervisor can carry, as data.

    ``paths`` are the only sources of kind random that it takes, where there is such a list; ``slots`` how many RNGs a
    guest can have, where that is limited: adding one to a full guest then takes the place of another. ``rates`` is
    whether it can limit the rate, ``restart`` whether its guests can be shut down and started again,
    ``tells_off`` whether it can be seen that a driver option was switched off, and not just left out.
    """

    max_bytes: int
    sources: Tuple[str, ...] = ("random", "builtin", "egd")
    models: Tuple[str, ...] = MODELS
    driver_options: Tuple[str, ...] = DRIVER_OPTIONS
    hotplug: bool = True
    paths: Optional[Tuple[str, ...]] = None
    slots: Optional[int] = None
    rates: bool = True
    restart: bool = False
    tells_off: bool = True


@dataclass(frozen=True)
class LayerDecision:
    """What happens on one layer (config or live) of one guest: ``add`` comes first, then each of ``remove``."""

    status: str
    reason: str
    add: Optional[RngDevice] = None
    alias: str = ""
    remove: Devices = ()

    @property
    def acts(self) -> bool:
        return self.add is not None or bool(self.remove)


@dataclass(frozen=True)
class Decision:
    """Both layers of one guest.

    ``error`` is why the guest is refused; then neither layer acts. ``warning`` is what is carried out, but unwise.
    """

    config: LayerDecision
    live: LayerDecision
    error: str = ""
    warning: str = ""

    @property
    def acts(self) -> bool:
        return self.config.acts or self.live.acts

    @property
    def reason(self) -> str:
        """One sentence for both layers, each said once, and the warning; a no-op says why it is one."""
        said = {CONFIG: self.config, LIVE: self.live}
        relevant = {name: layer for name, layer in said.items() if layer.status != NOT_APPLICABLE} or said
        reasons = {layer.reason for layer in relevant.values()}
        if len(reasons) == 1:
            said_once = reasons.pop()
        else:
            said_once = "; ".join(f"{name}: {layer.reason}" for name, layer in relevant.items())
        return f"{said_once}; {self.warning}" if self.warning else said_once


def is_own(found: FoundDevice) -> bool:
    """Whether this collection attached it, by the alias that only we use."""
    return found.alias == OWN_ALIAS or found.alias.startswith(OWN_ALIAS + "-")


def decide(
    wanted: Optional[RngDevice],
    guest: ObservedGuest,
    capabilities: Capabilities,
    *,
    live: bool = True,
    exclusive: bool = True,
) -> Decision:
    """Say what turns ``guest`` into one that has ``wanted`` (None: no RNG), and what stands in the way.

    :param live: whether a running guest may be changed now; otherwise the change waits for its next start.
    :param exclusive: whether RNGs that somebody else attached, and that differ, go away too.
    """
    if guest.error:
        return _refused(guest, guest.error)
    if guest.blocked_on(TEMPLATE):
        return _left_alone(guest, guest.blocked_on(TEMPLATE))
    if wanted is not None and not capabilities.tells_off:
        wanted = replace(wanted, driver=tuple(option for option in wanted.driver if option[1]))
    obstacle = _cannot_carry(wanted, capabilities) or _cannot_start(wanted, guest)
    if obstacle:
        return _refused(guest, obstacle)
    config = _layer(CONFIG, guest, wanted, exclusive)
    running = _layer(LIVE, guest, wanted, exclusive)
    if config.add is not None and guest.blocked_on(CONFIG):
        return _refused(guest, guest.blocked_on(CONFIG))
    if config.acts and guest.blocked_on(LOCK):
        return _refused(guest, guest.blocked_on(LOCK))
    crowded = _no_room(guest.config, config, capabilities)
    if crowded:
        return _refused(guest, crowded)
    if running.acts:
        waits = _why_not_live(guest, running, capabilities, live)
        if waits and guest.config is None:
            return _refused(guest, f"a transient guest can only be changed while it runs, but {waits}")
        if waits:
            running = LayerDecision(NEEDS_RESTART, waits)
    return Decision(config, running, warning=_unwise(wanted, guest))


def _layer(layer: str, guest: ObservedGuest, wanted: Optional[RngDevice], exclusive: bool) -> LayerDecision:
    found = guest.config if layer == CONFIG else guest.live
    if found is None:
        unseen = "what it runs with cannot be seen" if guest.running else "the guest is not running"
        return LayerDecision(NOT_APPLICABLE, "the guest is transient" if layer == CONFIG else unseen)
    removable = tuple(item for item in found if exclusive or is_own(item))
    if wanted is None:
        if removable:
            return LayerDecision(REMOVED, f"had {_listed(removable)}", remove=removable)
        return LayerDecision(UNCHANGED, "has RNGs of others only" if found else "has no RNG")
    match = _match(found, wanted)
    if match is not None:
        extra = tuple(item for item in removable if item is not match)
        if extra:
            return LayerDecision(REPLACED, f"has {wanted}, and besides {_listed(extra)}", remove=extra)
        return LayerDecision(UNCHANGED, f"already has {wanted}")
    alias = _free_alias(found)
    if removable:
        return LayerDecision(REPLACED, f"{_listed(removable)} -> {wanted}", add=wanted, alias=alias, remove=removable)
    return LayerDecision(ADDED, f"had no RNG{' of ours' if found else ''} -> {wanted}", add=wanted, alias=alias)


def _match(found: Devices, wanted: RngDevice) -> Optional[FoundDevice]:
    """The device to keep: by alias first, else by content, whoever put it there."""
    equal = [item for item in found if item.device == wanted]
    own = [item for item in equal if is_own(item)]
    return next(iter(own or equal), None)


def _free_alias(found: Devices) -> str:
    """The lowest free name. Runs that race pick the same one, and the hypervisor admits only one of them."""
    taken = {item.alias for item in found}
    names = [OWN_ALIAS, *(f"{OWN_ALIAS}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _why_not_live(guest: ObservedGuest, layer: LayerDecision, capabilities: Capabilities, live: bool) -> str:
    if not live:
        return "live changes are switched off"
    if not capabilities.hotplug:
        return guest.blocked_on(LIVE) or "this hypervisor cannot hot-plug an RNG"
    return guest.blocked_on(LIVE) if layer.add is not None else ""


def _no_room(found: Optional[Devices], layer: LayerDecision, capabilities: Capabilities) -> str:
    """Why the new device would take the place of one that has to stay."""
    kept = tuple(item for item in found or () if not any(item is gone for gone in layer.remove))
    if capabilities.slots is None or layer.add is None or len(kept) < capabilities.slots:
        return ""
    return f"there is room for {capabilities.slots} RNG only, and somebody else put {_listed(kept)} there"


def _cannot_carry(wanted: Optional[RngDevice], capabilities: Capabilities) -> str:
    if wanted is None:
        return ""
    if wanted.source.kind not in capabilities.sources:
        return f"source {wanted.source}: this hypervisor offers {', '.join(capabilities.sources)}"
    paths = capabilities.paths if wanted.source.kind == "random" else None
    if paths is not None and wanted.source.path not in paths:
        return f"source {wanted.source}: this hypervisor offers only {', '.join(paths)}"
    if wanted.rate.max_bytes is not None and not capabilities.rates:
        return f"max_bytes {wanted.rate.max_bytes}: this hypervisor cannot limit the rate; only unlimited is possible"
    if wanted.rate.max_bytes is not None and wanted.rate.max_bytes > capabilities.max_bytes:
        return f"max_bytes {wanted.rate.max_bytes}: this hypervisor allows at most {capabilities.max_bytes}"
    if wanted.model not in capabilities.models:
        return f"model {wanted.model}: this hypervisor offers {', '.join(capabilities.models) or 'no choice'}"
    unknown = [name for name, dummy in wanted.driver if name not in capabilities.driver_options]
    if unknown:
        return f"driver {', '.join(unknown)}: this hypervisor offers {', '.join(capabilities.driver_options) or 'none'}"
    return ""


def _cannot_start(wanted: Optional[RngDevice], guest: ObservedGuest) -> str:
    """libvirt takes this combination into a config, and QEMU refuses it at the guest's next start (seen: 7.2)."""
    if wanted is None or not dict(wanted.driver).get("iommu"):
        return ""
    legacy = wanted.model == "virtio" and (guest.machine == "pc" or guest.machine.startswith(_CONVENTIONAL_PCI))
    if wanted.model != "virtio-transitional" and not legacy:
        return ""
    return (
        f"driver iommu: model {wanted.model} also serves drivers from before virtio 1.0 on machine {guest.machine}, "
        "and the guest would not start; virtio-non-transitional can have it"
    )


def _unwise(wanted: Optional[RngDevice], guest: ObservedGuest) -> str:
    unit = request_bytes(guest.arch)
    if wanted is None or wanted.rate.max_bytes is None or wanted.rate.max_bytes % unit == 0:
        return ""
    return f"max_bytes {wanted.rate.max_bytes} is not a multiple of {unit}, which stalls readers in newer Linux guests"


def _refused(guest: ObservedGuest, why: str) -> Decision:
    return replace(_left_alone(guest, why), error=why)


def _left_alone(guest: ObservedGuest, why: str) -> Decision:
    config = LayerDecision(NOT_APPLICABLE if guest.config is None else UNCHANGED, why)
    live = LayerDecision(NOT_APPLICABLE if guest.live is None else UNCHANGED, why)
    return Decision(config, live)


def _listed(found: Devices) -> str:
    return " + ".join(str(item) for item in found)
