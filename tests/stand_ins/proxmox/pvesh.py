# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for ``pvesh`` of Proxmox VE, for tests on machines without one.

It was written from the published API schema and grammar and from what version 9.2 was seen to do. It shares no code
with the collection: what both misread in the same way would else go unnoticed.
"""

from __future__ import annotations

import json
import sys
import time

from pve_api import answer
from pve_config import LOG, Refused, site


def main(arguments: list[str]) -> int:
    faults = site()["faults"]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    time.sleep(faults.get("hang", 0))
    verb, path, options = arguments[0], arguments[1], arguments[2:]
    given: dict = {}
    while options:
        if not options[0].startswith("--") or len(options) < 2:
            print("400 unable to parse option\npvesh <COMMAND> [ARGS] [OPTIONS]", file=sys.stderr)
            return 255
        name, value, options = options[0][2:], options[1], options[2:]
        if name in given:  # an option that is given several times is a list
            before = given[name] if isinstance(given[name], list) else [given[name]]
            value = [*before, value]
        given[name] = value
    form = given.pop("output-format", "text")
    try:
        if faults.get("quorum") is False and verb != "get":
            raise Refused("cluster not ready - no quorum?")
        told = answer(verb, path, given)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    if told is not None:
        print(faults.get("garbage") or (json.dumps(told, sort_keys=True) if form == "json" else told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
