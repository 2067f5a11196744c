# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a snapshot to values: the one place that knows what the files of sysfs and procfs mean on which kernel.

Pure, and total: any snapshot gives a result; what is unknown is None. Every text in it is bounded and printable, since
a guest's files are in the hands of the guest.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Dict, List, Optional, Tuple

from ..text import printable
from .broker import interpret_broker
from .broker_findings import judge_broker
from .findings import Facts, judge
from .probe import DAEMONS, SLICES, Snapshot

_HW_RANDOM = "/sys/devices/virtual/misc/hw_random/"
_RANDOM = "/proc/sys/kernel/random/"
_VIRTIO_ENTROPY = 4  # the device id that the virtio specification gives to an entropy source
_MOST_ITEMS = 64

Version = Optional[Tuple[int, int, int]]


def interpret(snapshot: Snapshot) -> Dict[str, Any]:
    """Return the value ``rng`` of ``rng_info``, findings included."""
    virtual, virtual_why = _virtual(snapshot)
    container = _container(snapshot)
    role, role_why = _role(snapshot, virtual, virtual_why, container)
    release, arch = _kernel(snapshot)
    version = _version(release)
    entropy_avail = _number(snapshot, _RANDOM + "entropy_avail")
    poolsize = _number(snapshot, _RANDOM + "poolsize")
    meaning = _entropy_meaning(poolsize, version)
    ready, ready_why = _crng_ready(entropy_avail, poolsize, meaning, version)
    rng: Dict[str, Any] = {
        "available": _available(snapshot),
        "current": _current(snapshot),
        "selected": _flag(snapshot, _HW_RANDOM + "rng_selected"),
        "quality": _number(snapshot, _HW_RANDOM + "rng_quality"),
        "hwrng": _hwrng(snapshot.get("hwrng")),
        "entropy_avail": entropy_avail,
        "poolsize": poolsize,
        "entropy_meaning": meaning,
        "crng_ready": ready,
        "crng_why": ready_why,
        "cpu": _cpu(snapshot),
        "kernel": {"release": release, "arch": arch},
        "os": _os(snapshot),
        "arguments": _arguments(snapshot),
        "fips": _fips(snapshot),
        "virtio_rng": _virtio_rng(snapshot),
        "virtio_devices": _virtio_devices(snapshot),
        "daemons": _daemons(snapshot),
        "broker": interpret_broker(snapshot),
        "role": role,
        "role_why": role_why,
        "unreadable": _unreadable(snapshot),
    }
    blocks = _RANDOM + "read_wakeup_threshold" in snapshot  # 5.6 removed both, the file and the waiting
    current_known = _HW_RANDOM + "rng_current" in snapshot
    facts = Facts(rng, version, virtual, container is not None, blocks, current_known)
    rng["findings"] = judge(facts) + judge_broker(rng["broker"])
    return rng


def unseen(why: str) -> Dict[str, Any]:
    """The value of a hypervisor that is only asked from another machine, whose own files say nothing about it."""
    rng = interpret({})
    return {
        **rng,
        "crng_why": why,
        "hwrng": {**rng["hwrng"], "why": why},
        "role": "host",
        "role_why": "it is a hypervisor",
        "unreadable": [{"path": "/", "reason": printable(why)}],
    }


# Small readers -------------------------------------------------------------------------------------------------------


def _word(snapshot: Snapshot, path: str, limit: int = 100) -> Optional[str]:
    """The content of a one-line file, None when there is none."""
    text = snapshot.get(path, "").strip()
    return printable(text, limit) if text else None


def _number(snapshot: Snapshot, path: str) -> Optional[int]:
    text = snapshot.get(path, "").strip()
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _flag(snapshot: Snapshot, path: str) -> Optional[bool]:
    number = _number(snapshot, path)
    return bool(number) if number in (0, 1) else None


def _fields(text: str) -> Dict[str, str]:
    """The first ``name : value`` of each name in /proc/cpuinfo or /proc/sysinfo."""
    fields: Dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            fields.setdefault(name.strip(), value.strip())
    return fields


