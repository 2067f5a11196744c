# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that runs on hosts: what it sees, what it writes, and what it leaves alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fleet.rng.plugins.module_utils import watch
from ansible_collections.fleet.rng.plugins.module_utils.backend.qemu_options import QEMU_SPEC, parse_options
from ansible_collections.fleet.rng.plugins.module_utils.device import Rate, RngDevice, Source
from ansible_collections.fleet.rng.plugins.module_utils.errors import HypervisorError
from ansible_collections.fleet.rng.plugins.module_utils.observation import (
    LOCK,
    TEMPLATE,
    FoundDevice,
    ObservedGuest,
)
from prometheus_client.parser import text_string_to_metric_families

RNG = "<rng model='virtio'><rate bytes='{}' period='{}'/><backend model='random'>/dev/urandom</backend></rng>"
ONE = RNG.format(1024, 1000)
OLD = 1_000_000_000  # a time long ago


def read(text: str) -> dict[tuple[str, ...], float]:
    """The samples, by name and the values of all labels but the hypervisor's and the UUID."""
    return {
        (
            sample.name.removeprefix("fleet_rng_"),
            *(value for name, value in sample.labels.items() if name not in ("hypervisor", "uuid")),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def run(directory: Path, *options: str) -> tuple[int, dict[tuple[str, ...], float]]:
    kind = () if "--hypervisor" in options else ("--hypervisor", "libvirt")
    code = watch.main("1.2.3", ["--directory", str(directory), "--name", "hv1", *kind, *options])
    return code, read((directory / watch.FILE).read_text(encoding="utf-8"))


def test_guests_become_samples(hypervisor: Any, tmp_path: Path) -> None:
    hypervisor.add("off", ONE)
    hypervisor.add("none", "")
    hypervisor.add("runs", ONE, ONE)
    code, samples = run(tmp_path)
    assert code == watch.WRITTEN
    assert samples["hypervisor_observed",] == 1
    assert {key: value for key, value in samples.items() if key[0] == "guest_attached"} == {
        ("guest_attached", "off", "config"): 1,
        ("guest_attached", "none", "config"): 0,
        ("guest_attached", "runs", "config"): 1,
        ("guest_attached", "runs", "live"): 1,
    }
    assert samples["guest_max_bytes_per_second", "runs"] == 1024


@pytest.mark.parametrize(
    ("config", "live", "waits"),
    [
        (ONE, ONE, 0),
        (ONE, "", 1),
        (ONE, RNG.format(2048, 1000), 1),
        (ONE + ONE, ONE, 1),
        ("", ONE, 0),  # it loses one, which is another thing
        (ONE, ONE + ONE, 0),
        (ONE, ONE.replace("</rng>", "<alias name='rng0'/></rng>"), 0),
        (ONE, None, 0),
        (None, ONE, 0),
    ],
)
def test_a_guest_waits_when_its_config_has_what_it_lacks(
    config: str | None, live: str | None, waits: int, hypervisor: Any, tmp_path: Path
) -> None:
    hypervisor.add("web1", config, live)
    code, samples = run(tmp_path)
    assert code == watch.WRITTEN
    assert samples["guest_needs_restart", "web1"] == waits


def test_the_budget_counts_what_runs_with_a_limit(hypervisor: Any, tmp_path: Path) -> None:
    hypervisor.add("runs", ONE, ONE)
    hypervisor.add("twice", ONE, ONE + RNG.format(100, 100))
    hypervisor.add("off", ONE)
    hypervisor.add("free", "", "<rng model='virtio'><backend model='builtin'/></rng>")
    dummy, samples = run(tmp_path, "--budget", "4096")
    assert samples["host_budget_bytes_per_second",] == 4096
    assert samples["host_promised_bytes_per_second",] == 1024 + 1024 + 1000
    assert samples["guest_max_bytes_per_second", "free"] == float("inf")


def test_without_a_budget_nothing_is_said_of_it(hypervisor: Any, tmp_path: Path) -> None:
    hypervisor.add("runs", ONE, ONE)
    dummy, samples = run(tmp_path)
    assert not [key for key in samples if "budget" in key[0] or "promised" in key[0]]


def test_a_hypervisor_that_does_not_answer_leaves_the_host(
    hypervisor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hypervisor.down = 1
    code, samples = run(tmp_path)
    assert code == watch.UNOBSERVED
    assert samples["hypervisor_observed",] == 0
    assert ("host_entropy_available_bits",) in samples
    error = capsys.readouterr().err
    assert error.startswith("fleet-rng-watch: ")
    assert error.count("\n") == 1


def test_a_hypervisor_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()
    monkeypatch.setattr(watch, "_guests", lambda backend, budget: forever.wait() and {})
    document = watch.look("hv1", watch.Target("libvirt", "test:///hangs"), 0, 0.1)
    forever.set()
    assert document["error"] == "no answer within 1 seconds while observing the guests"
    assert document["rng"]["kernel"]["release"]


def test_none_means_no_guests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watch, "_guests", None)
    monkeypatch.setattr(watch, "recognize", None)
    code, samples = run(tmp_path, "--hypervisor", "none")
    assert code == watch.WRITTEN
    assert samples["hypervisor_observed",] == 1
    assert ("hypervisor_kinds",) not in samples


class Backend:
    """Whatever runs guests; it notes how it is asked."""

    def __init__(self, *guests: ObservedGuest) -> None:
        self.guests, self.asked = guests, ""

    def session(self, *, readonly: bool) -> Backend:
        assert readonly
        return self

    def observe_all(self) -> list[ObservedGuest]:
        self.asked = "guests"
        return list(self.guests)

    def hypervisor(self, session: Backend) -> dict[str, Any]:
        assert session.asked == "guests", "plain QEMU is known by its guests only"
        return {"kind": "proxmox", "version": "9.2.1", "rng_models": None, "rng_backends": None}


FOUND = FoundDevice(RngDevice(Source.parse("/dev/urandom"), Rate(1024, 1000)))


@pytest.mark.parametrize("option", [(), ("--hypervisor", "proxmox")])
def test_every_kind_has_the_same_metrics(
    option: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guests = (
        ObservedGuest("web1", "u1", running=True, config=(FOUND,), live=(), number="101", blocked=((LOCK, "backup"),)),
        ObservedGuest("bad", "u2", running=True, error="cannot be read"),
        ObservedGuest("golden", "u3", config=(), blocked=((TEMPLATE, "left alone"),)),
    )
    monkeypatch.setattr(watch, "_backend", lambda kind, target: Backend(*guests))
    monkeypatch.setattr(watch, "recognize", lambda: ("proxmox",))
    code, samples = run(tmp_path, *(option or ("--hypervisor", "auto")))
    assert code == watch.WRITTEN
    assert samples.get(("hypervisor_kinds",)) == (None if option else 1)
    assert next(key for key in samples if key[0] == "hypervisor_info")[1:3] == ("proxmox", "9.2.1")
    assert {key: value for key, value in samples.items() if key[0].startswith("guest_")} == {
        ("guest_running", "web1"): 1,
        ("guest_running", "bad"): 1,
        ("guest_attached", "web1", "config"): 1,
        ("guest_attached", "web1", "live"): 0,
        ("guest_needs_restart", "web1"): 1,
    }


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((), "no hypervisor was recognized on this host"),
        (("libvirt", "proxmox"), "several kinds of hypervisor are on this host: libvirt, proxmox; set "),
    ],
)
def test_a_host_that_is_no_clear_case_says_so_and_has_its_own_metrics(
    found: tuple[str, ...],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(watch, "_backend", None)
    monkeypatch.setattr(watch, "recognize", lambda: found)
    code, samples = run(tmp_path, "--hypervisor", "auto")
    assert code == watch.UNOBSERVED
    assert capsys.readouterr().err.startswith(f"fleet-rng-watch: {why}")
    assert samples["hypervisor_kinds",] == len(found)
    assert samples["hypervisor_observed",] == 0
    assert ("host_entropy_available_bits",) in samples


def test_it_prints_what_it_recognizes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer = b"fleet-rng-kinds\nruns libvirt\nruns ganeti\nend\n"
    monkeypatch.setattr(watch, "bounded_run", lambda command, seconds: (0, answer, ""))
    assert watch.main("", ["--recognize"]) == watch.WRITTEN
    assert capsys.readouterr().out == "libvirt ganeti\n"


def test_a_host_without_a_shell_has_its_own_metrics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watch, "bounded_run", lambda command, seconds: (127, b"", ""))
    code, samples = run(tmp_path, "--hypervisor", "auto")
    assert (code, samples["hypervisor_observed",]) == (watch.UNOBSERVED, 0)


@pytest.mark.parametrize("kind", ["libvirt", "qemu", "proxmox", "ganeti"])
def test_the_backend_is_that_of_the_modules(kind: str) -> None:
    backend = watch._backend(kind, watch.Target())
    assert type(backend).__module__.endswith(f"module_utils.backend.{kind}")


def test_plain_qemu_is_told_where_its_guests_are(tmp_path: Path) -> None:
    file = tmp_path / "qemu.json"
    file.write_text('{"sockets": ["/srv/*.qmp"], "processes": false, "configs": {"a b": "/srv/a"}, "config_dir": ""}')
    options = watch._backend("qemu", watch.Target(qemu=str(file))).options
    assert options.sockets == ("/srv/*.qmp",)
    assert options.processes is False
    assert options.configs == (("a b", "/srv/a"),)
    file.write_text('{"config_roots": ["/srv", "/etc"]}')
    assert watch._backend("qemu", watch.Target(qemu=str(file))).options.config_roots == ("/srv", "/etc")


@pytest.mark.parametrize("given", ["", "{}"])
def test_plain_qemu_is_seen_as_the_modules_see_it(given: str, tmp_path: Path) -> None:
    """What is not told is as the audit has it: else one sees files that the other does not."""
    file = tmp_path / "qemu.json"
    file.write_text(given)
    defaults = {name: option.get("default") for name, option in QEMU_SPEC.items()}
    options = watch._backend("qemu", watch.Target(qemu=str(file) if given else "")).options
    assert options == parse_options(defaults)
    assert defaults.keys() == watch._QEMU_OPTIONS.keys(), "and each can be told"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "allowed is an object with sockets, processes, configs, config_dir, config_roots"),
        ('{"socket": []}', "allowed is an object"),
        ('{"sockets": "/srv"}', "sockets is no list"),
        ('{"configs": {"a": "relative"}}', "an absolute path"),
        ('{"config_roots": ["/etc/qemu", "relative"]}', "an absolute path"),
    ],
)
def test_options_that_are_wrong_leave_the_host(
    text: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "qemu.json"
    if text is not None:
        file.write_text(text)
    code, samples = run(tmp_path, "--hypervisor", "qemu", "--qemu", str(file))
    assert (code, samples["hypervisor_observed",]) == (watch.UNOBSERVED, 0)
    assert why in capsys.readouterr().err


def test_a_host_whose_files_cannot_be_read_keeps_its_old_metrics(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(dummy_root: str) -> None:
        raise HypervisorError("no \x1b[2J way")

    monkeypatch.setattr(watch, "collect", refuse)
    (tmp_path / watch.FILE).write_text("as before")
    assert watch.main("", ["--directory", str(tmp_path)]) == watch.UNWRITTEN
    assert (tmp_path / watch.FILE).read_text() == "as before"
    assert capsys.readouterr().err == "fleet-rng-watch: no \\x1b[2J way\n"


def test_names_of_guests_are_only_text(hypervisor: Any, tmp_path: Path) -> None:
    name = 'a"} 1\n# EOF\n\\evil{x="\u202e<b>'
    hypervisor.add(name, "")
    dummy, samples = run(tmp_path)
    (shown,) = [key[1] for key in samples if key[0] == "guest_running"]
    assert shown == 'a"} 1\\x0a# EOF\\x0a\\evil{x="\\u202e<b>'


def test_the_text_can_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        watch.main("", ["--stdout", "--hypervisor", "none", "--directory", str(tmp_path / "nowhere")]) == watch.WRITTEN
    )
    assert read(capsys.readouterr().out)["hypervisor_observed",] == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--budget", "-1"],
        ["--budget", "1.5"],
        ["--timeout", "0"],
        ["--timeout", "3601"],
        ["extra"],
        ["--hypervisor", "xen"],
    ],
)
def test_mistaken_options_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        watch.main("", options)
    assert caught.value.code == watch.MISUSED
    assert "usage: fleet-rng-watch" in capsys.readouterr().err


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        watch.main("1.2.3", ["--version"])
    assert capsys.readouterr().out == "fleet-rng-watch 1.2.3\n"


