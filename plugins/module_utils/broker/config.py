# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the broker: JSON text into a ``Config`` in which everything holds, or all that is wrong at once.

Pure: whether a socket can be made or a source be read is found out by those who do it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..errors import RngError
from ..text import printable
from .given import LARGEST_RATE, Given, Pairs, is_path, load, matches

DIRECTORY = "/run/virtrngd"
LARGEST_REQUEST = 255  # bytes; the protocol counts them in one byte
DEFAULT_RATE = 64  # what a Linux guest asks for at a time
SAFE_SOURCES = ("getrandom", "/dev/random", "/dev/urandom")  # the kernel's own: it looks after them
SOCKET_PATH = 107  # bytes, what sun_path holds

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_TCP = re.compile(rf"tcp://(?:127\.{_OCTET}\.{_OCTET}\.{_OCTET}|\[::1\]):([1-9][0-9]{{0,4}})")
_SOCKETS = f"an absolute path of at most {SOCKET_PATH} bytes, or tcp://127.0.0.1:PORT or another loopback address"


class ConfigError(RngError):
    """A configuration that cannot be carried out, with every mistake in it.

    :param mistakes: a sentence each, with the key, what was given and what is allowed.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class SourceConfig:
    """One source of random bytes: ``tests`` is what its bytes have to pass, ``hardware`` or ``none``."""

    source: str
    tests: str


@dataclass(frozen=True)
class ClassConfig:
    """One class of guests; ``ceil`` None is no limit. Rates are bytes per second, ``burst`` is bytes."""

    name: str
    parent: Optional[str] = None
    rate: int = DEFAULT_RATE
    ceil: Optional[int] = None
    burst: int = 512
    priority: int = 0
    sockets: Tuple[str, ...] = ()
    guests: Tuple[Tuple[str, str], ...] = ()  # name of the guest, its own socket


@dataclass(frozen=True)
class ListenerConfig:
    """One socket to listen on: ``/path`` or ``tcp://host:port``, of a class or of one guest in it."""

    class_name: str
    address: str
    guest: Optional[str] = None


@dataclass(frozen=True)
class Config:
    """All that the broker is told; ``rate`` None is no limit for the host."""

    rate: Optional[int]
    sources: Tuple[SourceConfig, ...]
    when_failing: str
    conditioning: bool
    accept_entropy: bool
    classes: Tuple[ClassConfig, ...]
    listeners: Tuple[ListenerConfig, ...]
    socket_mode: int
    socket_group: Optional[str]
    clients: int
    clients_per_socket: int
    clients_per_process: int
    control: str
    control_mode: int
    control_group: Optional[str]
    status_file: Optional[str]
    metrics_file: Optional[str]


def parse(text: str) -> Config:
    """Read the file's text.

    :raises ConfigError: if anything in it is not valid: with all of that, not only the first.
    """
    try:
        found = load(text)
    except ValueError as error:
        raise ConfigError([f"the configuration is not JSON: {printable(str(error))}"]) from error
    if not isinstance(found, Pairs):
        raise ConfigError(["the configuration is not a JSON object, that is {...}"])
    reader = Given("", found)
    config = _config(reader)
    if reader.mistakes:
        raise ConfigError(reader.mistakes)
    return config