def _cpuinfo(snapshot: Snapshot) -> Dict[str, str]:
    return _fields(snapshot.get("/proc/cpuinfo", ""))


# The hardware RNG ----------------------------------------------------------------------------------------------------


def _available(snapshot: Snapshot) -> Optional[List[str]]:
    path = _HW_RANDOM + "rng_available"
    if path in snapshot:
        names = [printable(name, 100) for name in snapshot[path].split()[:_MOST_ITEMS]]
        return [name for name in names if name != "none"]
    # Without the file the kernel has no hw_random; without sysfs, or without the right to read it, nobody knows.
    return [] if "/sys/bus" in snapshot and "!" + path not in snapshot else None


def _current(snapshot: Snapshot) -> Optional[str]:
    current = _word(snapshot, _HW_RANDOM + "rng_current")
    return None if current == "none" else current


def _hwrng(seen: Optional[str]) -> Dict[str, Any]:
    if seen is None:
        return {"present": None, "readable": None, "why": "not looked at"}
    if seen in ("missing", "not a character device"):
        return {"present": False, "readable": False, "why": f"/dev/hwrng is {seen}"}
    if seen == "byte":
        return {"present": True, "readable": True, "why": "a read gave a byte"}
    if seen == "untested":
        return {"present": True, "readable": None, "why": "the machine has no dd to read with"}
    why = "no answer within a second" if seen == "timeout" else printable(seen, 100)
    return {"present": True, "readable": False, "why": why}


def _virtio_rng(snapshot: Snapshot) -> Optional[str]:
    """How the driver got there: a driver that is registered and has no loaded module is built into the kernel."""
    if "/sys/module/virtio_rng/initstate" in snapshot:
        return "loaded"
    if "/sys/bus/virtio/drivers/virtio_rng" in snapshot:
        return "builtin"
    return "missing" if "/sys/bus" in snapshot else None


def _virtio_devices(snapshot: Snapshot) -> List[str]:
    found = []
    for path, text in sorted(snapshot.items()):
        match = re.fullmatch("/sys/bus/virtio/devices/([^/]+)/device", path)
        if match and re.fullmatch(f"0x0*{_VIRTIO_ENTROPY}", text.strip()):
            found.append(printable(match.group(1), 100))
    return found[:_MOST_ITEMS]


# The kernel ----------------------------------------------------------------------------------------------------------


def _kernel(snapshot: Snapshot) -> Tuple[Optional[str], Optional[str]]:
    uname = snapshot.get("uname", "").split()
    release = _word(snapshot, "/proc/sys/kernel/osrelease")
    arch = _word(snapshot, "/proc/sys/kernel/arch")  # since 6.1
    if len(uname) == 3:
        return release or printable(uname[1], 100), printable(uname[2], 100)
    return release, arch or _arch_of_cpu(snapshot)


def _arch_of_cpu(snapshot: Snapshot) -> Optional[str]:
    """The architecture by the looks of /proc/cpuinfo, for trees recorded of a kernel that has no other file for it."""
    cpu = _cpuinfo(snapshot)
    if "flags" in cpu:
        return "x86_64" if "lm" in cpu["flags"].split() else "i686"
    if cpu.get("vendor_id") == "IBM/S390":
        return "s390x"
    if cpu.get("CPU architecture") == "8":
        return "aarch64"
    return "ppc64le" if cpu.get("cpu", "").startswith("POWER") else None


def _os(snapshot: Snapshot) -> Optional[Dict[str, str]]:
    """Which distribution it is, by os-release(5); empty texts for what that file leaves out, None without it."""
    if "/etc/os-release" not in snapshot:
        return None
    fields = {"ID": "", "VERSION_ID": "", "NAME": ""}
    for line in snapshot["/etc/os-release"].split("\n"):
        name, equals, value = line.strip().partition("=")
        if equals and name in fields:
            try:
                fields[name] = printable(" ".join(shlex.split(value)), 100)
            except ValueError:  # a quote that is not closed
                fields[name] = printable(value, 100)
    return {"id": fields["ID"], "version": fields["VERSION_ID"], "name": fields["NAME"]}


