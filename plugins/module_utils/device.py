# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that everything here speaks of: a virtio RNG device, its source and its rate.

A device crosses the wire as a mapping ``{source, max_bytes, period, model, driver}``; :meth:`RngDevice.from_wire`
and :meth:`RngDevice.to_wire` are the only places that know that spelling. All values are frozen and canonical: two
devices that behave alike compare equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from .errors import InvalidValueError

UNLIMITED = "unlimited"
DEFAULT_SOURCE = "/dev/urandom"
# With the period below 1 KiB/s, as in the documentation of QEMU and Proxmox VE: plenty for a seed.
DEFAULT_MAX_BYTES = 1024
DEFAULT_PERIOD = 1000
MAX_PERIOD = 2**32 - 1  # a uint32 of milliseconds in QEMU and in libvirt
MAX_BYTES = 2**63 - 1  # QEMU's own upper limit, which it takes for "no limit"; a hypervisor may allow less

MODELS = ("virtio", "virtio-transitional", "virtio-non-transitional")
DRIVER_OPTIONS = ("iommu", "ats", "packed", "page_per_vq")

SOURCE_FORMS = (
    "an absolute path of a character device such as /dev/urandom, or builtin, "
    "egd+unix:/path, egd+tcp://host:port, egd+udp://host:port"
)

# What a Linux guest asks its RNG for at a time: one cache line of its architecture. Linux 6.12.117 and Debian 6.1.0-56
# stop asking, until the reader gives up, once an answer was shorter (seen with QEMU 7.2); 6.1.170 did not.
# The end of a quota is shorter unless the quota is a multiple.
_REQUEST_BYTES = {"s390x": 256, "ppc64": 128, "ppc64le": 128}
_USUAL_REQUEST_BYTES = 64

_SWITCH = {True: True, False: False, "on": True, "off": False, "yes": True, "no": False, "true": True, "false": False}


