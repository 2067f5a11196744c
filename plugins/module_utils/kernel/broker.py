# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entropy broker of a machine, by the status file that it keeps: checked, bounded and printable.

The daemon serves guests, and a machine that is looked at may itself be a guest: nothing in its file is believed before
its type and its size are right. Pure, and total: any text gives a result.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple

from ..text import printable
from .broker_file import BROKER, BROKER_LIMIT

SCHEMA = "fleet.rng/broker/1"
RUNNING, STALE, UNREADABLE = "running", "stale", "unreadable"
STALE_AFTER = 60  # seconds without an update; a daemon that lives writes every few
LONG_WAIT = 10.0  # seconds that the request of a guest may wait before somebody should look
# The states of a source.
SERVING, STANDBY, STARTING, FAILED, MISSING, STALLED = "serving", "standby", "starting", "failed", "missing", "stalled"
CUT_OFF = (FAILED, MISSING, STALLED)

MOST_GUESTS = 200
CLIENT_NAME = 100  # characters that are kept of a guest's name
_MOST_CLASSES = 1000
_MOST_SOURCES = 32
_MOST_SOCKETS = 16
_LARGEST = 2**63

Reader = Callable[[Any, str], Any]


class _WrongError(ValueError):
    """What is wrong with the document, with the path to it."""


def interpret_broker(snapshot: Mapping[str, str]) -> Optional[Dict[str, Any]]:
    """The value ``broker`` of ``rng_info``: None where no broker is."""
    failure = snapshot.get("!" + BROKER)
    if failure is not None:
        return unreadable(failure)
    if BROKER not in snapshot:
        return None
    try:
        document = _read(snapshot[BROKER])
    except _WrongError as error:
        return unreadable(str(error))
    age = _age(document["updated"], snapshot.get("now", ""))
    why = _why_stale(age)
    judged = {"serving": served_by(document), "waiting_long": len(waiting_long(document))}
    return {"status": STALE if why else RUNNING, "why": why, "age": age, **judged, **document}


def unreadable(why: str) -> Dict[str, Any]:
    """There is a broker, or was one, and nothing can be said about it but why."""
    nothing: Dict[str, Any] = {name: [] if name in ("sources", "classes", "guests") else None for name in _DOCUMENT}
    return {"status": UNREADABLE, "why": printable(why), **dict.fromkeys(_JUDGED), **nothing}


def waiting_long(broker: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The guests whose request waits for so long that somebody should look."""
    return [guest for guest in broker["guests"] if guest["waiting"] is not None and guest["waiting"] > LONG_WAIT]


def served_by(broker: Mapping[str, Any]) -> Optional[str]:
    """The source that guests get their bytes from; None when there is none."""
    return next((str(source["source"]) for source in broker["sources"] if source["state"] == SERVING), None)


def _age(updated: float, now: str) -> Optional[int]:
    """Seconds since the last update by the machine's own clock; None for a recorded tree, which has no clock."""
    return int(now) - int(updated) if re.fullmatch("[0-9]{1,14}", now) else None


def _why_stale(age: Optional[int]) -> Optional[str]:
    if age is not None and age > STALE_AFTER:
        return f"not updated for {age} seconds"
    if age is not None and age < -STALE_AFTER:  # the clock was set back, and nobody has written since
        return f"last updated {-age} seconds ahead of the machine's clock"
    return None


# The document --------------------------------------------------------------------------------------------------------


def _read(text: str) -> Dict[str, Any]:
    if len(text.encode("utf-8", "replace")) > BROKER_LIMIT:
        raise _WrongError(f"it is larger than {BROKER_LIMIT} bytes")
    try:
        found = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise _WrongError("it is nested too deeply") from None
    except ValueError as error:
        raise _WrongError(f"it is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise _WrongError(f"it is no {SCHEMA} document")
    document: Dict[str, Any] = _object(_DOCUMENT)(found, "")
    document["guests_total"] = max(document["guests_total"], len(document["guests"]))
    _check_tree(document["classes"])
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check_tree(classes: List[Dict[str, Any]]) -> None:
    """Each name once, and every class below one that is there, so that walking the tree comes to an end."""
    parents: Dict[str, Optional[str]] = {}
    for one in classes:
        if one["name"] in parents:
            raise _WrongError(f"two classes are called {one['name']}")
        parents[one["name"]] = one["parent"]
    sound = set()
    for name in parents:
        path: List[str] = []
        step: Optional[str] = name
        while step is not None and step not in sound:
            if step not in parents or step in path:
                what = "below it" if step in path else "not there"
                raise _WrongError(f"the class {path[-1]} is below {step}, which is {what}")
            path.append(step)
            step = parents[step]
        sound.update(path)


def _wrong(value: Any, path: str, wanted: str) -> _WrongError:
    return _WrongError(f"{path} is {printable(repr(value)[:100], 40)}, and has to be {wanted}")


def _text(limit: int) -> Reader:
    def read(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise _wrong(value, path, "a text")
        return printable(value, limit)

    return read


def _count(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
        raise _wrong(value, path, "a count")
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LARGEST:
        raise _wrong(value, path, "a number that is not negative")
    return float(value)


def _or_null(reader: Reader) -> Reader:
    return lambda value, path: None if value is None else reader(value, path)


def _list(reader: Reader, most: int) -> Reader:
    """At most so many items: what comes after them is left out."""

    def read(value: Any, path: str) -> List[Any]:
        if not isinstance(value, list):
            raise _wrong(value, path, "a list")
        return [reader(item, f"{path}[{index}]") for index, item in enumerate(value[:most])]

    return read


def _object(readers: Mapping[str, Reader]) -> Reader:
    """A later version may say more: keys that are not known are left out."""

    def read(value: Any, path: str) -> Dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, path, "an object")
        missing = [name for name in readers if name not in value]
        if missing:
            raise _WrongError(f"{path or 'it'} has no {missing[0]}")
        return {name: reader(value[name], f"{path}.{name}" if path else name) for name, reader in readers.items()}

    return read


_NAME = _text(64)
_SOURCE: Dict[str, Reader] = {
    "source": _text(200),
    "state": _text(20),
    "why": _or_null(_text(300)),
    "bytes": _count,
    "failures": _count,
}
_CLASS: Dict[str, Reader] = {
    "name": _NAME,
    "parent": _or_null(_NAME),
    "rate": _count,
    "ceil": _or_null(_count),
    "burst": _count,
    "priority": _count,
    "clients": _count,
    "waiting": _count,
    "bytes": _count,
    "requests": _count,
    "waits": _count,
    "borrowed": _count,
    "sockets": _list(_text(200), _MOST_SOCKETS),
}
_GUEST: Dict[str, Reader] = {
    "guest": _text(CLIENT_NAME),
    "class": _NAME,
    "pid": _or_null(_count),
    "uid": _or_null(_count),
    "bytes": _count,
    "requests": _count,
    "waits": _count,
    "waiting": _or_null(_number),
}
_DOCUMENT: Dict[str, Reader] = {
    "version": _text(40),
    "pid": _count,
    "started": _number,
    "updated": _number,
    "restarts": _count,
    "rate": _or_null(_count),
    "clients": _count,
    "refused": _count,
    "protocol_errors": _count,
    "sources": _list(_object(_SOURCE), _MOST_SOURCES),
    "classes": _list(_object(_CLASS), _MOST_CLASSES),
    "guests": _list(_object(_GUEST), MOST_GUESTS),
    "guests_total": _count,
}
_JUDGED = ("age", "serving", "waiting_long")  # what is not in the document itself
KEYS: Tuple[str, ...] = ("status", "why", *_JUDGED, *_DOCUMENT)
