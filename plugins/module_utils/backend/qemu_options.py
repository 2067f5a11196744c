# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the plain QEMU guests of a host are to be found: the options, and their way into values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple

from ..errors import InvalidValueError
from ..text import printable

QEMU_SPEC: Dict[str, Any] = {
    "processes": {"type": "bool", "default": True},
    "sockets": {"type": "list", "elements": "str", "default": []},
    "configs": {"type": "dict", "default": {}},
    "config_dir": {"type": "path"},
    "config_roots": {"type": "list", "elements": "path", "default": ["/etc/qemu"]},
}


@dataclass(frozen=True)
class Options:
    """Patterns of sockets, whether to look for processes, and where configuration files may be written.

    ``configs`` is (name, path) of guests; ``config_dir`` holds a file of our own for each guest that has no other.
    """

    sockets: Tuple[str, ...] = ()
    processes: bool = True
    configs: Tuple[Tuple[str, str], ...] = ()
    config_dir: str = ""
    config_roots: Tuple[str, ...] = ("/etc/qemu",)


def parse_options(options: Mapping[str, Any]) -> Options:
    """The options of the module, checked.

    :raises InvalidValueError: naming the option, what was given, and what is allowed.
    """
    configs = tuple(sorted((str(name), path) for name, path in options["configs"].items()))
    for name, path in configs:
        _check_absolute(f"configs.{printable(name, 60)}", path)
    for option, paths in (("config_dir", [options["config_dir"]]), ("config_roots", options["config_roots"])):
        for path in paths:
            if path:
                _check_absolute(option, path)
    return Options(
        sockets=tuple(options["sockets"]),
        processes=options["processes"],
        configs=configs,
        config_dir=options["config_dir"] or "",
        config_roots=tuple(options["config_roots"]),
    )


def _check_absolute(option: str, path: object) -> None:
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise InvalidValueError(option, path, "an absolute path")