# The file -----------------------------------------------------------------------------------------------------------


def test_everybody_may_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        watch.write(str(tmp_path), "a.prom", "text\n")
    finally:
        os.umask(before)
    assert (tmp_path / "a.prom").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.prom").write_text("old")
    seen = []

    def look(dummy_descriptor: int) -> None:
        seen.append((tmp_path / "a.prom").read_text())
        (unfinished,) = [path.name for path in tmp_path.iterdir() if path.name != "a.prom"]
        assert not unfinished.endswith(".prom"), "node_exporter would read it"

    monkeypatch.setattr(os, "fsync", look)
    watch.write(str(tmp_path), "a.prom", "new")
    assert seen == ["old"]
    assert (tmp_path / "a.prom").read_text() == "new"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(dummy_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / watch.FILE).write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    assert watch.main("", ["--hypervisor", "none", "--directory", str(tmp_path)]) == watch.UNWRITTEN
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    assert f"cannot write the metrics to {tmp_path}: No space left on device" in capsys.readouterr().err


def test_a_directory_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch.main("", ["--hypervisor", "none", "--directory", str(tmp_path / "no")]) == watch.UNWRITTEN
    assert "No such file or directory" in capsys.readouterr().err


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "a.prom").symlink_to("other")
    watch.write(str(tmp_path), "a.prom", "new")
    assert (tmp_path / "other").read_text() == "precious"
    assert not (tmp_path / "a.prom").is_symlink()


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    names = [".a.prom.old", ".a.prom.young", ".b.prom.old", "a.prom.old"]
    for name in names:
        (tmp_path / name).touch()
        if name.endswith("old"):
            os.utime(tmp_path / name, (OLD, OLD))
    watch.write(str(tmp_path), "a.prom", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names[1:], "a.prom"])
