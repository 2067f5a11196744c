# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real guests of QEMU on the sockets of one broker: what they get, and what they get beside each other.

How fast a guest asks depends on the machine, so limits are held against the time that the tests measure themselves, and
shares are counted in requests: a source gives one more answer only when all who are busy wait for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from integration.broker.running import SIZE, Broker, Drawing, Line
from lab.process import wait_for

KERNEL = [{"source": "getrandom"}]
START_UP = 1024  # bytes that no guest gets, of a source that is tested
TEXT = "dd if=/dev/hwrng bs=64 count=64 2>/dev/null | od -An -v -tx1 -w16"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("broker"), "gold", "silver")
    with made.supervised() as supervisor:
        yield made
    assert supervisor.exit_codes == [0]
    assert '"level": "error"' not in supervisor.errors


@pytest.fixture(scope="module")
def both(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Drawing]]:
    directory = tmp_path_factory.mktemp("guests")
    made = [Drawing(directory, f"fleet-{name}", broker.socket(name)) for name in ("gold", "silver")]
    with ExitStack() as stack:
        for guest in made:
            stack.callback(guest.stop)
        with ThreadPoolExecutor() as threads:
            list(threads.map(Drawing.start, made))
        yield made


@pytest.fixture
def guests(broker: Broker, both: list[Drawing]) -> Iterator[list[Drawing]]:
    """Gold and silver. Each test begins without limits, and with nobody who reads."""
    plain = broker.settings["classes"]
    yield both
    broker.configure(classes=plain, sources=KERNEL)
    broker.limit()
    for guest in both:
        guest.rest()


def waiting(broker: Broker) -> set[str]:
    """The classes in which a guest waits."""
    return {one["name"] for one in broker.status()["classes"] if one["waiting"]}


def served(broker: Broker) -> dict[str, int]:
    """Requests of each class."""
    return {one["name"]: one["requests"] for one in broker.status()["classes"]}


def shares(broker: Broker, line: Line, count: int, busy: set[str]) -> dict[str, int]:
    """How many of ``count`` answers each class gets, when there is never an answer before all who are busy wait."""
    wait_for("all who are busy to wait", lambda: waiting(broker) >= busy)
    before = served(broker)
    for number in range(1, count + 1):
        line.send(os.urandom(SIZE))
        wait_for(
            "an answer, and the next request",
            lambda n=number: sum(served(broker).values()) == sum(before.values()) + n and waiting(broker) >= busy,
            pause=0.002,
        )
    return {name: now - before[name] for name, now in served(broker).items()}


def test_a_guest_draws_as_much_as_it_likes(broker: Broker, guests: list[Drawing]) -> None:
    before, other = broker.one("gold"), broker.one("silver")
    drawn = guests[0].draw(1 << 18)
    after = broker.one("gold")
    assert drawn.bytes == 1 << 18
    assert after["bytes"] - before["bytes"] >= (1 << 18) - SIZE, "it may have had one answer before"
    assert after["waits"] == before["waits"]
    assert broker.one("silver")["bytes"] - other["bytes"] < 1 << 12, "its kernel may have had a few for itself"
    told = {one["guest"]: one for one in broker.status()["guests"]}
    for guest, name in zip(guests, ("gold", "silver"), strict=True):
        assert guest.process is not None
        assert (told[guest.name]["class"], told[guest.name]["pid"]) == (name, guest.process.pid)


def test_nobody_gets_the_same_bytes_twice(guests: list[Drawing]) -> None:
    blocks = [block for guest in guests for block in guest.run(TEXT).splitlines()]
    assert len(blocks) == 2 * 64 * SIZE // 16
    assert len(set(blocks)) == len(blocks)


def test_a_guest_gets_its_ceiling_and_no_more(broker: Broker, guests: list[Drawing]) -> None:
    gold, silver = guests
    ceil, burst = 128, 255
    broker.limit(gold={"rate": ceil, "ceil": ceil, "burst": burst})
    start, before = time.monotonic(), broker.one("gold")
    gold.read_on()
    # It is the ceiling that it waits for: nothing else is scarce.
    wait_for("requests that wait", lambda: broker.one("gold")["waits"] >= before["waits"] + 8)
    assert silver.draw(1 << 16).bytes == 1 << 16, "the other class has no limit"
    own = gold.drawn  # before the broker is asked, as the guest goes on
    after, seconds = broker.one("gold"), time.monotonic() - start
    drawn = after["bytes"] - before["bytes"]
    assert burst < drawn <= ceil * seconds + burst + SIZE
    assert own <= drawn + SIZE


def test_siblings_share_what_their_parent_has(broker: Broker, guests: list[Drawing]) -> None:
    gold, silver = guests
    ceil, burst = 256, 255
    limits: dict[str, dict[str, Any]] = {"gold": {"rate": 192}, "silver": {"rate": 64}}
    children = [{**one, **limits[one["name"]], "parent": "prod", "burst": burst} for one in broker.settings["classes"]]
    broker.configure(classes=[{"name": "prod", "rate": ceil, "ceil": ceil, "burst": burst}, *children])
    broker.reload()
    start, before = time.monotonic(), broker.one("prod")["bytes"]
    silver.read_on()
    wait_for("more than its own burst", lambda: broker.one("silver")["borrowed"] > 512)
    gold.read_on()
    gold.goes_on()
    silver.goes_on()
    assert broker.one("prod")["bytes"] - before <= ceil * (time.monotonic() - start) + burst + SIZE


def test_busy_classes_share_a_slow_source_by_their_rates(broker: Broker, guests: list[Drawing]) -> None:
    gold, silver = guests
    with Line() as line:
        broker.configure(sources=[{"source": line.path, "tests": "hardware"}], when_failing="wait")
        broker.limit(gold={"rate": 300}, silver={"rate": 100})
        gold.read_on()
        silver.read_on()
        line.send(os.urandom(START_UP + SIZE))
        wait_for("the end of its start-up test", lambda: broker.source()["state"] == "serving")
        assert broker.source()["why"] is None
        both = {"gold", "silver"}
        shares(broker, line, 8, both)  # whatever one of them had to make up for is forgotten
        found = shares(broker, line, 48, both)
        assert 33 <= found["gold"] <= 39, found
        # Who asks for nothing loses its share to the other, and does not get it back later.
        silver.rest()
        found = shares(broker, line, 40, {"gold"})
        assert found["gold"] >= 36, found
        silver.read_on()
        shares(broker, line, 16, both)  # but for one turn, which is less than six answers
        found = shares(broker, line, 48, both)
        assert 33 <= found["gold"] <= 39, found
        broker.configure(sources=KERNEL, when_failing="fallback")
        broker.reload()
        gold.goes_on()
        silver.goes_on()
