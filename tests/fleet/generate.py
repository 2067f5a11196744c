# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets of any size, as their runs would have registered them: always the same ones for the same numbers.

They have guests of every state, verdict and outcome, hypervisors that could not be reached, and names that nobody would
choose and everybody may.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

from ansible_collections.fleet.rng.plugins.plugin_utils.report.collect import Inventory, Registered, collect

from fleet import broker

COLLECTED = "2026-11-21T12:00:00Z"
NASTY = (
    "<script>alert(1)</script>",
    "{{ 7*7 }}",
    "abc\u202edefg",
    "\u05d0\u05d1\u05d2",
    "\U0001f480\U0001f3f3\ufe0f\u200d\U0001f308",
    "x" * 255,
    '=cmd|" /C calc"!A0',
    "</textarea><img src=x onerror=alert(2)>",
    "a'b\"c&d<e>;`f`$(g)\\",
    "]]> --> */ </style>",
    "-rm",
    "5",
)
GROUPS = ("web", "db", "batch", "legacy", "mail", "<b>bold</b>")
RATES: tuple[int | str, ...] = (1024, 4096, "unlimited")
CHECKS = ("config", "live", "source", "rate", "driver", "current", "open", "measured")
KERNELS = ("6.1.0-56-amd64", "5.14.0-503.el9.x86_64", "4.18.0-553.el8_10.x86_64", "6.12.74-1-lts")
SYSTEMS = (
    ("debian", "Debian GNU/Linux", "12"),
    ("rhel", "Red Hat Enterprise Linux", "9.5"),
    ("alpine", "Alpine", "3.22"),
)
# verdict, what the run did to the guest, weight
FATES = (
    ("verified", "unchanged", 70),
    ("verified", "added", 10),
    ("verified", "replaced", 4),
    ("failed", "unchanged", 3),
    ("waiting", "needs_restart", 3),
    ("waiting", "pending_removal", 1),
    ("unproven", "unchanged", 3),
    ("off", "added", 2),
    ("unmanaged", "unchanged", 2),
    ("failed", "refused", 1),
    ("failed", "error", 1),
)


