# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of others about random numbers would say of a machine, and what is to be thought of that.

The result is that of the rule as it is written; the judgement beside it says where the rule is older than the kernel.
``docs/compliance.md`` has the sources and versions. Every machine is held against every rule, in one order. What is
said of a single machine is in ``why``; notes are the same for all machines that they fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = "pass", "fail", "unknown", "not applicable"
RESULTS = (PASS, FAIL, UNKNOWN, NOT_APPLICABLE)
AGREE, OUT_OF_DATE, DOES_NOT_APPLY = "agree", "out of date", "does not apply here"
JUDGEMENTS = (AGREE, OUT_OF_DATE, DOES_NOT_APPLY)

SCS_FAILURES = 5  # of 1000 blocks; so many are too many
LYNIS_ENTROPY = 200  # bits; so many are too few

# Distributions that are built from the sources of Red Hat Enterprise Linux and have its kernels.
_LIKE_RHEL = ("centos", "rocky", "almalinux")
_RHEL_VERSION = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,2}))?")
_RHEL_KERNEL = re.compile(r"\.el([0-9]{1,2})(?:_([0-9]{1,2}))?(?:\.|$)")

_CONSTANT = (
    "This kernel counts to 256 until its generator is ready, and says 256 ever after: "
    "the value tells that, and nothing about what feeds the generator."
)
_NOT_READY = "The kernel's generator is not ready yet."
_ESTIMATE = "On this kernel the value is an estimate that goes up and down; 256 would be a coincidence."
_NO_WAIT = "From Linux 5.6 on nothing waits for this estimate once the generator is ready."
_NEEDLESS = (
    "This kernel gets ready by itself, and nothing waits for entropy after that: a daemon adds nothing. "
    "Keep it where a policy asks for it."
)
_FIPS = "The unit of Red Hat's rngd does not start in FIPS mode, where the kernel's own DRBG does the work."
_BACKPORT = "The generator of 5.18 came to this older kernel with the updates of its branch."
_UNSEEN = "The CPU's instruction is a hardware RNG too, and this rule does not see it."
_OUTPUT = (
    "This tests what comes out of the kernel's generator, which looks random whatever feeds it: "
    "it can find a broken kernel, not a missing source."
)


@dataclass(frozen=True)
class Verdict:
    """What one rule makes of one machine."""

    result: str
    why: str
    judgement: str = AGREE
    note: str = ""


class Machine:
    """What the rules look at, from the value ``rng`` of ``rng_info``; what is not known there is None here."""

    def __init__(self, rng: Mapping[str, Any], fips_failures: int | None) -> None:
        self.fips_failures = fips_failures
        self.entropy: int | None = rng.get("entropy_avail")
        self.constant: bool | None = {"constant": True, "estimate": False}.get(rng.get("entropy_meaning") or "")
        self.cpu: list[str] | None = rng.get("cpu")
        self.fips: bool | None = rng.get("fips")
        self.daemons: list[str] | None = rng.get("daemons")
        self.current: str | None = rng.get("current")
        self.container = rng.get("role") == "container"
        self.draws = rng.get("quality") != 0  # by itself; before Linux 5.18 nobody can tell, and drivers say yes
        self.available = len(rng.get("available") or ())
        unread = any(str(item.get("path")).endswith("rng_current") for item in rng.get("unreadable") or ())
        self.current_known = rng.get("available") is not None and not unread
        self.release = printable(str((rng.get("kernel") or {}).get("release") or ""), 60)
        self.version = _numbers(self.release)
        self.system, self.rhel = _system(rng.get("os"), self.release)
        self.like_rhel = (rng.get("os") or {}).get("id") in _LIKE_RHEL

    @property
    def helps_itself(self) -> bool:
        """Whether no reader waits for entropy: from 5.6 on, and where a branch got the generator of 5.19."""
        return self.version >= (5, 6) or self.constant is True

    @property
    def needs_no_rngd(self) -> bool:
        return self.helps_itself and self.draws


def _numbers(text: str) -> tuple[int, ...]:
    """The first two numbers of a version; empty, which is less than all, where there are none."""
    match = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", text)
    return (int(match.group(1)), int(match.group(2))) if match else ()


def _system(os: Mapping[str, str] | None, release: str) -> tuple[str, tuple[int, int | None]]:
    """What the machine runs, in words; and the release of Red Hat Enterprise Linux that it has or is like, else 0."""
    if os is None:
        kernel = _RHEL_KERNEL.search(release)
        if kernel is None:
            return "", (0, None)
        return f"a machine with a kernel of RHEL {kernel.group(1)}", _release(kernel)
    words = " ".join(part for part in (os.get("name") or os.get("id"), os.get("version")) if part)
    version = _RHEL_VERSION.fullmatch(os.get("version") or "")
    known = version is not None and os.get("id") in ("rhel", *_LIKE_RHEL)
    return printable(words or "a system without a name", 80), _release(version) if version and known else (0, None)


def _release(match: re.Match[str]) -> tuple[int, int | None]:
    return int(match.group(1)), int(match.group(2)) if match.group(2) else None


