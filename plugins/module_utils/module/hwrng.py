# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of the module ``hwrng``: drivers, the kernel's choice, and the files that choose at boot.

Everything that can be refused is looked at before anything is changed. Of the changes the kernel's comes first, so that
nothing is promised for the next boot that this one cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible.module_utils.basic import AnsibleModule

from ..bounded import bounded
from ..errors import RngError
from ..kernel.boot_files import (
    MAIN_FILES,
    OPENRC,
    RUNIT,
    TMPFILES,
    UDEV,
    UDEV_SCRIPT,
    BootFile,
    boot_files,
    is_ours,
)
from ..kernel.choice import NONE, Choice, NoRngError, Seen, choose, find, parse_modules, parse_prefer, vanished
from ..transport import own_file
from ..transport.hwrng import Machine

SPEC: Dict[str, Any] = {
    "prefer": {"type": "list", "elements": "str", "required": True},
    "now": {"type": "bool", "default": True},
    "boot": {"type": "str", "choices": ["auto", "tmpfiles", "udev", "script", "none"], "default": "auto"},
    "modules": {"type": "list", "elements": "str", "default": []},
}
_SECONDS = 60  # and those that modprobe may take
_SCRIPTS = (OPENRC, RUNIT)
_RUNLEVEL = "/etc/runlevels/default/local"


@dataclass(frozen=True)
class FileChange:
    """A file that is not as it should be."""

    wanted: BootFile
    path: str
    before: Optional[str]


def run(module: AnsibleModule, machine: Optional[Machine] = None) -> None:
    """Choose, and exit."""
    run_ = _Run(machine or Machine(), module.check_mode)
    try:
        seconds = _SECONDS + 30 * len(module.params["modules"])
        bounded(lambda: run_.go(**module.params), "choosing the hardware RNG", seconds)
    except RngError as error:
        module.fail_json(msg=str(error), **run_.result())
    result = run_.result()
    if module._diff:
        result["diff"] = run_.diffs
    module.exit_json(**result)


