# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a machine, and the two ways to read it: a POSIX sh probe, and Python for modules that run there.

Both give the same snapshot, a flat mapping of text:

======================  ==========================================================================================
``/path``               the file's content; for a path of which only the existence counts, the empty text
``!/path``              why a file that exists could not be read, for example ``Permission denied``
``uname``               system, release and machine as ``uname -srm`` prints them; only of the running machine
``hwrng``               ``missing``, ``not a character device``, ``byte`` when a read gave one, ``timeout``,
                        ``untested``, or why a read failed
``now``                 the running machine's clock in Unix time, where an entropy broker has its status file
======================  ==========================================================================================

Paths are given as seen from the root directory that is read, so a recorded tree gives the same keys as the machine.
"""

from __future__ import annotations

import os
import re
import shlex
import threading
from pathlib import Path
from typing import Callable, Dict, List

from ..errors import RngError
from ..text import printable
from .broker_file import BROKER, BROKER_LIMIT, NO_FILE, read_broker

Snapshot = Dict[str, str]

# Regular files; the stars match names that the kernel gives.
FILES = (
    "sys/devices/virtual/misc/hw_random/rng_available",
    "sys/devices/virtual/misc/hw_random/rng_current",
    "sys/devices/virtual/misc/hw_random/rng_selected",
    "sys/devices/virtual/misc/hw_random/rng_quality",
    "sys/bus/virtio/devices/*/device",
    "sys/hypervisor/type",
    "sys/class/dmi/id/sys_vendor",
    "sys/class/dmi/id/product_name",
    "proc/sys/kernel/random/entropy_avail",
    "proc/sys/kernel/random/poolsize",
    "proc/sys/kernel/random/read_wakeup_threshold",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/arch",
    "proc/sys/crypto/fips_enabled",
    "proc/cmdline",
    "proc/cpuinfo",
    "proc/sysinfo",
    "proc/xen/capabilities",
    "proc/1/comm",
    "proc/2/comm",
    "proc/1/cgroup",
    "run/systemd/container",
    "etc/os-release",
)

# Daemons that feed the kernel: the name of the process (the kernel keeps 15 characters), and the units that start it.
DAEMONS = {
    "rngd": ("rngd", ("rngd", "rng-tools", "rng-tools-debian", "rng-tools5")),
    "haveged": ("haveged", ("haveged",)),
    "jitterentropy-rngd": ("jitterentropy-r", ("jitterentropy", "jitterentropy-rngd")),
    "ekeyd": ("ekeyd", ("ekeyd",)),
    "infnoise": ("infnoise", ("infnoise",)),
}
# systemd's control group of services: version 2, and version 1 as it and its hybrid form have it. Where one of them is,
# a unit is active exactly when it has a group of its own; elsewhere the names of all processes are compared.
SLICES = ("sys/fs/cgroup/system.slice", "sys/fs/cgroup/systemd/system.slice", "sys/fs/cgroup/unified/system.slice")
UNITS = tuple(f"{unit}.service" for _comm, units in DAEMONS.values() for unit in units)
COMMS = tuple(comm for comm, _units in DAEMONS.values())

# Files and directories of which only the existence counts.
MARKS = (
    "sys/bus",
    "sys/bus/virtio/drivers/virtio_rng",
    "sys/module/virtio_rng/initstate",
    ".dockerenv",
    "run/.containerenv",
    "run/host/container-manager",
    "run/secrets/kubernetes.io",
    "var/run/secrets/kubernetes.io",
    "dev/.lxc-boot-id",
    "dev/lxd",
    "dev/incus",
    "proc/device-tree/hypervisor",
    "run/libvirt/libvirt-sock",
    "run/libvirt/virtqemud-sock",
    "etc/pve/qemu-server",
    "run/ganeti/kvm-hypervisor",
    *SLICES,
    *(f"{group}/{unit}" for group in SLICES for unit in UNITS),
)

LINES_PER_FILE = 64  # one processor of /proc/cpuinfo fits; every other file has a line or a few
LINE_LIMIT = 8192
OUTPUT_LIMIT = 256 * 1024
READ_SECONDS = 1  # a working /dev/hwrng answers in milliseconds; a starved one never does


class ProbeError(RngError):
    """The machine's answer is not that of the probe, or not whole."""


class UnsupportedSystemError(ProbeError):
    """The machine answered, and it is not Linux."""


# In Python, on the machine -------------------------------------------------------------------------------------------


def collect(root: str = "/") -> Snapshot:
    """Read what the probe reads, from the machine that this runs on or from a tree recorded of another."""
    base = Path(root)
    snapshot = {"/" + name: "" for name in MARKS if _holds((base / name).exists)}
    for pattern in FILES:
        for path in sorted(base.glob(pattern)) if "*" in pattern else [base / pattern]:
            _read(base, path, snapshot)
    if not any("/" + group in snapshot for group in SLICES):
        _find_processes(base, snapshot)
    if base.resolve() == Path("/"):
        uname = os.uname()
        snapshot["uname"] = f"{uname.sysname} {uname.release} {uname.machine}"
    snapshot.update(read_broker(base))
    snapshot["hwrng"] = _hwrng(base / "dev/hwrng")
    return snapshot


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:  # below a directory that we may not search; to the shell that is "no", too
        return False