def default_burst(rate: int) -> int:
    """What a class may take at once that says nothing about it: what 50 ms bring, and a few requests."""
    return max(512, rate // 20)


def is_address(given: object) -> bool:
    """What a ``ListenerConfig`` can have as its address."""
    if isinstance(given, str) and given.startswith("tcp:"):
        match = _TCP.fullmatch(given)
        return match is not None and int(match.group(1)) <= 65535
    return is_path(given, SOCKET_PATH)


def _config(reader: Given) -> Config:
    rate = reader.limit("rate", 1)
    classes = _classes(reader, rate)
    config = Config(
        rate=rate,
        sources=_sources(reader),
        when_failing=reader.word("when_failing", "fallback", ("fallback", "wait")),
        conditioning=reader.boolean("conditioning", True),
        accept_entropy=reader.boolean("accept_entropy", False),
        classes=classes,
        listeners=tuple(_listeners(classes)),
        socket_mode=reader.mode("socket_mode"),
        socket_group=reader.group("socket_group"),
        clients=reader.number("clients", 4096, 1, 10**6),
        clients_per_socket=reader.number("clients_per_socket", 1024, 1, 10**6),
        clients_per_process=reader.number("clients_per_process", 16, 1, 10**6),
        control=str(
            reader.take(
                "control",
                f"{DIRECTORY}/control.sock",
                f"an absolute path of at most {SOCKET_PATH} bytes",
                lambda given: is_path(given, SOCKET_PATH),
            )
        ),
        control_mode=reader.mode("control_mode"),
        control_group=reader.group("control_group"),
        status_file=reader.path("status_file", f"{DIRECTORY}/status.json"),
        metrics_file=reader.path("metrics_file", None),
    )
    reader.end()
    _all_different(reader, config)
    return config


def _classes(reader: Given, host: Optional[int]) -> Tuple[ClassConfig, ...]:
    readers = reader.objects("classes", [], "name")
    listed = [one.found for one in readers]
    names = [found.get("name") for found in listed]
    parents = {found.get("parent") for found in listed if isinstance(found.get("parent"), str)}
    classes: Dict[str, ClassConfig] = {}
    for one in readers:
        made = _class(one, names, parents)
        if "name" not in one.found:
            one.say(f"{one.called('name')}: is missing")
        elif made.name in classes:
            one.say(f"{one.called('name')}: {made.name} is there twice")
        if made.name:
            classes.setdefault(made.name, made)
    rates = _rates(reader, classes, {str(one.get("name")) for one in listed if "rate" in one})
    for name in classes:
        _check_rates(reader, classes, rates, name)
    _check_sum(reader, "rate", host, [rates[name] for name in classes if classes[name].parent is None])
    bursts = {str(one.get("name")) for one in listed if "burst" in one}
    return tuple(
        replace(one, rate=rates[name], burst=one.burst if name in bursts else default_burst(rates[name]))
        for name, one in classes.items()
    )


def _class(one: Given, names: Sequence[object], parents: Set[object]) -> ClassConfig:
    name = str(one.take("name", "", "1 to 64 of A-Z a-z 0-9 _ . -, the first no . or -", is_class_name))
    others = ", ".join(sorted(str(other) for other in names if is_class_name(other) and other != name))
    parent = one.take(
        "parent",
        None,
        f"null or another class: {others or 'there is none'}",
        lambda given: given is None or (given != name and is_class_name(given) and given in names),
    )
    inner = name in parents
    rate = one.number("rate", DEFAULT_RATE, 1, LARGEST_RATE)
    ceil = one.limit("ceil", 1)
    burst = one.number("burst", default_burst(rate), LARGEST_REQUEST, LARGEST_RATE)
    priority = one.number("priority", 0, 0, 7)
    usual = [f"{DIRECTORY}/{name}.sock"] if name and not inner else []
    sockets = one.take(
        "sockets",
        usual,
        f"a list, each of it {_SOCKETS}",
        lambda given: isinstance(given, list) and all(map(is_address, given)),
    )
    guests = one.take(
        "guests",
        {},
        f"an object with names of guests as keys, and as value {_SOCKETS}",
        lambda given: isinstance(given, dict) and all(map(_is_guest, given)) and all(map(is_address, given.values())),
    )
    for guest in getattr(guests, "twice", ()):
        one.say(f"{one.called('guests')}: {printable(guest, 80)} is there twice")
    if inner and (sockets or guests):
        one.say(f"{one.called('sockets')}: a class that is the parent of others has no sockets and no guests")
    one.end()
    return ClassConfig(name, parent, rate, ceil, burst, priority, tuple(sockets), tuple(guests.items()))


def is_class_name(given: object) -> bool:
    """What a class can be called."""
    return matches(_NAME, given)


def _is_guest(given: str) -> bool:
    return given.isprintable() and 1 <= len(given) <= 255


def _rates(reader: Given, classes: Mapping[str, ClassConfig], said: Set[str]) -> Dict[str, int]:
    """The rate of each class: as it is said, else that of its children together, else the default."""
    children: Dict[str, List[str]] = {name: [] for name in classes}
    for name, one in classes.items():
        if one.parent in children:
            children[str(one.parent)].append(name)
    rates: Dict[str, int] = {}
    order = [name for name, one in classes.items() if one.parent is None]
    for name in order:
        order.extend(children[name])  # grows while it is walked: parents come before their children
    for name in reversed(order):
        total = sum(rates[child] for child in children[name])
        rates[name] = classes[name].rate if name in said or not total else total
    lost = [name for name in classes if name not in rates]
    if lost:
        reader.say(f"classes: {', '.join(lost)}: are in a circle of parents, or below one")
    rates.update((name, classes[name].rate) for name in lost)
    return rates


def _check_rates(reader: Given, classes: Mapping[str, ClassConfig], rates: Mapping[str, int], name: str) -> None:
    ceil, rate = classes[name].ceil, rates[name]
    if ceil is not None and ceil < rate:
        reader.wrong(f"classes[{name}].ceil", ceil, f"not below the rate of the class, {rate}")
    inner = [rates[child] for child, one in classes.items() if one.parent == name]
    _check_sum(reader, f"classes[{name}].rate", rate, inner)


def _check_sum(reader: Given, key: str, rate: Optional[int], inner: Sequence[int]) -> None:
    if rate is not None and sum(inner) > rate:
        reader.wrong(key, rate, f"at least what its classes are promised together, {sum(inner)}")


def _sources(reader: Given) -> Tuple[SourceConfig, ...]:
    found: List[SourceConfig] = []
    for one in reader.objects("sources", [{"source": "getrandom"}], "source"):
        source = one.take("source", "", "getrandom or the absolute path of a character device", is_source)
        usual = "none" if source in SAFE_SOURCES else "hardware"
        tests = one.word("tests", usual, ("hardware", "none"))
        one.end()
        if "source" not in one.found:
            one.say(f"{one.called('source')}: is missing")
        elif source and source in [other.source for other in found]:
            one.say(f"{one.called('source')}: {source} is there twice")
        found.append(SourceConfig(source, tests))
    if not found:
        reader.wrong("sources", [], "at least one source")
    return tuple(found)


def is_source(given: object) -> bool:
    """What a ``SourceConfig`` can have as its source."""
    return given == "getrandom" or is_path(given, 4095)


def _listeners(classes: Sequence[ClassConfig]) -> Iterable[ListenerConfig]:
    for one in classes:
        for address in one.sockets:
            yield ListenerConfig(one.name, address)
        for guest, address in one.guests:
            yield ListenerConfig(one.name, address, guest)


def _all_different(reader: Given, config: Config) -> None:
    """Note places that two would write to, and guests that are in two classes."""
    owners: Dict[str, str] = {}
    places = [(config.control, "control"), (config.status_file, "status_file"), (config.metrics_file, "metrics_file")]
    for one in config.listeners:
        places.append((one.address, f"class {one.class_name}" + (f", guest {one.guest}" if one.guest else "")))
    for place, owner in places:
        if place is None:
            continue
        if place in owners:
            reader.say(f"{place}: is used twice, by {owners[place]} and by {owner}")
        owners.setdefault(place, owner)
    homes: Dict[str, str] = {}
    for one in config.listeners:
        if one.guest is None:
            continue
        if one.guest in homes:
            reader.say(f"guest {one.guest}: is there twice, in {homes[one.guest]} and in {one.class_name}")
        homes.setdefault(one.guest, one.class_name)