class _Run:
    """One run, and what is known of it at any time: a failure tells as much as a success."""

    def __init__(self, machine: Machine, check_mode: bool) -> None:
        self.machine = machine
        self.check_mode = check_mode
        self.before: Optional[Seen] = None
        self.after: Optional[Seen] = None
        self.choice: Optional[Choice] = None
        self.reason = ""
        self.changed = False
        self.boot: Dict[str, Any] = {"mechanism": NONE, "path": None, "changed": False}
        self.diffs: List[Dict[str, str]] = []

    def result(self) -> Dict[str, Any]:
        return {
            "changed": self.changed,
            "chosen": self.choice.name if self.choice else None,
            "reason": self.reason,
            "available": list(self.after.available) if self.after else [],
            "current": {
                "before": self.before.current if self.before else None,
                "after": self.after.current if self.after else None,
            },
            "boot": self.boot,
        }

    def go(self, prefer: Sequence[str], now: bool, boot: str, modules: Sequence[str]) -> bool:
        patterns, drivers = parse_prefer(prefer), parse_modules(modules)
        mechanism = self._mechanism(boot, now)
        self._plan(mechanism, patterns, "", drivers)  # a file that is not ours is found before anything is done
        seen = self.before = self.after = self.machine.see()
        missing = self._load(drivers) if now else []
        if missing and not self.check_mode:
            seen = self.after = self.machine.await_first(patterns)
        self._choose(patterns, now, missing, seen)
        if now and self.choice:
            self._use(patterns, self.choice, seen)
        changes = self._plan(mechanism, patterns, self._name(mechanism, patterns), drivers)
        self._write(changes, mechanism)
        if now and self.choice and not self.check_mode and any(_was_script(change) for change in changes):
            self._use_again(patterns, self.choice)
        return True

    # Now -------------------------------------------------------------------------------------------------------------

    def _load(self, drivers: Sequence[str]) -> List[str]:
        """Load the drivers that are missing; their names."""
        missing = [driver for driver in drivers if not self.machine.has_module(driver)]
        for driver in missing:
            if not self.check_mode:
                self.machine.load(driver)
            self.changed = True
            self._differ("kernel modules", "", f"{driver}\n")
        return missing

    def _choose(self, patterns: Tuple[str, ...], now: bool, loaded: Sequence[str], seen: Seen) -> None:
        if not now or (loaded and self.check_mode):  # what will be there then cannot be known
            self.choice = find(patterns, seen)
            when = f"once {', '.join(loaded)} is loaded" if loaded else "at boot"
            self.reason = f"{when}; now {self.choice.name} would be chosen" if self.choice else f"known {when}"
        else:
            self.choice = choose(patterns, seen)
            self.reason = self.choice.reason(seen)

    def _use(self, patterns: Tuple[str, ...], choice: Choice, seen: Seen) -> None:
        if seen.uses(choice.name):
            return
        if self.check_mode:
            self.after = Seen(seen.available, choice.name, None if seen.selected is None else True)
        else:
            self.after = self.machine.use(choice.name)
            if self.after.current != choice.name:
                raise vanished(patterns, choice, self.after)
        if (self.after.current, self.after.selected) != (seen.current, seen.selected):
            self.changed = True
            self._differ("rng_current", _shown(seen), _shown(self.after))

    def _use_again(self, patterns: Tuple[str, ...], choice: Choice) -> None:
        """Choose once more where udev was still running the script of an earlier ``prefer``, and it came after us.

        A driver that was loaded above starts it; what starts from here on is the script of this ``prefer``, or none.
        """
        self.machine.settle()
        self.after = self.machine.see()
        if not self.after.uses(choice.name):
            self.after = self.machine.use(choice.name)
            if self.after.current != choice.name:
                raise vanished(patterns, choice, self.after)

    # At boot ---------------------------------------------------------------------------------------------------------

    def _mechanism(self, boot: str, now: bool) -> Optional[str]:
        """What will choose at boot, by the word of the option ``boot``."""
        found = self.machine.mechanisms()
        if boot == "none":
            return None
        if not now and boot in (UDEV, TMPFILES):
            return boot  # in an image nothing runs yet that could tell
        wanted = {"auto": (UDEV, *_SCRIPTS, TMPFILES), "script": _SCRIPTS}.get(boot, (boot,))
        for mechanism in found:
            if mechanism in wanted:
                return mechanism
        raise RngError(
            f"boot: {boot} does not work here: "
            + {
                "auto": "there is neither udev, OpenRC, runit nor systemd-tmpfiles; boot: none chooses for now only",
                "script": "boot scripts are for OpenRC (/etc/local.d) and runit (/etc/runit/core-services)",
                UDEV: "udev does not run (/run/udev/control)",
                TMPFILES: "there is no systemd-tmpfiles",
            }[boot]
        )

    def _name(self, mechanism: Optional[str], patterns: Sequence[str]) -> Optional[str]:
        """What a line for systemd-tmpfiles has to name: it cannot look what there is."""
        if mechanism != TMPFILES:
            return None
        if self.choice:
            return self.choice.name
        for pattern in patterns:
            if not set("*?[") & set(pattern):
                return pattern
        raise NoRngError(
            "boot: tmpfiles needs the name of a device; no preference is one, and none matches what is there now"
        )

    def _plan(
        self, mechanism: Optional[str], patterns: Sequence[str], name: Optional[str], drivers: Sequence[str]
    ) -> List[FileChange]:
        changes = []
        for wanted in boot_files(mechanism, patterns, name, drivers):
            path = self.machine.path(wanted.path)
            try:
                before = own_file.current(path, is_ours)
            except RngError:
                if wanted.content is None:
                    continue  # somebody else's, and in nobody's way
                raise
            if before != wanted.content or (wanted.executable and before and not own_file.is_executable(path)):
                changes.append(FileChange(wanted, path, before))
        return changes

    def _write(self, changes: Sequence[FileChange], mechanism: Optional[str]) -> None:
        if mechanism is not None:
            self.boot = {
                "mechanism": "script" if mechanism in _SCRIPTS else mechanism,
                "path": MAIN_FILES[mechanism],
                "changed": False,
            }
        for change in changes:
            wanted = change.wanted
            if not self.check_mode and wanted.content is not None:
                own_file.put(change.path, wanted.content, is_ours, wanted.executable)
            elif not self.check_mode:
                own_file.remove(change.path)
            self._differ(wanted.path, change.before or "", wanted.content or "")
            self.boot["changed"] = self.changed = True
        if mechanism == OPENRC and not self.machine.runs_local_scripts():
            if not self.check_mode:
                self.machine.run_local_scripts()
            self._differ(_RUNLEVEL, "", "the service local, which runs /etc/local.d\n")
            self.boot["changed"] = self.changed = True

    def _differ(self, what: str, before: str, after: str) -> None:
        self.diffs.append({"before_header": what, "after_header": what, "before": before, "after": after})


def _was_script(change: FileChange) -> bool:
    """Whether a script of ours was replaced or removed that udev may be running."""
    return change.wanted.path == UDEV_SCRIPT and change.before is not None


def _shown(seen: Seen) -> str:
    """The kernel's choice, as a diff shows it."""
    how = {None: "", True: "chosen\n", False: "the kernel's own choice\n"}[seen.selected]
    return f"{seen.current}\n{how}"
