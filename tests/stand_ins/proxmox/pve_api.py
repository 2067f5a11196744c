# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the API that the stand-in knows: those that this collection makes, and some of an administrator."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from pve_agent import ask
from pve_config import (
    AT_ONCE,
    CONFIGS,
    CONTAINERS,
    OPTIONS,
    PIDS,
    SITE,
    Config,
    Refused,
    bad_parameter,
    check_right,
    rng_problem,
    running,
    site,
)


def guest_ids() -> list[int]:
    return [int(path.stem) for path in CONFIGS.glob("*.conf")]


def status(vmid: int) -> dict:
    config = Config(vmid)
    shown: dict = {
        "vmid": vmid,
        "name": config.main.get("name") or f"VM {vmid}",
        "status": "running" if running(vmid) else "stopped",
        "cpus": 1,
        "maxmem": 536870912,
        "uptime": 5 if running(vmid) else 0,
    }
    if running(vmid):
        shown["pid"] = int((PIDS / f"{vmid}.pid").read_text())
    if config.main.get("template") == "1":
        shown["template"] = 1
    for key in ("lock", "tags"):
        if key in config.main:
            shown[key] = config.main[key]
    return shown


def version(given: dict) -> object:
    number = site()["version"]
    return {"version": number, "release": ".".join(number.split(".")[:2]), "repoid": "0123456789abcdef", **given}


def cluster_status(given: dict) -> object:
    check_right("/", "Sys.Audit")
    here = site()
    node = {"type": "node", "id": f"node/{here['node']}", "name": here["node"], "local": 1, "online": 1, "nodeid": 0}
    both = [{"type": "cluster", "id": "cluster", "name": here["cluster"], "quorate": 1, "nodes": 1, "version": 1}, node]
    return [{**item, **given} for item in (both if here["cluster"] else [node])]


def resources(given: dict) -> object:
    guests = [{**status(vmid), "type": "qemu", "id": f"qemu/{vmid}", "node": site()["node"]} for vmid in guest_ids()]
    boxes = [int(path.stem) for path in CONTAINERS.glob("*.conf")]
    found = guests + [{"type": "lxc", "id": f"lxc/{vmid}", "vmid": vmid, "status": "stopped"} for vmid in boxes]
    return found if given.get("type") in (None, "vm") else []


def guest_list(given: dict) -> object:
    assert set(given) <= {"full"}
    return [status(vmid) for vmid in guest_ids() if check_right(f"/vms/{vmid}", "VM.Audit", quiet=True)]


def guest_status(vmid: int, given: dict) -> object:
    check_right(f"/vms/{vmid}", "VM.Audit")
    go_on(vmid)
    shown = status(vmid)
    paused, managed = (vmid in site()["faults"].get(name, []) for name in ("paused", "ha"))
    return {**shown, "qmpstatus": "paused" if paused else shown["status"], "ha": {"managed": int(managed)}, **given}


def get_config(vmid: int, given: dict) -> object:
    check_right(f"/vms/{vmid}", "VM.Audit")
    config = Config(vmid)
    if given.get("current") not in ("1", "true", "yes", "on"):
        config.settle()
    return {**config.main, "digest": config.digest}


def get_pending(vmid: int, given: dict) -> object:
    check_right(f"/vms/{vmid}", "VM.Audit")
    config = Config(vmid)
    names = [*config.main, *(name for name in config.pending if name not in config.main and name != "delete")]
    items: list[dict] = [{"key": "digest", "value": config.digest, **given}]
    for name in names:
        item: dict = {"key": name}
        if name in config.main:
            item["value"] = config.main[name]
        if name in config.pending:
            item["pending"] = config.pending[name]
        if name in config.deletions:
            item["delete"] = 1
        items.append(item)
    return items


def set_config(vmid: int, given: dict) -> object:
    digest, delete = given.pop("digest", ""), given.pop("delete", "")
    if len(digest) > 40:
        raise bad_parameter("digest", "value may only be 40 characters long")
    gone = [name for name in re.split(r"[,; ]+", delete) if name]
    for name in [*given, *gone]:
        if name not in OPTIONS:
            raise bad_parameter("delete" if name in gone else name, f"unknown option '{name}'")
    if problem := rng_problem(given["rng0"]) if "rng0" in given else "":
        raise bad_parameter("rng0", f"invalid format - {problem}")
    check_right(f"/vms/{vmid}", *OPTIONS.values(), "VM.Config.Disk")
    if not given and not gone:
        raise Refused("no options specified")
    for name in [*given, *gone]:
        check_right(f"/vms/{vmid}", OPTIONS[name])
    meanwhile(vmid)
    config = Config(vmid)
    if digest and digest != config.digest:
        raise Refused("checksum mismatch (file change by other user?)")
    if config.main.get("lock"):
        raise Refused(f"VM is locked ({config.main['lock']})")
    for value in (given.get("rng0", ""), config.main.get("rng0", "")):
        if "/dev/hwrng" in value:
            check_right("/mapping/hwrng", "Mapping.Use")
    shown = sorted({**given, **({"delete": delete} if delete else {})}.items())
    print(f"update VM {vmid}: " + " ".join(f"-{name} {value}" for name, value in shown))
    for name in gone:
        if name not in config.main and name not in config.pending:
            print(f"cannot delete '{name}' - not set in current configuration!", file=sys.stderr)
        config.pending.pop(name, None)
        config.mark_deleted([*config.deletions, name])
    for name, value in given.items():
        config.pending[name] = value
        config.mark_deleted([other for other in config.deletions if other != name])
    config.tidy()
    config.settle(AT_ONCE if running(vmid) else None)
    config.write()
    return None