def documents(hypervisors: int, guests: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """The host documents of a fleet of ``hypervisors`` with ``guests`` guests each."""
    for registered, inventory in fleet(hypervisors, guests, seed):
        yield collect(registered, inventory, _compliance, collected=COLLECTED, check_mode=False)


def fleet(hypervisors: int, guests: int, seed: int = 1) -> Iterator[tuple[Registered, Inventory]]:
    """What a run of enable and verify would have registered, hypervisor by hypervisor."""
    for number in range(hypervisors):
        # S311: these are test data, and have to be the same in every run
        yield _Host(number, guests, random.Random(seed * 1_000_003 + number)).registered()  # noqa: S311


def _compliance(rng: Any) -> list[dict[str, Any]]:
    ready = rng["crng_ready"]
    scs = {"id": "SCS-0101", "title": "Entropy on compute hosts", "result": "pass" if ready else "fail"}
    sound = {"judgement": "agree", "note": "What it asks for is there."}
    lynis = {"id": "CRYP-8004", "title": "A running entropy daemon", "result": "fail", "why": "no rngd runs"}
    old = {"judgement": "out of date", "note": "The kernel feeds itself from the hardware RNG since 3.17."}
    return [{**scs, "why": "entropy_avail is 256", **sound}, {**lynis, **old}]


class _Host:
    """One hypervisor on its way to what a run registers of it."""

    def __init__(self, number: int, guests: int, dice: random.Random) -> None:
        self.dice = dice
        self.number = number
        self.name = f"hv{number:04}.example.com"
        self.fates = [self._fate() for dummy in range(guests)]
        self.names = [self._name(index) for index in range(guests)]
        self.groups = {name: self._groups() for name in self.names}

    def _fate(self) -> tuple[str, str]:
        verdict, outcome, dummy = self.dice.choices(FATES, [weight for dummy, dummy, weight in FATES])[0]
        return verdict, outcome

    def _name(self, index: int) -> str:
        if self.dice.random() < 0.03:
            return (
                f"{self.dice.choice(NASTY)[:247]}-{self.number}-{index}"[-255:]
                if index
                else NASTY[self.number % len(NASTY)]
            )
        return f"{self.dice.choice(GROUPS[:5])}-{self.number:04}-{index:02}"

    def _groups(self) -> list[str]:
        chosen = self.dice.choice(GROUPS if self.dice.random() < 0.1 else GROUPS[:5])
        return sorted({chosen, "guests", "production" if self.dice.random() < 0.7 else "staging"})

    def registered(self) -> tuple[Registered, Inventory]:
        groups = ["hypervisors", f"rack{self.number // 20:02}"]
        if self.number % 97 == 13:
            lost = {"unreachable": True, "msg": "Failed to connect to the host via ssh: <b>Connection refused</b>"}
            return Registered(
                self.name, groups, lost, self._plan([], error=f"not observed: {lost['msg']}")
            ), Inventory()
        guests = [self._guest(index) for index in range(len(self.names))]
        observation = {
            "changed": False,
            "host": self._with_broker(guests),
            "guests": [guest["before"] for guest in guests],
        }
        proof = {**observation, "guests": [guest["after"] for guest in guests]}
        results = [guest["result"] for guest in guests if guest["result"]]
        result: dict[str, Any] = {"changed": bool(results), "guests": results} if results else {"skipped": True}
        inventory = Inventory({name: chosen for name, chosen in self.groups.items() if name not in NASTY})
        return (
            Registered(self.name, groups, observation, self._plan(guests), result, proof, self._verification(guests)),
            inventory,
        )

    def _with_broker(self, guests: list[dict[str, Any]]) -> dict[str, Any]:
        host = self._host()
        if broker.has_broker(self.number):
            clients = [
                (guest["name"], guest["after"]["live"][0]["source"])
                for guest in guests
                if guest["before"]["running"] and guest["fate"][1] == "unchanged"
            ]
            host["broker"] = broker.broker(self.number, clients)
            host["findings"] = [*host["findings"], *broker.findings(host["broker"])]
        return host

    def _host(self) -> dict[str, Any]:
        tpm = self.number % 3 == 0
        kernel = KERNELS[self.number % len(KERNELS)]
        finding = {
            "id": "RNG005",
            "severity": "info",
            "subject": "/dev/hwrng",
            "message": "/dev/hwrng exists, and no hardware RNG is behind it: every read fails.",
            "remedy": "Do not give it to a guest as a source: QEMU aborts at the first failing read.",
            "evidence": {"available": []},
        }
        return {
            "available": ["tpm-rng-0"] if tpm else [],
            "current": "tpm-rng-0" if tpm else None,
            "selected": False,
            "quality": 1000 if tpm else None,
            "hwrng": {"present": True, "readable": tpm, "why": "a read gave a byte" if tpm else "No such device"},
            "entropy_avail": 256,
            "poolsize": 256,
            "entropy_meaning": "constant",
            "crng_ready": True,
            "crng_why": "entropy_avail is 256",
            "cpu": ["rdrand", "rdseed"],
            "kernel": {"release": kernel, "arch": "x86_64"},
            "arguments": {},
            "fips": False,
            "virtio_rng": "missing",
            "virtio_devices": [],
            "daemons": [],
            "broker": None,
            "role": "host",
            "role_why": "/sys/module/kvm exists",
            "unreadable": [],
            "findings": [] if tpm else [finding],
            "sources": {"/dev/urandom": None, "/dev/hwrng": None if tpm else "no hardware RNG is behind it"},
            "hypervisor": {"kind": "libvirt", "version": "9.0.0", "rng_models": None, "rng_backends": None},
        }

    def _guest(self, index: int) -> dict[str, Any]:
        """All that is known of one guest, before it is put where a run has it."""
        name, fate = self.names[index], self.fates[index]
        verdict, done = fate
        running = verdict != "off" and (done != "unchanged" or self.dice.random() < 0.97)
        wanted = self._device(self.dice.choice(RATES))
        if broker.has_broker(self.number) and done == "unchanged":
            wanted["source"] = broker.source(index)
        old = [] if done in ("added", "needs_restart") else [{**self._device(2048), "alias": "rng0"}]
        mine = {**wanted, "alias": "ua-fleet-rng"}
        new = [mine] if done in ("added", "replaced", "unchanged", "needs_restart", "pending_removal") else old
        before = new if done == "unchanged" else old
        live = {"needs_restart": old, "pending_removal": [*old, *new]}.get(done, new)
        status = {"refused": "unchanged", "error": "unchanged", "needs_restart": "added", "pending_removal": "replaced"}
        config = status.get(done, done)
        at_run = done if done in ("needs_restart", "pending_removal") else config
        entry = {
            "guest": name,
            "config": config,
            "live": at_run if running else "not_applicable",
            "reason": {"needs_restart": "no free PCIe port (pcie-root-port)"}.get(
                done, f"no RNG -> {wanted['max_bytes']} B"
            ),
        }
        error = "source /dev/hwrng: no hardware RNG is behind it" if done == "error" else None
        identity = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        base = {"name": name, "uuid": identity, "running": running, "persistent": True, "arch": "x86_64"}
        base = {**base, "machine": "pc-q35-7.2", "blocked": {}, "guest_view": None, "host_view": None, "notes": []}
        seen = {**base, "error": None, "config": before, "live": before if running else None}
        return {
            "name": name,
            "fate": fate,
            "wanted": None if verdict == "unmanaged" or done == "refused" else wanted,
            "entry": entry,
            "before": seen,
            "after": {
                **seen,
                "config": new,
                "live": live if running else None,
                "guest_view": self._view(fate, wanted, running),
            },
            "result": None
            if done in ("unchanged", "refused")
            else {**entry, "changed": not error or self.dice.random() < 0.5, "error": error},
            "uuid": identity,
        }

    def _device(self, max_bytes: int | str) -> dict[str, Any]:
        return {"source": "/dev/urandom", "max_bytes": max_bytes, "period": 1000, "model": "virtio", "driver": {}}

    def _view(self, fate: tuple[str, str], wanted: dict[str, Any], running: bool) -> dict[str, Any] | None:
        verdict, dummy = fate
        if not running:
            return {
                "status": "not running",
                "why": None,
                "via": "agent",
                "os": None,
                "driver": None,
                "rng": None,
                "measured": None,
            }
        if verdict == "unproven":
            status = self.dice.choice(("no agent", "timed out", "file reading disabled", "not Linux"))
            why = f"the agent said: {self.dice.choice(NASTY)[:80]}"
            return {
                "status": status,
                "why": why,
                "via": "agent",
                "os": None,
                "driver": None,
                "rng": None,
                "measured": None,
            }
        release = self.dice.choice(KERNELS)
        identifier, name, version = self.dice.choice(SYSTEMS)
        current = "tpm-rng-0" if verdict == "failed" else "virtio_rng.0"
        rng = {
            **self._host(),
            "available": ["virtio_rng.0"],
            "current": current,
            "kernel": {"release": release, "arch": "x86_64"},
        }
        rate = 1_900_000.0 if wanted["max_bytes"] == "unlimited" else wanted["max_bytes"] * self.dice.uniform(0.9, 1.05)
        sound = "no failure found"
        measured = {
            "status": "measured",
            "why": None,
            "bytes": int(rate * 5),
            "seconds": 5.0,
            "bytes_per_second": round(rate, 1),
            "health": {"repetition_count": sound, "adaptive_proportion": sound, "fips_140_2": "not run"},
        }
        return {
            "status": "seen",
            "why": None,
            "via": "agent",
            "os": {"id": identifier, "name": name, "version": version, "kernel": release},
            "driver": True,
            "rng": rng,
            "measured": measured if self.dice.random() < 0.5 else None,
        }

    def _plan(self, guests: list[dict[str, Any]], error: str | None = None) -> dict[str, Any]:
        entries, devices, refused = [], [], []
        for guest in guests:
            verdict, done = guest["fate"]
            state = "unmanaged" if verdict == "unmanaged" else "refused" if done == "refused" else "present"
            reason = (
                "virtio_rng_max_bytes: 0 is not valid; allowed: an integer from 1"
                if done == "refused"
                else guest["entry"]["reason"]
            )
            known = None if guest["name"] in NASTY else guest["name"]
            entries.append(
                {
                    **guest["entry"],
                    "reason": reason,
                    "inventory": known,
                    "state": state,
                    "wanted": guest["wanted"],
                    "from": {},
                    "obstacles": [],
                }
            )
            if guest["result"]:
                devices.append({"guest": guest["name"], "state": "present", **(guest["wanted"] or {})})
            if done == "refused":
                refused.append({"guest": guest["name"], "reason": reason})
        budget = {"bytes_per_second": 65536, "promised": self.dice.randrange(65536), "guests": len(guests)}
        plan = {
            "devices": devices,
            "guests": entries,
            "refused": refused,
            "total": len(guests),
            "in_sync": len(guests) - len(devices) - len(refused),
            "unmanaged": 0,
            "budget": budget if self.number % 2 and not error else None,
            "policies": [],
            "error": error,
            "failure": error,
        }
        warnings = [f"{self.name}: its budget does not count the guests that were refused (1)"] if refused else []
        return {"hosts": {self.name: plan}, "unknown_guests": [], "warnings": warnings}

    def _verification(self, guests: list[dict[str, Any]]) -> dict[str, Any]:
        entries = []
        for guest in guests:
            verdict, dummy = guest["fate"]
            known = None if guest["name"] in NASTY else guest["name"]
            result = {"failed": "fail", "unproven": "unknown", "off": "not applicable", "unmanaged": "not applicable"}
            checks = {name: {"result": "pass", "message": "as the policy asks"} for name in CHECKS}
            checks["current"] = {"result": result.get(verdict, "pass"), "message": "the kernel draws from it"}
            finding = {
                "id": "RNG107",
                "severity": "warning",
                "subject": guest["name"],
                "message": "The guest draws from tpm-rng-0, and not from its virtio RNG.",
                "remedy": "Write virtio_rng.0 to /sys/class/misc/hw_random/rng_current in the guest.",
                "evidence": {"current": "tpm-rng-0"},
            }
            entries.append(
                {
                    "guest": guest["name"],
                    "uuid": guest["uuid"],
                    "inventory": known,
                    "verdict": verdict,
                    "reason": f"{verdict}: {finding['message'] if verdict == 'failed' else 'all checks'}",
                    "checks": checks,
                    "findings": [finding] if verdict == "failed" else [],
                }
            )
        return {"hosts": {self.name: {"error": None, "counts": {}, "total": len(guests), "guests": entries}}}