def _version(release: Optional[str]) -> Version:
    match = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?", release or "")
    return (int(match.group(1)), int(match.group(2)), int(match.group(3) or 0)) if match else None


def _entropy_meaning(poolsize: Optional[int], version: Version) -> Optional[str]:
    """Whether ``entropy_avail`` stays at 256 once the generator is ready, or is an estimate that reads draw down.

    The pool of 256 bits came with 5.17, the constant with 5.19, and stable and vendor kernels as old as 4.9 got both
    together: there the size of the pool tells. Only 5.17 and 5.18 may have the one without the other.
    """
    if poolsize is not None:
        between = version is not None and (5, 17, 0) <= version < (5, 19, 0)
        return "constant" if poolsize == 256 and not between else "estimate"
    return "constant" if version is not None and version >= (5, 19, 0) else None


def _crng_ready(
    entropy: Optional[int], poolsize: Optional[int], meaning: Optional[str], version: Version
) -> Tuple[Optional[bool], str]:
    if entropy is None or meaning is None:
        return None, "entropy_avail is not known, or not what it means on this kernel"
    if meaning == "constant":
        return entropy >= 256, f"entropy_avail is {entropy}: it counts to 256, and stays there once the kernel is ready"
    if version is None or version < (4, 8, 0):
        return None, "this kernel does not tell"
    enough = 256 if poolsize == 256 else 128
    if entropy >= enough:
        return True, f"entropy_avail is {entropy}, and the kernel initializes its generator at {enough}"
    return None, f"entropy_avail is {entropy}, an estimate that reads draw down: it may have been higher"


def _cpu(snapshot: Snapshot) -> Optional[List[str]]:
    """The first processor's instructions for random numbers; None where /proc/cpuinfo does not tell, as on s390x."""
    cpu = _cpuinfo(snapshot)
    if not any(name in cpu for name in ("flags", "Features", "cpu")):  # x86, ARM, POWER
        return None
    flags = cpu.get("flags", "").split()
    found: List[str] = [name for name in ("rdrand", "rdseed") if name in flags]
    if "rng" in cpu.get("Features", "").split():
        found.append("rndr")
    if re.match("POWER(9|1[0-9])", cpu.get("cpu", "")):
        found.append("darn")
    return found


def _arguments(snapshot: Snapshot) -> Optional[Dict[str, str]]:
    """The kernel arguments that bear on random numbers; the empty text for one without a value."""
    if "/proc/cmdline" not in snapshot:
        return None
    arguments = {}
    for argument in re.findall(r'(?:"[^"]*"?|[^\s"])+', snapshot["/proc/cmdline"]):
        if argument == "--":  # the rest is for init
            break
        name, _equals, value = argument.replace('"', "").partition("=")
        name = name.replace("-", "_")  # the kernel takes both for the same
        if name in ("nordrand", "fips") or re.match(r"(random|rng_core|virtio_rng)\.", name):
            arguments[printable(name, 60)] = printable(value, 60)
    return dict(sorted(arguments.items())[:_MOST_ITEMS])


def _fips(snapshot: Snapshot) -> Optional[bool]:
    path = "/proc/sys/crypto/fips_enabled"
    if path in snapshot:
        return _flag(snapshot, path)
    # A kernel without FIPS support has no such file.
    return False if "/proc/sys/kernel/osrelease" in snapshot and "!" + path not in snapshot else None


def _daemons(snapshot: Snapshot) -> Optional[List[str]]:
    groups = ["/" + group for group in SLICES if "/" + group in snapshot]
    comms = {text.rstrip("\n") for path, text in snapshot.items() if re.fullmatch("/proc/[0-9]+/comm", path)}
    if not groups and not comms:
        return None
    return sorted(
        name
        for name, (comm, units) in DAEMONS.items()
        if comm in comms or any(f"{group}/{unit}.service" in snapshot for group in groups for unit in units)
    )


