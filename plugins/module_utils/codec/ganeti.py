# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ganeti's ``kvm_extra`` <-> our values: words for QEMU's command line that everybody puts into one string.

Ganeti 3.1 splits it as a shell would, earlier versions at every single space. So what we write has neither quotes nor
backslashes nor double spaces, and means the same to both. Of the rest no byte is changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..converge import OWN_ALIAS
from ..device import MAX_BYTES, MODELS, Rate, RngDevice, Source
from ..errors import GuestError, InvalidValueError, RngError
from ..observation import Devices, FoundDevice
from ..text import printable

MAX_EXTRA = 65536  # characters; Linux takes words of up to 128 KiB

# Our object's id, which also tells that all the rest of the string is what the instance would inherit without it.
_OWN_OBJECT = OWN_ALIAS + "-source"
_COPIED = re.compile(re.escape(_OWN_OBJECT) + r"\.default\.([0-9a-f]{16})")

_OPTIONS = {"-object": "qom-type", "-device": "driver", "-chardev": "backend"}  # with what their first word is
_QEMU_PERIOD = 65536  # milliseconds, where nobody says otherwise
_DRIVER_PROPERTIES = {"iommu": "iommu_platform", "ats": "ats", "packed": "packed", "page_per_vq": "page-per-vq"}
_SWITCH = {"on": True, "yes": True, "true": True, "y": True, "off": False, "no": False, "false": False, "n": False}
# Neither what a shell reads in its own way, nor what Ganeti's daemons cannot store where they run without a locale.
_SPELLED = re.compile(r"[!#-&(-\[\]-~]*")
_MAX_JSON = 65536


@dataclass(frozen=True)
class Word:
    """One word of the string: where it stands there, and what QEMU gets of it."""

    start: int
    end: int
    value: str


@dataclass(frozen=True)
class _Option:
    """An option of interest with its value, and the index of the first of these two words."""

    name: str
    properties: Mapping[str, str]
    at: int

    @property
    def id(self) -> str:
        return self.properties.get("id", "")


@dataclass(frozen=True)
class _Rng:
    """A device, and the options that would go with it."""

    found: FoundDevice
    options: Tuple[_Option, ...]