# SCS-0101 ------------------------------------------------------------------------------------------------------------


def _scs_kernel(machine: Machine) -> Verdict:
    if not machine.version:
        return Verdict(UNKNOWN, "the kernel's release is not known")
    why = f"the kernel is {machine.release}"
    if machine.version >= (5, 18):
        return Verdict(PASS, why)
    if machine.constant:
        return Verdict(FAIL, why, OUT_OF_DATE, _BACKPORT)
    return Verdict(FAIL, why, AGREE, "A recommendation of the standard, not a must.")


def _scs_cpu(machine: Machine) -> Verdict:
    if machine.cpu is None:
        return Verdict(UNKNOWN, "this machine does not show its CPU's instructions for random numbers")
    if machine.cpu:
        return Verdict(PASS, f"the CPU has {', '.join(printable(name, 20) for name in machine.cpu)}")
    note = "The kernel has a hardware RNG instead; the instruction would be there earlier at boot."
    return Verdict(FAIL, "the CPU shows no instruction for random numbers", AGREE, note if machine.current else "")


def _scs_entropy(machine: Machine) -> Verdict:
    if machine.entropy is None:
        return Verdict(UNKNOWN, "entropy_avail is not known")
    result, why = PASS if machine.entropy == 256 else FAIL, f"entropy_avail is {machine.entropy}"
    if machine.constant is None:
        return Verdict(result, why)
    return _of_constant(result, why) if machine.constant else Verdict(result, why, DOES_NOT_APPLY, _ESTIMATE)


def _of_constant(result: str, why: str) -> Verdict:
    """A rule about entropy_avail, on a kernel that has a constant for it."""
    return Verdict(result, why, OUT_OF_DATE, _CONSTANT) if result == PASS else Verdict(result, why, AGREE, _NOT_READY)


def _scs_rngtest(machine: Machine) -> Verdict:
    if machine.fips_failures is None:
        return Verdict(UNKNOWN, "rngtest -c 1000 was not run on /dev/random", AGREE, _OUTPUT)
    result = PASS if machine.fips_failures < SCS_FAILURES else FAIL
    return Verdict(result, f"{machine.fips_failures} of 1000 blocks failed", AGREE, _OUTPUT)


# The STIGs of RHEL ---------------------------------------------------------------------------------------------------


def _about_rhel(machine: Machine, major: int) -> Verdict | None:
    """Why the rules for this release of RHEL are not for this machine; None when they are."""
    if not machine.system:
        return Verdict(UNKNOWN, "which distribution this is, is not known")
    if machine.rhel[0] != major:
        return Verdict(NOT_APPLICABLE, f"this is {machine.system}")
    if machine.container:
        return Verdict(NOT_APPLICABLE, "this is a container; its host is to be judged")
    return None


def _rngd(machine: Machine, major: int, running: str, stopped: Verdict) -> Verdict:
    """A rule that a running rngd fulfils; ``stopped`` is what else becomes of it."""
    other = _about_rhel(machine, major)
    if other is not None:
        return other
    judgement, note = (OUT_OF_DATE, _NEEDLESS) if machine.needs_no_rngd else (AGREE, "")
    if machine.daemons is None:
        found = Verdict(UNKNOWN, "its services were not to be seen")
    elif "rngd" in machine.daemons:
        found = Verdict(PASS, running)
    else:
        found = stopped
    system = machine.system + (", judged as if it were RHEL" if machine.like_rhel else "")
    return Verdict(found.result, f"{system}: {found.why}", judgement, note)


def _except_in_fips_mode(machine: Machine, major: int, verdict: Verdict) -> Verdict:
    """The rules' own exception, which on RHEL 8 counts from 8.4 on."""
    minor = machine.rhel[1]
    if machine.rhel[0] != major or machine.container or (major == 8 and minor is not None and minor < 4):
        return verdict
    system = verdict.why.partition(": ")[0]
    if machine.fips:
        return Verdict(NOT_APPLICABLE, f"{system}: the kernel is in FIPS mode", AGREE, _FIPS)
    if machine.fips is None and verdict.result == FAIL:
        return replace(verdict, result=UNKNOWN, why=f"{system}: whether the kernel is in FIPS mode is not known")
    return verdict


_STOPPED = Verdict(FAIL, "rngd does not run")
_NO_PACKAGE = Verdict(UNKNOWN, "rngd does not run, and packages are not looked at")


def _rhel8_service(machine: Machine) -> Verdict:
    verdict = _rngd(machine, 8, "rngd runs; that it does at boot was not looked at", _STOPPED)
    return _except_in_fips_mode(machine, 8, verdict)


def _rhel8_package(machine: Machine) -> Verdict:
    return _except_in_fips_mode(machine, 8, _rngd(machine, 8, "rngd runs, so it is installed", _NO_PACKAGE))


def _rhel9_service(machine: Machine) -> Verdict:
    return _except_in_fips_mode(machine, 9, _rngd(machine, 9, "rngd runs", _STOPPED))


