# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's guests as their agents show them: files below ``$PVE_STAND_IN/guests/ID``.

    agent.json   {"osinfo": {...}, "disabled": [commands], "hang": seconds}; without it no agent answers
    files/       what file-read finds

A command that is executed there runs on this machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from pve_config import ROOT, Config, Refused, check_right, running

GUESTS = ROOT / "guests"
COMMANDS = ("guest-info", "guest-get-osinfo", "guest-file-open", "guest-file-read", "guest-file-close")
EXECUTION = ("guest-exec", "guest-exec-status")


def text(raw: bytes) -> str:
    """Perl shows each byte as one character."""
    return raw.decode("latin-1")


def ask(vmid: int, verb: str, what: str, given: dict) -> object:
    config = Config(vmid)
    check_right(f"/vms/{vmid}", "VM.GuestAgent.Unrestricted", "VM.Monitor")
    if not re.match(r"(enabled=)?1", config.main.get("agent", "")):
        raise Refused("No QEMU guest agent configured")
    if not running(vmid):
        raise Refused(f"VM {vmid} is not running")
    place = GUESTS / str(vmid)
    if not (place / "agent.json").exists():
        raise Refused("QEMU guest agent is not running")
    agent = json.loads((place / "agent.json").read_text())
    time.sleep(agent.get("hang", 0))
    disabled = agent.get("disabled", [])
    if (verb, what) == ("get", "info"):
        commands = [{"name": name, "enabled": name not in disabled} for name in (*COMMANDS, *EXECUTION)]
        return {"result": {"version": "10.0.2", "supported_commands": commands}}
    if (verb, what) == ("get", "get-osinfo"):
        return {"result": agent.get("osinfo", {})}
    if (verb, what) == ("get", "file-read"):
        return read(place / "files", given["file"])
    if (verb, what) == ("create", "exec"):
        return execute(place, given["command"])
    if (verb, what) == ("get", "exec-status"):
        return json.loads((place / f"exec-{int(given['pid'])}.json").read_text())
    raise Refused(f"No '{verb}' handler defined for 'agent/{what}'", 1)


def read(files: Path, path: str) -> object:
    try:
        content = (files / path.lstrip("/")).read_bytes()
    except FileNotFoundError as error:
        words = f"failed to open file '{path}' (mode: 'r'): No such file or directory"
        raise Refused(f"Agent error: {words}") from error
    except IsADirectoryError as error:
        raise Refused("Agent error: failed to read file: Is a directory") from error
    return {"content": text(content), "bytes-read": len(content)}


def execute(place: Path, command: str | list[str]) -> object:
    words = [command] if isinstance(command, str) else command
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    pid = len(list(place.glob("exec-*.json"))) + 1000
    told = {"exited": 1, "exitcode": done.returncode, "out-data": text(done.stdout), "err-data": text(done.stderr)}
    (place / f"exec-{pid}.json").write_text(json.dumps({name: value for name, value in told.items() if value != ""}))
    return {"pid": pid}
