# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of the broker."""

from __future__ import annotations

import os
import pty
import signal
import statistics
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from harness import BenchmarkError, Contestant, Goal, Row, Sample, compare
from serving import PATIENCE, Broker, Server, answer_of, bare_asyncio, bare_c, load, load_command

MILLION = 1e6
KIB = 1024

# The tree of the fast cases: depth 2, and a sibling that is idle.
TREE = (
    {"name": "prod", "rate": 64 << 20},
    {"name": "gold", "parent": "prod", "rate": 48 << 20},
    {"name": "silver", "parent": "prod", "rate": 16 << 20},
)
TESTED = ({"source": "/dev/urandom", "tests": "hardware"},)


@dataclass(frozen=True)
class Sizes:
    """How much of it."""

    rounds: int = 5
    connections: int = 1000
    seconds: float = 3.0  # of one run of the closed loop
    long: float = 10.0  # of the others
    memory: tuple[int, ...] = (1000, 4000)
    upgrades: int = 10
    guest: int = 1 << 20  # bytes that the guest draws at a time


QUICK = Sizes(rounds=2, seconds=1.5, long=4.0, memory=(1000,), upgrades=3, guest=1 << 18)


class Bench:
    """The cases, in a directory that holds what ``serving.build`` made."""

    def __init__(self, work: Path, sizes: Sizes) -> None:
        self.work = work
        self.sizes = sizes

    def closed(self) -> Iterator[Row]:
        """Everyone asks again as soon as it is answered, as QEMU does."""
        with ExitStack() as stack:
            servers = [
                stack.enter_context(bare_c(self.work, self.work / "c.sock")),
                stack.enter_context(bare_asyncio(self.work, self.work / "asyncio.sock")),
                stack.enter_context(Broker(self.work, TREE, "tested", sources=TESTED)),
                stack.enter_context(Broker(self.work, TREE, "virtrngd")),
            ]
            contestants = [Contestant(server.name, self._closed(server)) for server in servers]
            # The first round warms up: asyncio's buffers cost it five times as much until malloc has learnt their size.
            rounds = compare(contestants, self.sizes.rounds)
        size = f"{self.sizes.connections} connections"
        for name, what in (("tested", "virtrngd"), ("virtrngd", "virtrngd, default source")):
            for base, text, least in (("asyncio", "bare asyncio", 0.6), ("c", "C", 0.3)):
                yield Row(
                    "closed loop",
                    f"{what} / {text}",
                    size,
                    rounds.ratios(base, name),
                    rounds.ratios(base, name, measure="cpu"),
                    goal=Goal(least, at_least=True) if name == "tested" else None,
                    detail=" : ".join(f"{MILLION / rounds.median(one) / 1000:.0f} k/s" for one in (name, base)),
                )

    def _closed(self, server: Server) -> Callable[[], Sample]:
        def run() -> Sample:
            before = server.cpu()
            options = {"t": self.sizes.seconds, "w": 0.3}
            result = load(self.work, {server.path: self.sizes.connections}, **options)
            cpu = (server.cpu() - before) / sum(options.values())
            # Of a million requests.
            return Sample(MILLION / result["requests_per_second"], MILLION * cpu / result["requests_per_second"])

        return run

    def open(self) -> Iterator[Row]:
        """Requests at fixed times: 1 KiB/s for each connection. The bare server shows what the machine adds."""
        count = self.sizes.connections
        need = count * KIB
        classes = (
            {"name": "prod", "rate": 2 * need},
            {"name": "gold", "parent": "prod", "rate": int(1.1 * need)},
            {"name": "greedy", "parent": "prod", "rate": need // 2},
        )
        with ExitStack() as stack:
            broker = stack.enter_context(Broker(self.work, classes, "open", sources=TESTED, rate=3 * need))
            bare = stack.enter_context(bare_c(self.work, self.work / "c.sock"))
            for greedy in (0, 50):
                runs: dict[str, list[dict[str, float]]] = {broker.name: [], bare.name: []}
                for dummy in range(self.sizes.rounds):
                    for name, path, other in (
                        (broker.name, broker.sockets["gold"], broker.sockets["greedy"]),
                        (bare.name, bare.path, bare.path),
                    ):
                        runs[name].append(self._open(path, other, greedy))
                p50 = [run["p50_ms"] for run in runs[broker.name]]
                floor = statistics.median(run["p99_ms"] for run in runs[bare.name])
                yield Row(
                    "open loop",
                    "p99, a greedy class beside it" if greedy else "p99",
                    f"{count} connections of 1 KiB/s",
                    [run["p99_ms"] for run in runs[broker.name]],
                    unit="ms",
                    goal=Goal(10),
                    detail=f"median {statistics.median(p50):.2f} ms; p99 of C {floor:.1f} ms",
                )

    def _open(self, path: Path, other: Path, greedy: int) -> dict[str, float]:
        count = self.sizes.connections
        with ExitStack() as stack:
            if greedy:
                command = load_command(self.work, {other: greedy}, t=self.sizes.long + 1.5)
                process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            result = load(self.work, {path: count}, r=count * KIB // 64, t=self.sizes.long, w=0.5)
            if greedy:
                answer_of(process)
        return result

    def memory(self) -> Iterator[Row]:
        """How much a connection that asks takes."""
        for count in self.sizes.memory:
            growth = {}
            for make in (lambda: Broker(self.work, TREE, "memory"), self._asyncio):
                with make() as server:
                    before = server.resident()
                    command = load_command(self.work, {server.path: count}, r=4 * count, t=4)
                    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                        time.sleep(3)
                        growth[server.name] = (server.resident() - before) / count
                        answer_of(process)
            yield Row(
                "memory",
                "virtrngd, a connection",
                f"{count} connections",
                [growth["memory"]],
                unit="KiB",
                goal=Goal(60),
                detail=f"bare asyncio {growth['asyncio']:.1f} KiB",
            )

    def _asyncio(self) -> Server:
        return bare_asyncio(self.work, self.work / "asyncio.sock")

    def shaping(self) -> Iterator[Row]:
        """How exact the limits are, once the burst is spent."""
        rates = {"1 KiB/s": KIB, "16 KiB/s": 16 * KIB, "128 KiB/s": 128 * KIB, "1 MiB/s": KIB * KIB}
        classes = [{"name": f"r{rate}", "rate": rate, "ceil": rate} for rate in rates.values()]
        with Broker(self.work, classes, "shaping") as broker:
            sockets = dict.fromkeys(broker.sockets.values(), 8)
            result = load(self.work, sockets, t=self.sizes.long, w=3, e=5)
        for (name, rate), group in zip(rates.items(), result["groups"], strict=True):
            got = group["bytes_per_second"]
            yield Row(
                "shaping",
                f"error, a ceiling of {name}",
                f"{self.sizes.long:g} s, 8 connections",
                [100 * abs(got / rate - 1)],
                unit="%",
                goal=Goal(2),
                detail=f"{got:.0f} bytes/s",
            )
        yield from self._shares()

    def _shares(self) -> Iterator[Row]:
        classes = (
            {"name": "prod", "rate": 8 * KIB},
            {"name": "gold", "parent": "prod", "rate": 3 * KIB},
            {"name": "silver", "parent": "prod", "rate": KIB},
        )
        for what, speed, limit in (
            ("a source of 8 KiB/s", 8 * KIB, None),
            ("a source of 2 KiB/s, less than is promised", 2 * KIB, None),
            ("a host's rate of 8 KiB/s", 0, 8 * KIB),
        ):
            with ExitStack() as stack:
                keys: dict[str, object] = {"rate": limit or "unlimited"}
                if speed:
                    slow = stack.enter_context(SlowSource(speed))
                    keys["sources"] = [{"source": slow.path, "tests": "hardware"}]
                broker = stack.enter_context(Broker(self.work, classes, "shares", **keys))
                # The class with the smaller share has more connections: shares are of classes.
                sockets = {broker.sockets["gold"]: 2, broker.sockets["silver"]: 8}
                result = load(self.work, sockets, t=self.sizes.long, w=3, e=10)
            gold, silver = (group["bytes_per_second"] for group in result["groups"])
            used = 100 * (gold + silver) / (speed or limit or 1)
            yield Row(
                "shaping",
                f"error of 3:1, {what}",
                f"{self.sizes.long:g} s, 2 and 8 connections",
                [100 * abs(gold / silver / 3 - 1)],
                unit="%",
                goal=Goal(2),
                detail=f"{gold:.0f} : {silver:.0f} bytes/s; together {used:.1f} %",
            )

    def upgrade(self) -> Iterator[Row]:
        """The daemon is replaced by itself, again and again, while everyone asks."""
        count = self.sizes.connections
        for what, options in (
            ("as fast as they can", {}),
            (f"{count * KIB // 64} requests/s", {"r": count * KIB // 64}),
        ):
            gaps, extra = [], 0
            with Broker(self.work, TREE, "upgrade", sources=TESTED) as broker:
                restarts = broker.status()["restarts"]
                for dummy in range(self.sizes.upgrades):
                    command = load_command(self.work, {broker.path: count}, t=4, w=0.5, e=10, **options)
                    process = subprocess.Popen(command, stdout=subprocess.PIPE)
                    time.sleep(1.5)
                    os.kill(broker.pid, signal.SIGUSR2)
                    result = answer_of(process)
                    gaps.append(result["longest_gap_ms"])
                    extra += result["extra_bytes"]
                    restarts = self._upgraded(broker, restarts)
            yield Row(
                "upgrade",
                f"longest pause of any client, {what}",
                f"{count} connections, {self.sizes.upgrades} times",
                [max(gaps)],  # not the median: this is about each of them
                unit="ms",
                goal=Goal(250),
                detail=f"median {statistics.median(gaps):.0f} ms; no request lost, {extra} bytes too many",
            )

    def _upgraded(self, broker: Broker, before: int) -> int:
        end = time.monotonic() + PATIENCE
        while (restarts := broker.status()["restarts"]) == before:
            if time.monotonic() > end:
                raise BenchmarkError(f"the daemon was not replaced: {broker.said()}")
            time.sleep(0.1)
        return int(restarts)

    def guest(self) -> Iterator[Row]:
        """What a guest gets through the broker, and from the bare server."""
        from broker_guest import draws  # needs root

        with ExitStack() as stack:
            yield draws(self.work, self.sizes.rounds, self.sizes.guest, stack)


class SlowSource:
    """A character device that gives so many bytes a second: a terminal with somebody typing."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._type)

    def _type(self) -> None:
        begin, typed = time.monotonic(), 0
        while not self._stop.wait(0.01):
            due = int((time.monotonic() - begin) * self._rate) - typed
            with suppress(BlockingIOError):  # nobody reads
                typed += os.write(self._master, os.urandom(min(due, 1024)))

    def __enter__(self) -> SlowSource:
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._slave)
        os.close(self._master)


CASES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "closed": Bench.closed,
    "open": Bench.open,
    "memory": Bench.memory,
    "shaping": Bench.shaping,
    "upgrade": Bench.upgrade,
    "guest": Bench.guest,
}
