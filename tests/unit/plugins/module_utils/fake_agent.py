# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's agent without a guest: it has files, a system and programs, and refuses in libvirt's way or in its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.transport.agent import REFUSED, AgentError

HW_RANDOM = "/sys/devices/virtual/misc/hw_random/"
RANDOM = "/proc/sys/kernel/random/"
DEBIAN = {
    "id": "debian",
    "name": "Debian GNU/Linux",
    "pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "version-id": "12",
    "kernel-release": "6.1.0-30-amd64",
    "kernel-version": "#1 SMP",
    "machine": "x86_64",
}
FILES = {
    HW_RANDOM + "rng_available": "virtio_rng.0 \n",
    HW_RANDOM + "rng_current": "virtio_rng.0\n",
    HW_RANDOM + "rng_quality": "1000\n",
    RANDOM + "entropy_avail": "256\n",
    RANDOM + "poolsize": "256\n",
    "/proc/sys/kernel/osrelease": "6.1.0-30-amd64\n",
    "/proc/cmdline": "quiet random.trust_cpu=on\n",
    "/sys/module/virtio_rng/initstate": "live\n",
    "/sys/bus": None,
}
COMMANDS = ("info", "get-osinfo", "file-open", "file-read", "file-close", "exec", "exec-status", "get-devices")


class FakeAgent:
    """``files`` has text, None for a directory, or an exception. ``program`` gives (out, err, code)."""

    def __init__(
        self,
        files: Mapping[str, Any] | None = None,
        os: Any = None,
        off: tuple[str, ...] = ("get-devices",),
        program: Callable[[list[str]], tuple[bytes, bytes, int]] | None = None,
        devices: Any = (),
    ) -> None:
        self.files: Mapping[str, Any] = FILES if files is None else files
        self.os = DEBIAN if os is None else os
        self.off, self.program, self.devices = off, program, devices
        self.handles: dict[int, str] = {}
        self.asked: list[str] = []
        self.finished: dict[int, tuple[bytes, bytes, int]] = {}
        self.programs: list[list[str]] = []

    def __call__(self, text: str, seconds: float = 1) -> str:
        """Answer one command; the seconds do not matter."""
        assert seconds > 0
        command = json.loads(text)
        name = command["execute"].removeprefix("guest-")
        self.asked.append(name)
        if name in self.off:
            raise AgentError(REFUSED, f"Command guest-{name} has been disabled")
        answer = getattr(self, "_" + name.replace("-", "_"))(**command.get("arguments", {}))
        return answer if isinstance(answer, str) else json.dumps({"return": answer})

    def _info(self) -> Any:
        return {"supported_commands": [{"name": f"guest-{name}", "enabled": name not in self.off} for name in COMMANDS]}

    def _get_osinfo(self) -> Any:
        return self.os

    def _get_devices(self) -> Any:
        return list(self.devices)

    def _file_open(self, path: str, mode: str) -> Any:
        assert mode == "r"
        if path not in self.files:
            raise AgentError(REFUSED, f"failed to open file '{path}' (mode: 'r'): No such file or directory")
        if isinstance(self.files[path], Exception):
            raise self.files[path]
        handle = 1000 + len(self.asked)
        self.handles[handle] = path
        return handle

    def _file_read(self, handle: int, count: int) -> Any:
        text = self.files[self.handles[handle]]
        if text is None:
            raise AgentError(REFUSED, "failed to read file: Is a directory")
        content = text.encode("utf-8", "surrogateescape")[:count]
        return {"count": len(content), "buf-b64": base64.b64encode(content).decode(), "eof": True}

    def _file_close(self, handle: int) -> Any:
        del self.handles[handle]
        return {}

    def _exec(self, **options: Any) -> Any:
        assert (options["path"], options["capture-output"]) == ("/bin/sh", True)
        assert self.program is not None, options
        self.programs.append(options["arg"])
        pid = 100 + len(self.finished)
        self.finished[pid] = self.program(options["arg"])
        return {"pid": pid}

    def _exec_status(self, pid: int) -> Any:
        out, err, code = self.finished[pid]
        data = {"out-data": base64.b64encode(out).decode(), "err-data": base64.b64encode(err).decode()}
        return {"exited": True, "exitcode": code, **data}
