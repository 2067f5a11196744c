# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe in every shell, against Python's reading of the same files, and its parser against anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.fleet.rng.plugins.module_utils.kernel import probe
from ansible_collections.fleet.rng.plugins.module_utils.kernel.broker_file import BROKER, BROKER_LIMIT
from hypothesis import example, given
from hypothesis import strategies as st

SHELLS = ["dash", "bash --posix", "bash", "busybox sh"]
shells = pytest.mark.parametrize("shell", [name for name in SHELLS if shutil.which(name.split()[0])])
HW_RANDOM = "/sys/devices/virtual/misc/hw_random/"


def run(
    root: Path | str = "/", shell: str = "sh", seconds: int = 10, path: str | None = None, user: int | None = None
) -> str:
    environment = {"PATH": path or os.environ["PATH"], "LANG": "de_DE.UTF-8"}
    done = subprocess.run(
        ["/bin/sh", "-c", probe.command(str(root), seconds, shell)],
        env=environment,
        user=user,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == b""
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A recorded tree with a bit of everything: a spare name, no newline at the end, an empty file, a device."""
    root = tmp_path / "it's a $(root) \\ tree"
    files = {
        HW_RANDOM + "rng_available": b"virtio_rng.0 tpm-rng-0 \n",
        HW_RANDOM + "rng_current": b"virtio_rng.0",
        HW_RANDOM + "rng_quality": b"",
        "/sys/bus/virtio/devices/virtio0/device": b"0x0004\n",
        "/sys/bus/virtio/devices/virtio1/device": b"0x0001\n",
        "/sys/module/virtio_rng/initstate": b"live\n",
        "/proc/sys/kernel/osrelease": b"5.10.0-8-amd64\n",
        "/proc/sys/kernel/random/entropy_avail": b"3071\n",
        "/proc/cpuinfo": b"flags : " + b"x" * 9000 + b"\n" + b"\n" * 100,
        "/proc/1/comm": b"init\n",
        "/proc/17/comm": b"rngd\n",
        "/proc/18/comm": b"rngdx\n",
        "/proc/self/comm": b"rngd\n",
        "/proc/cmdline": b"ro \xff\xc3\x28 quiet\n",
    }
    for name, content in files.items():
        path = Path(f"{root}{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@shells
def test_probe_and_python_agree_on_this_machine(shell: str) -> None:
    shown = probe.parse(run(shell=shell))
    read = probe.collect()
    # An estimate, a clock rate, and what a broker on this machine writes.
    for changing in ("/proc/sys/kernel/random/entropy_avail", "/proc/cpuinfo", BROKER, "now"):
        assert (changing in shown) == (changing in read)
        shown.pop(changing, None)
        read.pop(changing, None)
    assert shown == read
    assert "uname" in shown


@shells
def test_probe_and_python_agree_on_a_tree(shell: str, tree: Path) -> None:
    snapshot = probe.collect(str(tree))
    assert probe.parse(run(tree, shell)) == snapshot
    assert snapshot[HW_RANDOM + "rng_current"] == "virtio_rng.0\n"
    assert HW_RANDOM + "rng_selected" not in snapshot
    assert snapshot["/proc/17/comm"] == "rngd\n"
    assert "/proc/18/comm" not in snapshot
    assert len(snapshot["/proc/cpuinfo"].split("\n")[0]) == probe.LINE_LIMIT
    assert snapshot["/proc/cmdline"] == "ro \ufffd\ufffd( quiet\n"
    assert snapshot["hwrng"] == "missing"
    assert "uname" not in snapshot


@shells
def test_services_are_known_by_their_control_groups(shell: str, tree: Path) -> None:
    Path(tree, "sys/fs/cgroup/system.slice/haveged.service").mkdir(parents=True)
    snapshot = probe.parse(run(tree, shell))
    assert snapshot == probe.collect(str(tree))
    assert "/sys/fs/cgroup/system.slice/haveged.service" in snapshot
    assert "/proc/17/comm" not in snapshot


@shells
def test_no_file_can_speak_for_another(shell: str, tree: Path) -> None:
    lie = (
        "x\nproc/sys/kernel/random/poolsize:256\n= hwrng byte\n+ .dockerenv\n= uname FreeBSD 14 amd64\n"
        f"= timeout\ngrep: proc/cmdline: gone\n{probe.END}\n{probe.BEGIN}\n\r\n= root unusable\n"
    )
    Path(tree, "proc/cmdline").write_text(lie)
    snapshot = probe.parse(run(tree, shell))
    assert snapshot == probe.collect(str(tree))
    assert snapshot["/proc/cmdline"] == lie
    assert snapshot["hwrng"] == "missing"
    assert "/proc/sys/kernel/random/poolsize" not in snapshot


@shells
@pytest.mark.parametrize(
    ("device", "answer"),
    [("/dev/zero", "byte"), ("/dev/null", "end of file"), ("/proc/version", "not a character device")],
)
def test_hwrng_is_tried_out(shell: str, device: str, answer: str, tree: Path) -> None:
    Path(tree, "dev").mkdir()
    Path(tree, "dev/hwrng").symlink_to(device)
    assert probe.parse(run(tree, shell))["hwrng"] == probe.collect(str(tree))["hwrng"] == answer


@shells
def test_a_silent_hwrng_is_given_up(shell: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "READ_SECONDS", 0.2)
    master, slave = os.openpty()  # a character device that gives nothing
    try:
        Path(tree, "dev").mkdir()
        Path(tree, "dev/hwrng").symlink_to(os.ttyname(slave))
        started = time.monotonic()
        assert probe.parse(run(tree, shell))["hwrng"] == "timeout"
        assert time.monotonic() - started < 60
        assert probe.collect(str(tree))["hwrng"] == "timeout"
    finally:
        os.close(master)  # which also ends the thread that still reads
        os.close(slave)


@shells
def test_what_may_not_be_read_is_named(shell: str, tree: Path) -> None:
    with tempfile.TemporaryDirectory() as reachable:  # pytest's own is for its user only
        Path(reachable).chmod(0o755)
        copy = shutil.copytree(tree, Path(reachable, "tree"))
        Path(copy, "proc/cmdline").chmod(0)
        user = 65534 if os.geteuid() == 0 else None
        shown = probe.parse(run(copy, shell, user=user))
        os.seteuid(user or os.geteuid())
        try:
            assert shown == probe.collect(str(copy))
        finally:
            os.seteuid(os.getuid())
    assert shown["!/proc/cmdline"] == "Permission denied"
    assert "/proc/cmdline" not in shown


@shells
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{\n  "a": "\xc3\xa4"\r\n}\n\n', '{   "a": "\xe4"  }'),
        (b"", ""),
        (b"-n %s \\n $(id) `id`\n= uname FreeBSD 14 amd64\nproc/cmdline:x", None),
        (b"\x00\xff\x00\x1b[2J", "\ufffd\x1b[2J"),
        (b"x" * (BROKER_LIMIT + 9), "x" * (BROKER_LIMIT + 1)),
    ],
)
def test_the_status_of_a_broker_is_one_line_of_limited_length(
    shell: str, content: bytes, text: str | None, tree: Path
) -> None:
    path = Path(f"{tree}{BROKER}")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    snapshot = probe.parse(run(tree, shell))
    assert snapshot == probe.collect(str(tree))
    assert snapshot[BROKER] == (content.decode().replace("\n", " ") if text is None else text)
    assert "now" not in snapshot  # a recorded tree has no clock
    assert "uname" not in snapshot


@shells
@pytest.mark.parametrize("kind", ["fifo", "directory", "link", "device", "dangling link"])
def test_what_is_no_file_in_the_place_of_the_status_is_not_opened(shell: str, kind: str, tree: Path) -> None:
    path = Path(f"{tree}{BROKER}")
    path.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to({"link": "/etc/passwd", "device": "/dev/zero"}.get(kind, "/nowhere"))
    started = time.monotonic()
    snapshot = probe.parse(run(tree, shell))
    assert time.monotonic() - started < 60
    assert snapshot == probe.collect(str(tree))
    assert snapshot["!" + BROKER] == "not a regular file"
    assert BROKER not in snapshot


@shells
def test_a_status_that_may_not_be_read_says_so(shell: str) -> None:
    with tempfile.TemporaryDirectory() as reachable:
        Path(reachable).chmod(0o755)
        path = Path(f"{reachable}{BROKER}")
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        path.chmod(0)
        user = 65534 if os.geteuid() == 0 else None
        assert probe.parse(run(reachable, shell, user=user))["!" + BROKER] == "Permission denied"


@shells
def test_a_status_that_hangs_is_given_up(shell: str, tree: Path, tmp_path: Path) -> None:
    """What is a file when it is looked at may be something else when it is opened."""
    path = Path(f"{tree}{BROKER}")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    fake = tmp_path / "head"
    fake.write_text('#!/bin/sh\ncase $3 in *status.json) exec sleep 60 ;; esac\nexec /usr/bin/head "$@"\n')
    fake.chmod(0o755)
    output = run(tree, shell, path=f"{tmp_path}:{os.environ['PATH']}")
    if shell == "busybox sh" and "= broker" in output:
        pytest.skip("this busybox prefers its own head to that of PATH")
    assert probe.parse(output)["!" + BROKER] == "no answer within a second"


@shells
def test_the_time_limit_holds_and_nothing_stays_behind(shell: str, tmp_path: Path) -> None:
    fake = tmp_path / "grep"
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    fake.chmod(0o755)
    started = time.monotonic()
    output = run(shell=shell, seconds=3, path=f"{tmp_path}:{os.environ['PATH']}")
    if shell == "busybox sh" and not (tmp_path / "pid").exists():
        pytest.skip("this busybox prefers its own grep to that of PATH")
    with pytest.raises(probe.ProbeError, match="within its time limit"):
        probe.parse(output)
    assert time.monotonic() - started < 60
    assert _ends(int((tmp_path / "pid").read_text()))


def _ends(process: int) -> bool:
    for _attempt in range(600):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # only waits for the reaper
            return True
        time.sleep(0.05)
    return False


@shells
def test_the_output_is_limited(shell: str, tree: Path) -> None:
    for number in range(64):
        path = tree / f"sys/bus/virtio/devices/virtio{number}/device"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"y" * 8000 + b"\n")
    output = run(tree, shell)
    assert len(output) == probe.OUTPUT_LIMIT
    with pytest.raises(probe.ProbeError, match="cut off"):
        probe.parse(output)


@shells
def test_other_systems_are_unsupported(shell: str, tmp_path: Path) -> None:
    fake = tmp_path / "uname"
    fake.write_text("#!/bin/sh\necho FreeBSD 14.1-RELEASE amd64\n")
    fake.chmod(0o755)
    output = run(shell=shell, path=f"{tmp_path}:{os.environ['PATH']}")
    if shell == "busybox sh" and "FreeBSD" not in output:
        pytest.skip("this busybox prefers its own uname to that of PATH")
    with pytest.raises(probe.UnsupportedSystemError, match="only Linux is supported; this machine says FreeBSD"):
        probe.parse(output)


@shells
def test_a_root_that_is_no_directory_is_named(shell: str, tmp_path: Path) -> None:
    with pytest.raises(probe.ProbeError, match="root is not a directory"):
        probe.parse(run(tmp_path / "missing", shell))


def test_a_terminal_in_between_changes_nothing(tree: Path) -> None:
    output = run(tree)
    noisy = "Welcome!\r\n\x1b]0;web1\x07" + output.replace("\n", "\r\n") + "logout\r\n"
    assert probe.parse(noisy) == probe.parse(output)


def lines(*between: str) -> str:
    return "\n".join([probe.BEGIN, *between, probe.END, ""])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "did not run the probe; it said: nothing"),
        ("bash: \x1b[31mhead: not found", r"it said: bash: \\x1b\[31mhead"),
        (probe.BEGIN + "\nproc/cmdline:ro", "cut off"),
        (lines("etc/shadow:root"), "never prints: etc/shadow:root"),
        (lines("+ etc/shadow"), "never prints"),
        (lines("= hwrng "), "never prints"),
        (lines("sys/bus/virtio/devices/a/b/device:4"), "never prints"),
        (lines("proc/x/comm:rngd"), "never prints"),
        (lines("Binary file proc/cmdline matches"), "never prints"),
        ("x" * (probe.OUTPUT_LIMIT * 2), "where the probe sends"),
    ],
)
def test_garbage_is_refused(output: str, message: str) -> None:
    with pytest.raises(probe.ProbeError, match=message):
        probe.parse(output)


LINES = st.one_of(
    st.sampled_from(
        [probe.BEGIN, probe.END, "= timeout", "= uname Linux", "= hwrng byte", "+ sys/bus", "proc/cmdline:a"]
    ),
    st.text(max_size=30),
)


@given(st.lists(LINES, max_size=8).map("\n".join))
@example(probe.BEGIN + "\n= uname Linux\n" + probe.END)
@example(lines("proc/cmdline:\udcff\ud800"))
def test_the_parser_raises_nothing_but_its_own_error(output: str) -> None:
    try:
        snapshot = probe.parse(output)
    except probe.ProbeError as error:
        snapshot = {"why": str(error)}
    assert all(isinstance(item, str) for pair in snapshot.items() for item in pair)
    assert snapshot.get("why", "").isprintable()
    assert len(snapshot.get("why", "")) < 400


def test_reading_is_fast_enough_to_be_done_in_every_observation() -> None:
    best = min(_seconds(probe.collect) for _attempt in range(5))
    assert best < 0.25  # about 3 ms on an idle machine; the margin is for a busy one


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