def _rhel9_package(machine: Machine) -> Verdict:
    """Unlike the others, this rule has no exception for FIPS mode in its own text."""
    verdict = _rngd(machine, 9, "rngd runs, so it is installed", _NO_PACKAGE)
    judged = verdict.result in (PASS, UNKNOWN) and machine.rhel[0] == 9
    return replace(verdict, judgement=DOES_NOT_APPLY, note=_FIPS) if judged and machine.fips else verdict


# Lynis ---------------------------------------------------------------------------------------------------------------


def _lynis_entropy(machine: Machine) -> Verdict:
    if machine.entropy is None:
        return Verdict(UNKNOWN, "entropy_avail is not known")
    result, why = PASS if machine.entropy > LYNIS_ENTROPY else FAIL, f"entropy_avail is {machine.entropy}"
    if machine.constant:
        return _of_constant(result, why)
    return Verdict(result, why, OUT_OF_DATE, _NO_WAIT) if machine.helps_itself else Verdict(result, why)


def _lynis_hardware(machine: Machine) -> Verdict:
    if machine.current is None and not machine.current_known:
        return Verdict(UNKNOWN, "the kernel's hardware RNG could not be read")
    if machine.current is None:
        if machine.available:
            return Verdict(FAIL, f"the kernel uses none of its hardware RNGs ({machine.available})")
        why = "the kernel has no hardware RNG"
        return Verdict(FAIL, why, OUT_OF_DATE, _UNSEEN) if machine.cpu else Verdict(FAIL, why)
    judgement, note = (OUT_OF_DATE, _NEEDLESS) if machine.needs_no_rngd else (AGREE, "")
    name = printable(machine.current, 60)
    if machine.daemons is None:
        return Verdict(UNKNOWN, f"the kernel uses {name}; the processes were not to be seen", judgement, note)
    runs = "rngd" in machine.daemons
    why = f"the kernel uses {name}, and rngd {'runs' if runs else 'does not run'}"
    return Verdict(PASS if runs else FAIL, why, judgement, note)


def _lynis_software(machine: Machine) -> Verdict:
    judgement, note = (OUT_OF_DATE, _NEEDLESS) if machine.helps_itself else (AGREE, "")
    if machine.daemons is None:
        return Verdict(UNKNOWN, "the processes were not to be seen", judgement, note)
    found = [name for name in ("haveged", "jitterentropy-rngd") if name in machine.daemons]
    if found:
        return Verdict(PASS, f"{' and '.join(found)} {'run' if len(found) > 1 else 'runs'}", judgement, note)
    why = "neither haveged nor jitterentropy-rngd runs; audio-entropyd is not looked for"
    return Verdict(FAIL, why, judgement, note)


@dataclass(frozen=True)
class Rule:
    """One rule of somebody else."""

    id: str
    title: str
    judge: Callable[[Machine], Verdict]


RULES = (
    Rule("SCS-0101-kernel", "SCS-0101 v1.1: images with Linux 5.18 or newer are recommended", _scs_kernel),
    Rule("SCS-0101-cpu", "SCS-0101 v1.1: the CPU's instructions for random numbers are there, unfiltered", _scs_cpu),
    Rule("SCS-0101-entropy-avail", "SCS-0101 v1.1: entropy_avail is 256", _scs_entropy),
    Rule("SCS-0101-fips-test", "SCS-0101 v1.1: rngtest finds fewer than 5 of 1000 blocks bad", _scs_rngtest),
    Rule("RHEL-08-010471", "RHEL 8 STIG: rngd is enabled and runs", _rhel8_service),
    Rule("RHEL-08-010472", "RHEL 8 STIG: the package rng-tools is installed", _rhel8_package),
    Rule("RHEL-09-211035", "RHEL 9 STIG: rngd runs", _rhel9_service),
    Rule("RHEL-09-215090", "RHEL 9 STIG: the package rng-tools is installed", _rhel9_package),
    Rule("CRYP-8002", "Lynis: the kernel has more than 200 bits of entropy", _lynis_entropy),
    Rule("CRYP-8004", "Lynis: the kernel uses a hardware RNG, and rngd runs", _lynis_hardware),
    Rule("CRYP-8005", "Lynis: a software entropy daemon runs", _lynis_software),
)


def compliance(rng: Mapping[str, Any], fips_failures: int | None = None) -> list[dict[str, Any]]:
    """Every rule as ``{id, title, result, why, judgement, note}`` for one machine.

    :param rng: the value ``rng`` of ``rng_info``, the ``host`` of an ``X_rng_info`` module, or a guest's own view.
    :param fips_failures: how many of 1000 blocks of /dev/random failed FIPS 140-2, as ``rngtest -c 1000`` counts them.
    """
    machine = Machine(rng, fips_failures)
    return [
        {
            "id": rule.id,
            "title": rule.title,
            "result": verdict.result,
            "why": verdict.why,
            "judgement": verdict.judgement,
            "note": verdict.note,
        }
        for rule, verdict in ((rule, rule.judge(machine)) for rule in RULES)
    ]