def meanwhile(vmid: int) -> None:
    """Somebody else is a little faster."""
    here = site()
    edits = here["faults"].get("meanwhile", {}).get(str(vmid), [])
    if not edits:
        return
    here["faults"]["meanwhile"][str(vmid)] = edits[1:]
    new = SITE.with_suffix(".new")
    new.write_text(json.dumps(here))
    new.replace(SITE)
    config = Config(vmid)
    config.main.update(edits[0])
    config.write()


def go_on(vmid: int) -> None:
    """One look less until a slow guest is off."""
    going = PIDS / f"{vmid}.going"
    if not going.exists():
        return
    looks = int(going.read_text()) - 1
    going.write_text(str(looks))
    if looks <= 0:
        going.unlink()
        switch_off(vmid, Config(vmid))


def switch_off(vmid: int, config: Config) -> None:
    (PIDS / f"{vmid}.pid").unlink(missing_ok=True)
    config.settle()
    config.write()


def power(vmid: int, verb: str, given: dict) -> object:
    check_right(f"/vms/{vmid}", "VM.PowerMgmt")
    config = Config(vmid)
    if config.main.get("template") == "1":
        raise Refused(f"you can't {verb} a vm if it's a template")
    if config.main.get("lock"):
        raise Refused(f"VM is locked ({config.main['lock']})")
    if set(given) - {"timeout", "forceStop", "skiplock"}:
        raise bad_parameter("timeout", "unknown option")
    faults = site()["faults"]
    going = PIDS / f"{vmid}.going"
    if going.exists():
        raise Refused(f"can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout")
    if verb == "start" and vmid in faults.get("no start", []):
        raise Refused("start failed: QEMU exited with code 1")
    if verb == "shutdown" and vmid in faults.get("stubborn", []) and given.get("forceStop") != "1":
        raise Refused("VM quit/powerdown failed - got timeout")
    if verb == "start":
        config.settle()
        config.write()
        source = re.match(r"^(?:.*source=)?(/[^,]+)", config.main.get("rng0", ""))
        if source and not Path(source[1]).exists():
            raise Refused(f"cannot create VirtIO RNG device: source file '{source[1]}' doesn't exist")
        PIDS.mkdir(parents=True, exist_ok=True)
        (PIDS / f"{vmid}.pid").write_text(str(os.getpid()))
    elif verb == "shutdown" and str(vmid) in faults.get("slow", {}):
        going.write_text(str(faults["slow"][str(vmid)]))
    else:
        switch_off(vmid, config)
    print(f"{verb} VM {vmid}: the log of the task")
    return f"UPID:{site()['node']}:00000000:00000000:00000000:qm{verb}:{vmid}:root@pam:"


def answer(verb: str, path: str, given: dict) -> object:
    for known, call in (
        (r"/version", version),
        (r"/cluster/status", cluster_status),
        (r"/cluster/resources", resources),
        (rf"/nodes/(?:localhost|{re.escape(site()['node'])})/qemu", guest_list),
    ):
        if verb == "get" and re.fullmatch(known, path):
            return call(given)
    found = re.fullmatch(r"/nodes/([^/]+)/qemu/(\d+)/(config|pending|status/\w+|agent/[\w-]+)", path)
    if found and found[1] not in ("localhost", site()["node"]):
        raise Refused(f"no such cluster node '{found[1]}'")
    if found:
        vmid, what = int(found[2]), found[3]
        if what.startswith("agent/"):
            return ask(vmid, verb, what.partition("/")[2], given)
        calls = {"config": get_config, "pending": get_pending, "status/current": guest_status}
        if verb == "get" and what in calls:
            return calls[what](vmid, given)
        if verb == "set" and what == "config":
            return locked(vmid, lambda: set_config(vmid, given))
        if verb == "create" and what in ("status/start", "status/stop", "status/shutdown"):
            return locked(vmid, lambda: power(vmid, what.split("/")[1], given))
    raise Refused(f"No '{verb}' handler defined for '{path}'", 1)


def locked(vmid: int, work: Callable[[], object]) -> object:
    PIDS.mkdir(parents=True, exist_ok=True)
    with (PIDS / f"lock-{vmid}.conf").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return work()
