# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a domain looks like, nothing of it changes but its RNG."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.libvirt.hypervisor import PYTHON, Documents, Hypervisor
from integration.libvirt.oracle import assert_rest_identical, rngs
from lab.images import cache_directory

INSIDE = Path(__file__).parent / "inside"
REMOVE = """
import libvirt, sys
connection = libvirt.open("qemu:///system")
for name in sys.argv[1:]:
    connection.lookupByName(name).undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
"""
TRIED = 220
WANTED = 150


@pytest.fixture(scope="module")
def corpus(spare: Hypervisor) -> Iterator[list[str]]:
    """The names of the defined domains."""
    done = spare.host.run(PYTHON, "-c", (INSIDE / "define_corpus.py").read_text(), stdin=json.dumps(generated(spare)))
    names: list[str] = json.loads(done.stdout)
    yield names
    spare.host.check(PYTHON, "-c", REMOVE, *names)


def generated(hv: Hypervisor) -> list[str]:
    """What virt-install makes of many combinations of options; kept for the next time."""
    program = (INSIDE / "generate_domains.py").read_text()
    version = hv.host.check("dpkg-query", "--show", "virtinst", "libvirt-daemon", "qemu-system-x86", "osinfo-db")
    key = hashlib.sha256(f"{program} {version} {TRIED}".encode()).hexdigest()[:12]
    cache = cache_directory() / f"corpus-{key}.json"
    if not cache.exists():
        hv.host.check("mkdir", "-p", "/srv/disks")
        made = hv.host.check(PYTHON, "-c", program, str(TRIED))
        assert len(json.loads(made)) >= WANTED
        cache.write_text(made)
    documents: list[str] = json.loads(cache.read_text())
    return documents


def differences(before: Documents, after: Documents, names: list[str]) -> tuple[int, list[str]]:
    """(how many gained a controller, what else is different)."""
    gained, different = 0, []
    for name in names:
        try:
            gained += bool(assert_rest_identical(before[name]["config"] or "", after[name]["config"] or "", name))
        except AssertionError as error:
            different.append(str(error))
    return gained, different


def test_nothing_but_the_rng_changes(corpus: list[str], spare: Hypervisor) -> None:
    assert len(corpus) >= WANTED
    before = spare.documents()
    added = spare.module([{"guest": name} for name in corpus])
    assert not added.failed, added.msg
    after = spare.documents()
    gained, different = differences(before, after, corpus)
    assert not different, "\n".join(different)
    assert gained < len(corpus) / 5
    for name in corpus:
        assert len(rngs(after[name]["config"] or "")) == 1
    assert not spare.module([{"guest": name} for name in corpus]).changed

    absent = [{"guest": name, "state": "absent"} for name in corpus]
    assert not spare.module(absent).failed
    removed = spare.documents()
    assert differences(before, removed, corpus) == (gained, [])
    assert not [name for name in corpus if rngs(removed[name]["config"] or "")]
    assert not spare.module(absent).changed
