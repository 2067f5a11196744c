# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that make a machine choose its hardware RNG at boot, as values: where they are and what is in them.

Patterns have passed ``choice.parse_prefer``, names are the kernel's own: neither needs quoting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Sequence, Tuple

from .choice import NONE

# The mechanisms, and the file that gives each away.
UDEV, TMPFILES, OPENRC, RUNIT = "udev", "tmpfiles", "openrc", "runit"

UDEV_RULE = "/etc/udev/rules.d/90-fleet-rng-hwrng.rules"
UDEV_SCRIPT = "/etc/udev/fleet-rng-hwrng.sh"
TMPFILES_FILE = "/etc/tmpfiles.d/fleet-rng-hwrng.conf"
OPENRC_SCRIPT = "/etc/local.d/fleet-rng-hwrng.start"
RUNIT_SCRIPT = "/etc/runit/core-services/90-fleet-rng-hwrng.sh"
MODULES_FILE = "/etc/modules-load.d/fleet-rng-hwrng.conf"

MAIN_FILES = {UDEV: UDEV_RULE, TMPFILES: TMPFILES_FILE, OPENRC: OPENRC_SCRIPT, RUNIT: RUNIT_SCRIPT}

HW_RANDOM = "/sys/devices/virtual/misc/hw_random"
_MARK = "Written by fleet.rng.hwrng"
_HEADER = f"# {_MARK} (Ansible), which replaces and removes this file: changes to it are lost.\n"

# The RNGs that are there at boot are looked at again, since their numbers may have changed, with the same rules as in
# choice.find. Three rounds: another event of udev may choose at the same moment, with less to choose from.
_SCRIPT = """\
set -f
case ${DEVPATH-} in
  /module/*) # udev tells of a driver before it is ready
    for second in 1 2 3 4 5; do
      read -r state <"/sys$DEVPATH/initstate" || break
      [ "$state" = coming ] || break
      sleep 1
    done ;;
esac 2>/dev/null
if [ ! -e @HW_RANDOM@/rng_current ]; then exit 0; fi
cd @HW_RANDOM@ || exit 1
for round in 1 2 3; do
  available='' current='' selected='' best=''
  read -r available <rng_available
  read -r current <rng_current
  if [ -e rng_selected ]; then read -r selected <rng_selected; fi
  for pattern in @PREFER@; do
    for name in $available; do
      case $name:$pattern in none:none) ;; none:*) continue ;; esac
      case $name in $pattern) ;; *) continue ;; esac
      if [ -z "$best" ] || [ "$name" = "$current" ]; then best=$name; fi
    done
    [ -z "$best" ] || break
  done
  [ -n "$best" ] || exit 0
  if [ "$best" = "$current" ] && [ "$selected" != 0 ]; then exit 0; fi
  echo "$best" 2>/dev/null >rng_current
done
exit 0
"""

# Drivers appear when they like: every driver that takes or leaves a device is looked at. Nearly all of these events end
# at the line that compares what is in use with the first preference, and none of them starts a process before it.
_RULE = f"""\
ACTION=="remove", GOTO="fleet_rng_hwrng_end"
SUBSYSTEM=="misc", KERNEL=="hw_random", GOTO="fleet_rng_hwrng"
SUBSYSTEM=="tpm", GOTO="fleet_rng_hwrng"
SUBSYSTEM=="module", KERNEL=="*rng*", GOTO="fleet_rng_hwrng"
ACTION!="bind|unbind", GOTO="fleet_rng_hwrng_end"
LABEL="fleet_rng_hwrng"
@FIRST@, ATTR{{[misc/hw_random]rng_selected}}=="1", GOTO="fleet_rng_hwrng_end"
ACTION=="bind|unbind", TEST!="{HW_RANDOM}/rng_current", GOTO="fleet_rng_hwrng_end"
RUN+="/bin/sh {UDEV_SCRIPT}"
LABEL="fleet_rng_hwrng_end"
"""


@dataclass(frozen=True)
class BootFile:
    """A file of ours: its content, None for one that should not be there, and whether it has to be executable."""

    path: str
    content: Optional[str]
    executable: bool = False


def is_ours(content: str) -> bool:
    """Whether this collection wrote a file. What somebody else calls by the same name stays as it is."""
    return any(line.startswith(f"# {_MARK} ") for line in content.split("\n", 3)[:3])


def boot_files(
    mechanism: Optional[str], prefer: Sequence[str], name: Optional[str], modules: Sequence[str]
) -> Tuple[BootFile, ...]:
    """Every file that this collection may have written, as it should be, in the order in which to write them.

    :param mechanism: one of the mechanisms; None is to choose nothing at boot, and removes what did.
    :param name: the RNG that a line for systemd-tmpfiles names, since such a line cannot look for itself.
    """
    contents: Dict[str, str] = {}
    if mechanism == UDEV:
        contents[UDEV_SCRIPT] = "#!/bin/sh\n" + _HEADER + _script(prefer)
        contents[UDEV_RULE] = _HEADER + _RULE.replace("@FIRST@", _first(prefer))
    elif mechanism == OPENRC:
        contents[OPENRC_SCRIPT] = "#!/bin/sh\n" + _HEADER + _script(prefer)
    elif mechanism == RUNIT:  # the files there are sourced: what ours sets, and its exit, must not reach the others
        contents[RUNIT_SCRIPT] = _HEADER + f"(\n{_script(prefer)})\n"
    elif mechanism == TMPFILES and name is not None:
        contents[TMPFILES_FILE] = _HEADER + f"w {HW_RANDOM}/rng_current - - - - {name}\n"
    if mechanism is not None and modules:
        contents[MODULES_FILE] = _HEADER + "".join(f"{module}\n" for module in modules)
    executable = (UDEV_SCRIPT, OPENRC_SCRIPT)
    paths = (MODULES_FILE, UDEV_SCRIPT, UDEV_RULE, TMPFILES_FILE, OPENRC_SCRIPT, RUNIT_SCRIPT)
    return tuple(BootFile(path, contents.get(path), path in executable) for path in paths)


def _script(prefer: Sequence[str]) -> str:
    return _SCRIPT.replace("@HW_RANDOM@", HW_RANDOM).replace("@PREFER@", " ".join(prefer))


def _first(prefer: Sequence[str]) -> str:
    """When an event needs no more than a look: the first preference is in use."""
    current = "ATTR{[misc/hw_random]rng_current}"
    return f'{current}=="{prefer[0]}"' + ("" if prefer[0] == NONE else f', {current}!="{NONE}"')
