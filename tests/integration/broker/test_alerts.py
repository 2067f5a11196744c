# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts and dashboard of the brokers, on what real daemons say: each alert fires for its reason alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.broker.running import Broker, Line, take
from integration.broker.told import BEGIN, INSTANCE, Look, firing, look, told
from lab.process import PATIENCE, wait_for

FILES = Path(__file__).parents[3] / "roles" / "rng_report" / "files"
BROKER_ALERTS, WATCH_ALERTS = FILES / "broker-alerts.yml", FILES / "alerts.yml"
DASHBOARD = FILES / "grafana-dashboard-broker.json"
VARIABLES = {"$instance": INSTANCE, "$__rate_interval": "5m"}  # as Grafana puts them in
WHERE = {"instance": INSTANCE}
GOLD = {"class": "gold"}
KERNEL = {"source": "getrandom"}
RATE, BURST = 4096, 16384  # of the class gold; the burst is what makes up for a machine that was slow for some seconds

Promtool = Callable[..., str]


@contextlib.contextmanager
def running(broker: Broker) -> Iterator[subprocess.Popen[bytes]]:
    with broker.alone(broker.program.parent / "log") as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)


@contextlib.contextmanager
def drawing(broker: Broker, *names: str) -> Iterator[None]:
    """Clients of these classes draw whatever they get."""
    ended = threading.Event()

    def draw(client: socket.socket) -> None:
        with contextlib.suppress(OSError, AssertionError):
            while not ended.is_set():
                take(client)

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(broker.connect(name)) for name in names]
        threads = [threading.Thread(target=draw, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for client in clients:
                client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def expected(
    promtool: Promtool,
    directory: Path,
    series: Sequence[dict[str, str]],
    looks: Sequence[tuple[int, Sequence[dict[str, Any]]]],
    rules: Path = BROKER_ALERTS,
) -> None:
    """What fires at some minutes, and nothing else does."""
    tests = [
        {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{minute}m", "exp_samples": list(samples)}
        for minute, samples in looks
    ]
    check(promtool, directory, series, tests, rules)


def check(
    promtool: Promtool, directory: Path, series: Sequence[dict[str, str]], tests: Sequence[dict[str, Any]], rules: Path
) -> None:
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": list(series), "promql_expr_test": list(tests)}],
    }
    file = directory / "test.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool("test", "rules", file)


def seen(broker: Broker, what: str, suits: Callable[[Look], bool]) -> Look:
    """Look until it suits."""
    found: list[Look] = []

    def fits() -> bool:
        found.append(look(broker))
        return suits(found[-1])

    wait_for(what, fits)
    return found[-1]


def limited(one: Look) -> bool:
    """A guest of gold waits, since its class has had all that it may have."""
    return one.one("class_waits_total", **GOLD) > 0 and one.one("guest_waiting_seconds", **GOLD) > 0.015


def given(one: Look) -> float:
    return one.one("class_bytes_total", **GOLD)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> list[Look]:
    """A broker that is well: gold is at its ceiling all the time, and so its guests wait."""
    broker = Broker(tmp_path_factory.mktemp("busy"), "gold", "silver", sources=[KERNEL], rate=1 << 20)
    gold, silver = broker.settings["classes"]
    broker.configure(
        classes=[
            {"name": "prod", "rate": 2 * RATE},
            {**gold, "parent": "prod", "rate": RATE, "ceil": RATE, "burst": BURST},
            {**silver, "rate": 1024},
        ]
    )
    with running(broker), drawing(broker, "gold", "gold", "gold"):
        first = seen(broker, "gold to be at its ceiling", limited)
        with broker.connect("silver") as client:
            take(client)
            second = seen(
                broker, "the time of some rates", lambda one: limited(one) and given(one) > given(first) + 4 * RATE
            )
    assert second.one("class_waiting", **GOLD) > 0
    return [first, second]


@pytest.fixture
def line() -> Iterator[Line]:
    """A source that is sound at first."""
    with Line() as made:
        made.flow(os.urandom)
        yield made


@pytest.fixture
def broker(tmp_path: Path, line: Line) -> Iterator[Broker]:
    sources = [{"source": line.path, "tests": "hardware"}, KERNEL]
    made = Broker(tmp_path, "gold", sources=sources, when_failing="fallback", conditioning=False)
    with running(made):
        wait_for("the source to serve", lambda: made.source()["state"] == "serving")
        yield made


def test_a_healthy_broker_is_quiet_however_busy_it_is(promtool: Promtool, busy: list[Look], tmp_path: Path) -> None:
    expected(promtool, tmp_path, told(busy, begin=0), [(minute, []) for minute in (30, 60, 90, 119)])


def nothing(dummy_size: int) -> bytes:
    time.sleep(0.1)
    return b""


@pytest.mark.parametrize(("make", "state"), [(bytes, "failed"), (nothing, "stalled")])
def test_a_source_that_is_cut_off(
    make: Callable[[int], bytes], state: str, promtool: Promtool, broker: Broker, line: Line, tmp_path: Path
) -> None:
    before = look(broker)

    def is_cut_off() -> bool:
        take(client)
        return bool(broker.source()["state"] == state)

    with broker.connect("gold") as client:
        line.flow(make)
        wait_for("the source to be cut off", is_cut_off)
    after = look(broker)
    assert after.one("source_state", source=line.path, state=state) == 1
    alert = ("FleetRngBrokerSourceCutOff", "warning", {**WHERE, "source": line.path})
    expected(promtool, tmp_path, told([before, after]), [(BEGIN + 4, []), (BEGIN + 6, firing(alert))])


def test_a_broker_that_serves_nobody(promtool: Promtool, broker: Broker, line: Line, tmp_path: Path) -> None:
    """Its guests wait, too, and its only source is cut off: that is told once."""
    broker.configure(when_failing="wait")
    broker.reload()
    wait_for("the source to serve", lambda: broker.source()["state"] == "serving")
    before = look(broker)
    with drawing(broker, "gold"):
        line.flow(bytes)
        wait_for("the source to be cut off", lambda: broker.source()["state"] == "failed")
        wait_for("a guest to wait", lambda: broker.one("gold")["waiting"] == 1)
        after = look(broker)
    alert = ("FleetRngBrokerServesNobody", "critical", WHERE)
    looks = [(BEGIN + 1, []), (BEGIN + 3, firing(alert)), (BEGIN + 60, firing(alert))]
    expected(promtool, tmp_path, told([before, after]), looks)


def test_a_source_that_is_too_slow_for_what_was_promised(
    promtool: Promtool, broker: Broker, line: Line, tmp_path: Path
) -> None:
    def slowly(dummy_size: int) -> bytes:
        time.sleep(0.3)
        return os.urandom(32)

    def waits(one: Look) -> bool:
        """For the source: what was read ahead of it is gone."""
        return one.one("class_waiting", **GOLD) > 0 and one.one("guest_waiting_seconds", **GOLD) > 0.2

    broker.configure(sources=[{"source": line.path, "tests": "none"}])
    line.flow(slowly)
    broker.reload()
    broker.limit(gold={"rate": RATE, "ceil": 2 * RATE})
    before = look(broker)
    with drawing(broker, "gold"):
        first = seen(broker, "a guest to wait", waits)
        after = seen(broker, "some bytes", lambda one: waits(one) and given(one) > given(first) + 256)
    assert after.one("source_state", source=line.path, state="serving") == 1
    alert = ("FleetRngBrokerBelowGuarantee", "warning", {**WHERE, **GOLD})
    looks = [(BEGIN + 12, []), (BEGIN + 20, firing(alert)), (BEGIN + 80, firing(alert))]
    expected(promtool, tmp_path, told([before, first, after], step=1), looks)


def test_a_broker_that_refuses_connections(promtool: Promtool, broker: Broker, tmp_path: Path) -> None:
    broker.configure(clients_per_socket=1)
    broker.reload()
    with broker.connect("gold") as client:
        take(client)
        before = look(broker)
        with broker.connect("gold") as other:
            assert other.recv(1) == b""
        after = look(broker)
    alert = ("FleetRngBrokerRefuses", "warning", WHERE)
    looks = [(BEGIN, []), (BEGIN + 2, firing(alert)), (BEGIN + 50, firing(alert)), (BEGIN + 70, [])]
    expected(promtool, tmp_path, told([before, after, after], step=1), looks)


def test_a_broker_that_keeps_restarting_and_not_one_that_is_upgraded(promtool: Promtool, tmp_path: Path) -> None:
    broker = Broker(tmp_path, "gold", sources=[KERNEL])
    looks = []
    for dummy in range(5):
        with running(broker) as process:
            looks.append(look(broker))
            process.send_signal(signal.SIGUSR2)
            wait_for("the new program", lambda: broker.answer("status").get("status", {}).get("restarts") == 1)
            upgraded = look(broker)
            assert upgraded.one("start_time_seconds") == looks[-1].one("start_time_seconds")
    alert = ("FleetRngBrokerKeepsRestarting", "warning", WHERE)
    series = told(looks, step=10)  # the fourth new process at BEGIN + 30
    expected(promtool, tmp_path, series, [(BEGIN + 28, []), (BEGIN + 32, firing(alert)), (BEGIN + 70, [])])


def test_a_broker_that_stopped_leaves_its_metrics(promtool: Promtool, tmp_path: Path) -> None:
    file = tmp_path / "virtrngd.prom"
    broker = Broker(tmp_path, "gold", sources=[KERNEL], metrics_file=str(file))
    with running(broker):
        wait_for("the metrics", file.exists)
        first = look(file.read_text())
    left = look(file.read_text())
    assert left.time >= first.time
    alert = ("FleetRngBrokerDown", "critical", WHERE)
    series = told([first, left], alive=False)
    expected(promtool, tmp_path, series, [(BEGIN + 5, []), (BEGIN + 9, firing(alert)), (119, firing(alert))])


@pytest.mark.parametrize("instance", [INSTANCE, "hv2:9100"])
def test_the_watch_leaves_brokers_to_their_own_metrics(
    instance: str, promtool: Promtool, busy: list[Look], tmp_path: Path
) -> None:
    labels = f'hypervisor="hv", instance="{instance}"'
    watched = {
        f"fleet_rng_last_collection_timestamp_seconds{{{labels}}}": "0+60x120",
        f"fleet_rng_guests_on_broker{{{labels}}}": "3x120",
        f"fleet_rng_host_broker_running{{{labels}}}": "0x120",
        f'fleet_rng_findings{{{labels}, id="RNG024", severity="error"}}': "1x120",
        f'fleet_rng_findings{{{labels}, id="RNG010", severity="error"}}': "1x120",
    }
    series = told(busy, begin=0) + [{"series": name, "values": values} for name, values in watched.items()]
    of_host = {"hypervisor": "hv"}
    alerts = [("FleetRngErrorFinding", "critical", {**of_host, "id": "RNG010"})]
    if instance != INSTANCE:
        alerts.append(("FleetRngErrorFinding", "critical", {**of_host, "id": "RNG024"}))
        alerts.append(("FleetRngBrokerMissing", "critical", of_host))
    expected(promtool, tmp_path, series, [(20, firing(*alerts))], WATCH_ALERTS)


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    for name, value in VARIABLES.items():
        found = [query.replace(name, value) for query in found]
    return found


def test_every_query_of_the_dashboard_finds_what_a_daemon_says(
    promtool: Promtool, busy: list[Look], tmp_path: Path
) -> None:
    names = {series.partition("{")[0] for series in busy[-1].samples}
    assert set(re.findall(r"virtrngd_\w+", " ".join(queries()))) <= names
    tests = [
        {"expr": f"count({query}) > bool 0", "eval_time": "60m", "exp_samples": [{"labels": "{}", "value": 1}]}
        for query in queries()
    ]
    assert len(tests) > 15
    check(promtool, tmp_path, told(busy, begin=0), tests, BROKER_ALERTS)


def test_the_stack_of_classes_counts_no_byte_twice(promtool: Promtool, busy: list[Look], tmp_path: Path) -> None:
    (stacked,) = (query for query in queries() if "unless" in query)
    outermost = 'sum(rate(virtrngd_class_bytes_total{parent=""}[5m]))'
    tests = [
        {
            "expr": f"abs(sum({stacked}) / {outermost} - 1) < bool 0.001",
            "eval_time": "60m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        },
        {
            "expr": f"count by (class) ({stacked})",
            "eval_time": "60m",
            "exp_samples": [{"labels": f'{{class="{name}"}}', "value": 1} for name in ("gold", "silver")],
        },
    ]
    check(promtool, tmp_path, told(busy, begin=0), tests, BROKER_ALERTS)