def _whole_number(variable: str, value: object, low: int, high: int, allowed: str) -> int:
    """An int, or a string of decimal digits as Jinja templates yield it; never a bool or a float."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidValueError(variable, value, allowed)
    return int(value)


def request_bytes(arch: str) -> int:
    """The bytes that a Linux guest of this architecture asks for at a time."""
    return _REQUEST_BYTES.get(arch, _USUAL_REQUEST_BYTES)


@dataclass(frozen=True)
class Rate:
    """A quota: ``max_bytes`` bytes in each ``period`` milliseconds; ``max_bytes`` None means no limit."""

    max_bytes: Optional[int] = None
    period: int = DEFAULT_PERIOD

    @classmethod
    def parse(cls, max_bytes: object = UNLIMITED, period: object = DEFAULT_PERIOD, limit: int = MAX_BYTES) -> Rate:
        """Check both values; ``limit`` is the largest ``max_bytes`` that the hypervisor can carry.

        0 is refused because it has two opposite meanings: QEMU would never give the guest a byte, while libvirt and
        Proxmox VE take it for no limit.
        """
        checked = _whole_number("period", period, 1, MAX_PERIOD, f"milliseconds, an integer from 1 to {MAX_PERIOD}")
        if isinstance(max_bytes, str) and max_bytes == UNLIMITED:
            return cls()
        allowed = f"an integer from 1 to {limit}, or {UNLIMITED}"
        if not isinstance(max_bytes, bool) and max_bytes in (0, "0"):
            allowed += " (0 starves the guest on QEMU and means no limit elsewhere)"
        return cls(_whole_number("max_bytes", max_bytes, 1, limit, allowed), checked)

    @property
    def bytes_per_second(self) -> Optional[float]:
        """The average that the quota allows, or None without a limit."""
        return None if self.max_bytes is None else self.max_bytes * 1000 / self.period

    def __str__(self) -> str:
        return UNLIMITED if self.max_bytes is None else f"{self.max_bytes} B / {self.period} ms"


@dataclass(frozen=True)
class Source:
    """Where the host gets the bytes from.

    ``kind`` is ``random`` (``path`` is a character device), ``builtin`` (QEMU's own getrandom), or ``egd``
    (``transport`` unix with ``path``, or tcp or udp with ``host`` and ``port``).
    """

    kind: str
    path: str = ""
    transport: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: object) -> Source:
        """Read the one spelling that options, variables and results share; the inverse of ``str()``."""
        if not isinstance(text, str) or not text or len(text) > 1024 or not _writable(text):
            raise InvalidValueError("source", text, SOURCE_FORMS)
        if text == "builtin":
            return cls("builtin")
        if text.startswith("/"):
            return cls("random", path=_plain_path(text, text))
        if text.startswith("egd+unix:"):
            return cls("egd", transport="unix", path=_plain_path(text[9:], text))
        for transport in ("tcp", "udp"):
            if text.startswith(f"egd+{transport}://"):
                return cls._network(transport, text)
        raise InvalidValueError("source", text, SOURCE_FORMS)

    @classmethod
    def _network(cls, transport: str, text: str) -> Source:
        try:
            url = urlsplit(text)
            host, port = url.hostname or "", url.port or 0
        except ValueError:
            host, port = "", 0
        source = cls("egd", transport=transport, host=host, port=port)
        if not host or not port or not re.fullmatch(r"[A-Za-z0-9._:-]+", host) or str(source) != text.lower():
            raise InvalidValueError("source", text, f"egd+{transport}://host:port, with a port from 1 to 65535")
        return source

    def __str__(self) -> str:
        if self.kind == "builtin":
            return "builtin"
        if self.kind == "random":
            return self.path
        if self.transport == "unix":
            return f"egd+unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"egd+{self.transport}://{host}:{self.port}"


def _writable(text: str) -> bool:
    """Whether every file and XML document can express it, and a terminal shows it as it is: no control characters,
    surrogates or marks that turn the reading direction, and no sign that QEMU's own configuration files lack."""
    return text.isprintable() and '"' not in text


def _plain_path(path: str, text: str) -> str:
    """Refuse what could name another file than it seems to: relative parts, doubled slashes, procfs and sysfs."""
    parts = path.split("/")
    if not path.startswith("/") or len(parts) < 3 or any(part in ("", ".", "..") for part in parts[1:]):
        raise InvalidValueError("source", text, f"{SOURCE_FORMS}; a path without . or .. or doubled slashes")
    if parts[1] in ("proc", "sys"):
        raise InvalidValueError("source", text, f"{SOURCE_FORMS}; nothing under /{parts[1]}")
    return path


@dataclass(frozen=True)
class RngDevice:
    """One virtio RNG of one guest. Equal devices behave alike, whoever attached them."""

    source: Source
    rate: Rate = field(default_factory=Rate)
    model: str = "virtio"
    driver: Tuple[Tuple[str, bool], ...] = ()

    @classmethod
    def from_wire(cls, data: Mapping[str, Any], max_bytes_limit: int = MAX_BYTES) -> RngDevice:
        """Check a mapping ``{source, max_bytes, period, model, driver}`` from outside; absent and null mean default."""
        given = {key: value for key, value in data.items() if value is not None}
        model = given.get("model", "virtio")
        if model not in MODELS:
            raise InvalidValueError("model", model, ", ".join(MODELS))
        return cls(
            source=Source.parse(given.get("source", DEFAULT_SOURCE)),
            rate=Rate.parse(
                given.get("max_bytes", DEFAULT_MAX_BYTES), given.get("period", DEFAULT_PERIOD), max_bytes_limit
            ),
            model=str(model),
            driver=parse_driver(given.get("driver", {})),
        )

    def to_wire(self) -> Dict[str, Any]:
        """The mapping that results, plans and modules exchange."""
        return {
            "source": str(self.source),
            "max_bytes": UNLIMITED if self.rate.max_bytes is None else self.rate.max_bytes,
            "period": self.rate.period,
            "model": self.model,
            "driver": dict(self.driver),
        }

    def __str__(self) -> str:
        extras = [] if self.model == "virtio" else [self.model]
        extras += [f"{name}={'on' if on else 'off'}" for name, on in self.driver]
        return ", ".join([str(self.source), str(self.rate), *extras])


def parse_driver(value: object) -> Tuple[Tuple[str, bool], ...]:
    """Virtio driver options: a mapping of ``iommu``, ``ats``, ``packed``, ``page_per_vq`` to a boolean."""
    allowed = f"a mapping of {', '.join(DRIVER_OPTIONS)} to true or false"
    if not isinstance(value, Mapping):
        raise InvalidValueError("driver", value, allowed)
    options = {}
    for name, setting in value.items():
        if setting is None:
            continue
        if name not in DRIVER_OPTIONS or not isinstance(setting, (bool, str)) or setting not in _SWITCH:
            raise InvalidValueError("driver", {name: setting}, allowed)
        options[str(name)] = _SWITCH[setting]
    return tuple(sorted(options.items()))