def _unreadable(snapshot: Snapshot) -> List[Dict[str, str]]:
    paths = sorted(path for path in snapshot if path.startswith("!"))[:_MOST_ITEMS]
    found = [{"path": printable(path[1:]), "reason": printable(snapshot[path])} for path in paths]
    if _daemons(snapshot) is None:
        found.append({"path": "/proc/*/comm", "reason": "the processes of others are hidden, or there is no procfs"})
    return found


# The role ------------------------------------------------------------------------------------------------------------

# Any of these is a hypervisor's own: libvirt's sockets, Proxmox VE's and Ganeti's state.
_HOST_MARKS = (
    "/run/libvirt/libvirt-sock",
    "/run/libvirt/virtqemud-sock",
    "/etc/pve/qemu-server",
    "/run/ganeti/kvm-hypervisor",
)
_CONTAINER_MARKS = (
    "/run/systemd/container",
    "/run/host/container-manager",
    "/run/.containerenv",
    "/run/secrets/kubernetes.io",
    "/var/run/secrets/kubernetes.io",
    "/dev/.lxc-boot-id",
    "/dev/lxd",
    "/dev/incus",
    "/.dockerenv",
)
_CONTAINER_GROUP = re.compile("docker|kubepods|libpod|containerd|/lxc/|/lxc[.]payload")
_VIRTUAL_DMI = re.compile(
    "QEMU|KVM|Bochs|VMware|VirtualBox|innotek|Xen|Parallels|BHYVE|OpenStack|Google Compute Engine|Virtual Machine"
    "|Apple Virtualization|RHEV|oVirt|Nutanix AHV",
    re.I,
)


def _container(snapshot: Snapshot) -> Optional[str]:
    """The path that gives a container away, or None."""
    if snapshot.get("/proc/2/comm", "").strip() == "kthreadd":
        return None  # the kernel's own threads are to be seen: a mark is then the left-over of an image
    for mark in _CONTAINER_MARKS:
        if mark in snapshot:
            return mark
    return "/proc/1/cgroup" if _CONTAINER_GROUP.search(snapshot.get("/proc/1/cgroup", "")) else None


def _virtual(snapshot: Snapshot) -> Tuple[Optional[bool], str]:
    """Whether a hypervisor is below, and the evidence."""
    cpu = _cpuinfo(snapshot)
    if "control_d" in snapshot.get("/proc/xen/capabilities", ""):
        return False, "Xen's control domain"
    if "hypervisor" in cpu.get("flags", "").split():
        return True, "the CPU reports a hypervisor"
    for path in ("/sys/hypervisor/type", "/proc/device-tree/hypervisor"):
        if path in snapshot:
            return True, path
    if any(name.startswith("VM00") for name in _fields(snapshot.get("/proc/sysinfo", ""))):
        return True, "/proc/sysinfo names a hypervisor"
    vendor, product = (snapshot.get(f"/sys/class/dmi/id/{name}", "") for name in ("sys_vendor", "product_name"))
    if "Amazon EC2" in vendor and not product.strip().endswith(".metal"):
        return True, "/sys/class/dmi/id/sys_vendor is Amazon EC2"
    for path in ("/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name"):
        if _VIRTUAL_DMI.search(snapshot.get(path, "")):
            return True, f"{path} is {_word(snapshot, path)}"
    if "flags" not in cpu and any(path.startswith("/sys/bus/virtio/devices/") for path in snapshot):
        return True, "it has virtio devices"
    return (False, "nothing tells of a hypervisor") if cpu else (None, "nothing is known about the machine")


def _role(
    snapshot: Snapshot, virtual: Optional[bool], virtual_why: str, container: Optional[str]
) -> Tuple[Optional[str], str]:
    """The job of the machine; one that runs guests is a host, also when it is itself a guest or in a container."""
    for mark in _HOST_MARKS:
        if mark in snapshot:
            return "host", f"{mark} exists"
    if "control_d" in snapshot.get("/proc/xen/capabilities", ""):
        return "host", virtual_why
    if container:
        return "container", f"{container} exists" if container != "/proc/1/cgroup" else container
    return ({True: "guest", False: "bare_metal"}.get(virtual) if virtual is not None else None), virtual_why
