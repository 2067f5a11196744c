# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running QEMU says of its virtio RNGs, over QMP: the questions, and strict reading of the answers.

Only queries: qom-list and qom-get. A chardev's ``connected`` and ``addr`` are asked of QOM as well, since query-chardev
has them only in a text for people, and in one of a connected UNIX socket the path is missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Generator, List, Mapping, Optional, Tuple, Union

from ..device import MAX_BYTES, MAX_PERIOD, UNLIMITED, Source
from ..errors import GuestError
from ..text import printable

BACKENDS = ("rng-random", "rng-builtin", "rng-egd")
MAX_DEVICES = 32

_PARENTS = ("/machine/peripheral", "/machine/peripheral-anon")  # devices with an id, and without
_RNG_TYPE = re.compile(r"child<virtio-rng-[a-z0-9-]+>")
_CHILD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\[\]-]{0,127}")
_PATH = re.compile(r"/[A-Za-z0-9._/\[\]-]{1,1023}")
_ANSWER_LIMIT = 1024 * 1024  # characters; a machine with a thousand devices lists them in a tenth of it


@dataclass(frozen=True)
class QemuRng:
    """One virtio RNG as QEMU runs it. ``id`` is libvirt's alias.

    ``source`` is None where QEMU does not tell it (EGD over UDP); ``connected`` is for EGD, and None where not told.
    """

    id: str
    backend: str
    source: Optional[str] = None
    max_bytes: Union[int, str] = UNLIMITED
    period: int = 0
    connected: Optional[bool] = None

    def to_wire(self) -> Dict[str, Any]:
        return {
            "id": self.id,
            "source": self.source,
            "max_bytes": self.max_bytes,
            "period": self.period,
            "backend": self.backend,
        }


class RefusedError(GuestError):
    """QEMU answered with an error: it has no such object or property."""


Conversation = Generator[str, str, Tuple[QemuRng, ...]]


def ask_for_rngs() -> Conversation:
    """A conversation: it yields a command, is sent QEMU's answer, and returns what QEMU has.

    :raises GuestError: when an answer is not what QEMU would say.
    """
    found: List[QemuRng] = []
    for parent in _PARENTS:
        for name in rng_names(parse_answer((yield command("qom-list", path=parent)))):
            if len(found) == MAX_DEVICES:
                raise GuestError(f"QEMU has more than {MAX_DEVICES} virtio RNGs")
            found.append((yield from ask_for_rng(f"{parent}/{name}", name)))
    return tuple(found)


def ask_for_rng(path: str, name: str) -> Generator[str, str, QemuRng]:
    max_bytes = _number("max-bytes", parse_answer((yield _get(path, "max-bytes"))), MAX_BYTES)
    period = _number("period", parse_answer((yield _get(path, "period"))), MAX_PERIOD)
    backend = parse_path("rng", parse_answer((yield _get(path, "rng"))))
    kind = parse_answer((yield _get(backend, "type")))
    if kind not in BACKENDS:
        raise GuestError(f"QEMU has a backend {printable(str(kind), 60)}")
    source: Optional[str] = "builtin"
    connected: Optional[bool] = None
    if kind == "rng-random":
        source = _text("filename", parse_answer((yield _get(backend, "filename"))))
    elif kind == "rng-egd":
        chardev = parse_path("chardev", f"/chardevs/{parse_answer((yield _get(backend, 'chardev')))}")
        source = _address(_unless_refused((yield _get(chardev, "addr"))))
        answer = _unless_refused((yield _get(chardev, "connected")))
        connected = answer if isinstance(answer, bool) else None
    return QemuRng(name, str(kind), source, UNLIMITED if max_bytes == MAX_BYTES else max_bytes, period, connected)


def command(name: str, **arguments: str) -> str:
    """One QMP command."""
    return json.dumps({"execute": name, "arguments": arguments})


def _get(path: str, name: str) -> str:
    return command("qom-get", path=path, property=name)


def parse_answer(text: str) -> Any:
    """What a command returned.

    :raises RefusedError: when QEMU answered with an error.
    :raises GuestError: when it is no answer at all.
    """
    try:
        if len(text) > _ANSWER_LIMIT:
            raise ValueError("too long")
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GuestError(f"QEMU's answer cannot be read: {printable(str(error), 100)}") from error
    if isinstance(answer, dict) and "return" in answer:
        return answer["return"]
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise RefusedError(f"QEMU: {printable(str(answer['error'].get('desc')), 200)}")
    raise GuestError("QEMU's answer is neither a result nor an error")


def _unless_refused(text: str) -> Any:
    """None where QEMU does not have the property: it is an older one, or the chardev is of another kind."""
    try:
        return parse_answer(text)
    except RefusedError:
        return None


def rng_names(children: Any) -> List[str]:
    if not isinstance(children, list) or not all(isinstance(child, dict) for child in children):
        raise GuestError("QEMU's list of devices is none")
    names = [child.get("name") for child in children if _RNG_TYPE.fullmatch(str(child.get("type")))]
    for name in names:
        if not isinstance(name, str) or not _CHILD_NAME.fullmatch(name):
            raise GuestError(f"QEMU has a virtio RNG called {printable(str(name), 60)}")
    return [str(name) for name in names]


def _number(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise GuestError(f"QEMU's {name} is {printable(str(value), 60)}")
    return value


def parse_path(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise GuestError(f"QEMU's {name} is {printable(str(value), 60)}")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise GuestError(f"QEMU's {name} is {printable(str(value), 60)}")
    return printable(value, 1024)


def _address(value: Any) -> Optional[str]:
    """A SocketAddress as a source is spelled here; None for what has no spelling."""
    address: Mapping[str, Any] = value if isinstance(value, dict) else {}
    if address.get("type") == "unix" and isinstance(address.get("path"), str):
        return printable(f"egd+unix:{address['path']}", 1024)
    if address.get("type") == "inet" and isinstance(address.get("host"), str) and str(address.get("port")).isdigit():
        host = printable(str(address["host"]), 255)
        return str(Source("egd", transport="tcp", host=host, port=int(str(address["port"])[:6])))
    return None