def _read(base: Path, path: Path, snapshot: Snapshot) -> None:
    """Add the file to the snapshot, cut as the probe cuts it; what is missing or no regular file adds nothing."""
    name = "/" + str(path.relative_to(base))
    if not _holds(path.is_file):
        return
    try:
        with path.open("rb") as stream:
            lines = stream.read(LINES_PER_FILE * LINE_LIMIT).decode("utf-8", "replace").split("\n")
    except OSError as error:
        snapshot["!" + name] = error.strerror or str(error)
        return
    if lines[-1] == "":
        lines.pop()
    if lines:
        snapshot[name] = "".join(line[:LINE_LIMIT] + "\n" for line in lines[:LINES_PER_FILE])


def _find_processes(base: Path, snapshot: Snapshot) -> None:
    """Add the names of the daemons' processes; there may be thousands of others, so without a Path for each."""
    try:
        numbers = [entry.path for entry in os.scandir(base / "proc") if entry.name.isdigit()]
    except OSError:
        return
    for directory in numbers:
        try:
            descriptor = os.open(directory + "/comm", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue  # it ended meanwhile
        try:
            comm = os.read(descriptor, 64)
        except OSError:
            continue
        finally:
            os.close(descriptor)
        if comm.decode("utf-8", "replace").rstrip("\n") in COMMS:
            _read(base, Path(directory, "comm"), snapshot)


def _hwrng(path: Path) -> str:
    if not _holds(path.is_char_device):
        return "not a character device" if _holds(path.exists) else "missing"
    answer: List[str] = []
    # In a thread, because the kernel ignores O_NONBLOCK while its own thread waits for a device that does not answer.
    reader = threading.Thread(target=lambda: answer.append(_one_byte(path)), daemon=True)
    reader.start()
    reader.join(READ_SECONDS)
    return answer[0] if answer else "timeout"


def _one_byte(path: Path) -> str:
    try:
        device = os.open(path, os.O_RDONLY)
        try:
            return "byte" if os.read(device, 1) else "end of file"
        finally:
            os.close(device)
    except OSError as error:
        return error.strerror or str(error)


# In sh, from anywhere to the machine ---------------------------------------------------------------------------------

BEGIN = "fleet.rng probe 1 begin"
END = "fleet.rng probe 1 end"

# Every line of a file is printed behind the file's name ("path:line", by one grep over all of them), so that nothing in
# a file can begin a line, and with that pass for another file's line or for one of the probe's own. grep reads in large
# pieces, which the shell's `read` does not: of /proc/sys a second small read gets nothing.
# The time limits are the script's own: `timeout` may be missing, and busybox's keeps the output open for a second.
_SCRIPT = r"""
export LC_ALL=C PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
ulimit -v 1048576

# limit SECONDS SIGNAL PROCESS: a timer, which itself is ended with kill $w
limit() {
  ( s=; trap 'kill $s; exit' TERM
    sleep "$1" & s=$!
    wait $s; kill -"$2" "$3" ) </dev/null >/dev/null 2>&1 &
  w=$!
}

main() {
  trap 'kill -KILL $c; echo; echo "= timeout"; exit' TERM
  u=$(uname -srm)
  case $u in
  Linux*) ;;
  *) echo "= uname $u"; return ;;
  esac
  if ! cd "$1"; then echo '= root unusable'; return; fi
  [ "$PWD" != / ] || echo "= uname $u"

  set --
  for f in @FILES@; do
    [ -f "$f" ] && set -- "$@" "$f"
  done
  grep -m @LINES@ '' /dev/null "$@" 2>&1 & c=$!
  wait $c
  for f in @MARKS@; do
    [ -e "$f" ] && echo "+ $f"
  done
  s=
  for f in @SLICES@; do
    [ -e "$f" ] && s=$f
  done
  if [ -z "$s" ]; then
    grep -x @COMMS@ /dev/null proc/[0-9]*/comm & c=$!
    wait $c
  fi

  b=@BROKER@
  if [ -h $b ] || { [ -e $b ] && [ ! -f $b ]; }; then
    echo '= nobroker @NO_FILE@'
  elif [ -f $b ]; then
    x=$(head -c @BROKER_SIZE@ $b 2>&1 & d=$!
      limit @SECONDS@ KILL $d; wait $d; r=$?; kill $w; exit $r)
    case $? in
    0) [ "$PWD" != / ] || echo "= now $(date +%s)"
      f=broker ;;
    137) f=nobroker x='no answer within a second' ;;
    *) f=nobroker x=${x##*: } ;;
    esac
    printf '= %s %s' $f "$x" | tr '\n\r' '  '
    echo
  fi

  h=missing
  if [ -c dev/hwrng ]; then
    e=$(dd if=dev/hwrng of=/dev/null bs=1 count=1 2>&1 & d=$!
      limit @SECONDS@ KILL $d; wait $d; r=$?; kill $w; exit $r)
    case $?,$e in
    0,1+0*) h=byte ;;
    0,*) h='end of file' ;;
    137,*) h=timeout ;;
    126,* | 127,*) h=untested ;;
    *) e=${e%%
*}; h=${e##*: } ;;
    esac
  elif [ -e dev/hwrng ]; then
    h='not a character device'
  fi
  echo "= hwrng $h"
}

echo; echo '@BEGIN@'
main "$1" & m=$!
limit "$2" TERM $m
wait $m
kill $w
echo '@END@'
"""


def command(root: str = "/", seconds: int = 10, shell: str = "sh") -> str:
    """The line to give to a POSIX shell of the machine; what it prints is for :func:`parse`."""
    script = _SCRIPT
    for name, value in (
        ("BEGIN", BEGIN),
        ("END", END),
        ("LINES", LINES_PER_FILE),
        ("FILES", " ".join(FILES)),
        ("MARKS", " ".join(MARKS)),
        ("SLICES", " ".join(SLICES)),
        ("COMMS", " ".join(f"-e {name}" for name in COMMS)),
        ("BROKER_SIZE", BROKER_LIMIT + 1),
        ("BROKER", BROKER[1:]),
        ("NO_FILE", NO_FILE),
        ("SECONDS", READ_SECONDS),
    ):
        script = script.replace(f"@{name}@", str(value))
    probe = f"{shell} -c {shlex.quote(script.strip())} probe {shlex.quote(root)} {seconds}"
    return f"{probe} 2>/dev/null | head -c {OUTPUT_LIMIT}"


_CONTENT = re.compile(
    "(" + "|".join(re.escape(pattern).replace(r"\*", "[^/:]+") for pattern in FILES) + "|proc/[0-9]+/comm):(.*)", re.S
)
_FAILURE = re.compile("grep: " + _CONTENT.pattern, re.S)
_FACT = re.compile("= (uname|hwrng|now) (.+)", re.S)
_BROKER = re.compile("= (no)?broker (.*)", re.S)


def parse(output: str) -> Snapshot:
    """Turn the probe's output into a snapshot, or raise :class:`ProbeError`; whatever comes before it is skipped."""
    if len(output) > OUTPUT_LIMIT + 65536:
        raise ProbeError(f"the machine sent {len(output)} characters where the probe sends {OUTPUT_LIMIT} at most")
    lines = _clean(output).split("\n")
    crlf = BEGIN + "\r" in lines  # a terminal was between
    if crlf:
        lines = [line[:-1] if line.endswith("\r") else line for line in lines]
    if BEGIN not in lines:
        raise ProbeError(f"the machine did not run the probe; it said: {printable(output) or 'nothing'}")
    lines = lines[lines.index(BEGIN) + 1 :]
    if "= timeout" in lines:
        raise ProbeError("the probe did not finish within its time limit")
    if END not in lines:
        raise ProbeError("the probe's output is cut off")
    snapshot: Snapshot = {}
    for line in lines[: lines.index(END)]:
        _take(line, snapshot)
    system = snapshot.get("uname", "Linux").split(" ")[0]
    if system != "Linux":
        raise UnsupportedSystemError(f"only Linux is supported; this machine says {printable(snapshot['uname'])}")
    return snapshot


def _clean(text: str) -> str:
    """Replace what is not UTF-8 just as :func:`collect` does, whichever way the connection marked it."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def _take(line: str, snapshot: Snapshot) -> None:
    content = _CONTENT.fullmatch(line)
    failure = _FAILURE.fullmatch(line)
    fact = _FACT.fullmatch(line)
    broker = _BROKER.fullmatch(line)
    if content:
        path = "/" + content.group(1)
        snapshot[path] = snapshot.get(path, "") + content.group(2)[:LINE_LIMIT] + "\n"
    elif failure:
        snapshot["!/" + failure.group(1)] = failure.group(2).strip()[:LINE_LIMIT]
    elif line.startswith("+ ") and line[2:] in MARKS:
        snapshot["/" + line[2:]] = ""
    elif fact:
        snapshot[fact.group(1)] = fact.group(2)[:LINE_LIMIT]
    elif broker:
        failed = broker.group(1)
        snapshot["!" + BROKER if failed else BROKER] = broker.group(2)[: LINE_LIMIT if failed else BROKER_LIMIT + 1]
    elif line == "= root unusable":
        raise ProbeError("root is not a directory that can be entered on this machine")
    else:
        raise ProbeError(f"the probe's output has a line that it never prints: {printable(line)}")