def split(text: str, shell: bool) -> Tuple[Word, ...]:
    """The words as Ganeti passes them on.

    :param shell: as Ganeti 3.1 does it, with quotes.
    :raises GuestError: where Ganeti itself could not, so that the instance does not start.
    """
    if len(text) > MAX_EXTRA:
        raise GuestError(f"its kvm_extra has more than {MAX_EXTRA} characters")
    if not shell:
        words, at = [], 0
        for value in text.split(" ") if text else ():
            words.append(Word(at, at + len(value), value))
            at += len(value) + 1
        return tuple(words)
    stream = io.StringIO(text, newline="")
    lexer = shlex.shlex(stream, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words, before = [], 0
    try:
        while True:
            token = lexer.get_token()
            if token is None:
                break
            after = stream.tell()
            # The pattern matches no space at all, too: there always is a match.
            start = before + re.match(r"[ \t\r\n]*", text[before:]).end()  # type: ignore[union-attr]
            # The lexer has read the space behind the word as well, if there is one.
            end = after - 1 if text[after - 1] in lexer.whitespace and _ends(text[start : after - 1]) else after
            words.append(Word(start, end, token))
            before = after
    except ValueError as error:
        raise GuestError(f"its kvm_extra cannot be split into words: {error}") from error
    return tuple(words)


def _ends(raw: str) -> bool:
    """Whether a word is complete, so that a space behind it is not part of it."""
    try:
        shlex.split(raw)
    except ValueError:
        return False
    return True


def parse_words(words: Sequence[str]) -> Devices:
    """The RNGs on a command line, or in the words of a string."""
    return tuple(rng.found for rng in _rngs(_options(words)))


def parse_extra(text: str, shell: bool) -> Devices:
    """The RNGs that the string gives an instance."""
    return parse_words([word.value for word in split(text, shell)])


def is_copied(text: str, shell: bool) -> bool:
    """Whether the rest is what it inherited: we wrote so, and nobody has changed it since."""
    marks = [_COPIED.fullmatch(option.id) for option in _options([word.value for word in split(text, shell)])]
    rest = _digest(without_own(text, shell))
    return any(mark is not None and mark.group(1) == rest for mark in marks)


def with_rng(text: str, shell: bool, device: RngDevice, copied: bool) -> str:
    """The string with this device as the only one of ours, at its end.

    :param copied: whether the rest is what the instance inherits from its cluster.
    :raises InvalidValueError: when it cannot be said there.
    """
    rest = without_own(text, shell)
    own = render_rng(device, f"{_OWN_OBJECT}.default.{_digest(rest)}" if copied else _OWN_OBJECT)
    changed = f"{rest} {own}" if rest else own
    if len(changed) > MAX_EXTRA:
        raise InvalidValueError("kvm_extra", len(changed), f"at most {MAX_EXTRA} characters")
    if parse_extra(changed, shell)[-1:] != (FoundDevice(device, OWN_ALIAS),) or without_own(changed, shell) != rest:
        raise InvalidValueError("kvm_extra", rest[-100:], "no option at its end that lacks its value")
    return changed


def without_own(text: str, shell: bool) -> str:
    """The string as if we had never been there."""
    words = split(text, shell)
    return _cut(text, words, [option.at for option in _options([word.value for word in words]) if _is_ours(option)])


def without(text: str, shell: bool, found: FoundDevice, copied: bool) -> str:
    """The string without one device that somebody put there, and what only that device needs.

    :param copied: that the rest was inherited is to be told by our own object, if there is one.
    """
    words = split(text, shell)
    for rng in _rngs(_options([word.value for word in words])):
        if rng.found == found:
            cut = _cut(text, words, [option.at for option in rng.options])
            mark = f"id={_OWN_OBJECT}.default."
            digest = _digest(without_own(cut, shell))
            return re.sub(re.escape(mark) + "[0-9a-f]{16}", mark + digest, cut) if copied else cut
    return text


def _cut(text: str, words: Sequence[Word], firsts: Sequence[int]) -> str:
    """Without these options, each with its value and one space that set it apart."""
    for at in sorted(firsts, reverse=True):
        start, end = words[at].start, words[at + 1].end
        if start:
            start -= 1
        elif end < len(text):
            end += 1
        text = text[:start] + text[end:]
    return text


def render_rng(device: RngDevice, name: str) -> str:
    """The words for one device, ``name`` being the id of its object.

    :raises InvalidValueError: when it cannot be said in ``kvm_extra``.
    """
    if device.source.kind == "builtin":
        backend = f"rng-builtin,id={name}"
    elif device.source.kind == "random" and _SPELLED.fullmatch(device.source.path):
        backend = f"rng-random,id={name},filename={device.source.path.replace(',', ',,')}"
    else:
        allowed = (
            "builtin, or a path of ASCII characters without spaces, quotes and backslashes, for Ganeti's kvm_extra"
        )
        raise InvalidValueError("source", str(device.source), allowed)
    words = [f"virtio-rng-pci{device.model[len('virtio') :]}", f"rng={name}", f"id={OWN_ALIAS}"]
    if device.rate.max_bytes is not None:
        words += [f"max-bytes={device.rate.max_bytes}", f"period={device.rate.period}"]
    words += [f"{_DRIVER_PROPERTIES[option]}={'on' if on else 'off'}" for option, on in device.driver]
    return f"-object {backend} -device {','.join(words)}"


def escape(value: str) -> str:
    r"""As an option of ``gnt-*`` takes it: there a comma ends a value, ``\,`` is a comma, and ``\\`` a backslash."""
    return value.replace("\\", "\\\\").replace(",", "\\,")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_ours(option: _Option) -> bool:
    if option.name == "-object":
        return option.id == _OWN_OBJECT or _COPIED.fullmatch(option.id) is not None
    return option.name == "-device" and option.id == OWN_ALIAS and _is_rng(option)


def _is_rng(option: _Option) -> bool:
    driver = option.properties.get("driver", "")
    return option.name == "-device" and (driver == "virtio-rng" or driver.startswith("virtio-rng-"))


def _options(values: Sequence[str]) -> List[_Option]:
    found, at = [], 0
    while at + 1 < len(values):
        name = values[at][1:] if values[at].startswith("--") else values[at]
        if name in _OPTIONS:
            found.append(_Option(name, _properties(values[at + 1], _OPTIONS[name]), at))
            at += 1
        at += 1
    return found


def _properties(text: str, implied: str) -> Dict[str, str]:
    """QEMU's ``first,a=b,c=d,,e``, where ``,,`` is a comma; or the same as JSON."""
    if text.startswith("{"):
        return _from_json(text)
    found: Dict[str, str] = {}
    for number, part in enumerate(text.replace(",,", "\0").split(",")):
        name, equals, value = part.replace("\0", ",").partition("=")
        if not equals and number == 0:
            found[implied] = name
        else:
            found[name] = value if equals else "on"
    return found


def _from_json(text: str) -> Dict[str, str]:
    try:
        given = json.loads(text) if len(text) <= _MAX_JSON else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return {}
    return {name: _word(value) for name, value in given.items() if isinstance(value, (str, int))}


def _word(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _rngs(options: Sequence[_Option]) -> List[_Rng]:
    objects = {option.id: option for option in options if option.name == "-object"}
    chardevs = {option.id: option for option in options if option.name == "-chardev"}
    devices = [option for option in options if _is_rng(option)]
    found = []
    for device in devices:
        backend = objects.get(device.properties.get("rng", ""))
        chardev = None if backend is None else chardevs.get(backend.properties.get("chardev", ""))
        parts = [device]
        if backend is not None and not _needed(backend, "rng", options, {device.at}):
            parts.append(backend)
            if chardev is not None and not _needed(chardev, "chardev", options, {backend.at}):
                parts.append(chardev)
        found.append(_Rng(_found(device.properties, backend, chardev), tuple(parts)))
    return found


def _needed(option: _Option, name: str, options: Sequence[_Option], gone: Set[int]) -> bool:
    return any(other.properties.get(name) == option.id for other in options if other.at not in gone)


def _found(device: Mapping[str, str], backend: Optional[_Option], chardev: Optional[_Option]) -> FoundDevice:
    alias = printable(device.get("id", ""), 128)
    try:
        driver = device["driver"]
        model = "virtio" + driver[len("virtio-rng-pci") :] if driver.startswith("virtio-rng-pci") else "virtio"
        if model not in MODELS:
            raise GuestError(f"driver {printable(driver, 60)}")
        if "rng" in device and backend is None:
            raise GuestError(f"its object {printable(device['rng'], 60)} is not there")
        source = Source("builtin") if backend is None else _source(backend.properties, chardev)
        return FoundDevice(RngDevice(source, _rate(device), model, _driver(device)), alias)
    except RngError as error:
        return FoundDevice(None, alias, printable(str(error)))


def _rate(device: Mapping[str, str]) -> Rate:
    max_bytes = _number("max-bytes", device.get("max-bytes", str(MAX_BYTES)))
    if max_bytes == 0:
        raise GuestError("max-bytes=0, with which QEMU never gives the guest a byte")
    period = _number("period", device.get("period", str(_QEMU_PERIOD)))
    return Rate() if max_bytes == MAX_BYTES else Rate.parse(max_bytes, period)


def _number(name: str, text: str) -> int:
    for pattern, base in ((r"[1-9][0-9]{0,19}", 10), (r"0[0-7]{0,22}", 8), (r"0[xX][0-9a-fA-F]{1,16}", 16)):
        if re.fullmatch(pattern, text):
            return int(text, base)
    raise GuestError(f"{name}={printable(text, 60)} is no number")


def _driver(device: Mapping[str, str]) -> Tuple[Tuple[str, bool], ...]:
    given = {option: device[name] for option, name in _DRIVER_PROPERTIES.items() if name in device}
    for option, value in given.items():
        if value not in _SWITCH:
            raise GuestError(f"{_DRIVER_PROPERTIES[option]}={printable(value, 60)}")
    return tuple(sorted((option, _SWITCH[value]) for option, value in given.items()))


def _source(backend: Mapping[str, str], chardev: Optional[_Option]) -> Source:
    kind = backend.get("qom-type", "")
    if kind == "rng-builtin":
        return Source("builtin")
    if kind == "rng-random":
        return Source.parse(backend.get("filename", "/dev/urandom"))
    properties: Mapping[str, str] = {} if chardev is None else chardev.properties
    if kind == "rng-egd" and properties.get("backend") in ("socket", "udp"):
        if "path" in properties:
            return Source.parse(f"egd+unix:{properties['path']}")
        transport = "udp" if properties["backend"] == "udp" else "tcp"
        port = _number("port", properties.get("port", ""))
        return Source.parse(str(Source("egd", "", transport, properties.get("host", "").strip("[]"), port)))
    raise GuestError(f"backend {printable(kind, 60)} that cannot be described")
