# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's qemu.conf: our devices in its cgroup_device_acl, and everything that is not ours as it was, to the byte.

Where nobody has set the list, a marked block at the end sets it, to libvirt's own default and our devices, because a
list that is set replaces the default. Where somebody has, our devices go to its beginning, and a comment above
remembers them; within a list libvirt reads no comments. Without devices both are undone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BEGIN = "# BEGIN fleet.rng"
_END = "# END fleet.rng"
_NO_NEWLINE = ", after a line that had no end"
_ADDED = "# fleet.rng added to the list below: "

# What libvirt allows by itself, for files that do not show it; what is not there is skipped. /dev/kvm is always among
# it: newer examples leave it out.
_DEFAULT = ("null", "full", "zero", "random", "urandom", "ptmx", "userfaultfd")
_ALWAYS = "/dev/kvm"

_SETTING = re.compile(r"^[ \t]*cgroup_device_acl[ \t]*=[ \t]*\[", re.M)
_EXAMPLE = re.compile(r"^#[ \t]*cgroup_device_acl[ \t]*=[ \t]*\[([^\]]*)\]", re.M)
_ITEM = re.compile(r"\"([^\"\n]*)\"|'([^'\n]*)'")
_BLOCK = re.compile(rf"^{_BEGIN}({_NO_NEWLINE})?[^\n]*\n.*?^{_END}\n", re.M | re.S)
_NOTE = re.compile(rf"^{_ADDED}([^\n]*)\n(?=[ \t]*cgroup_device_acl[ \t]*=[ \t]*\[)", re.M)


def with_devices(text: str, devices: Sequence[str]) -> str:
    """The file with these devices allowed beside what it allowed without us.

    :raises ValueError: for a file that nobody could edit safely; the reason.
    """
    text = _without(text)
    found = list(_SETTING.finditer(text))
    if len(found) > 1:
        raise ValueError(f"cgroup_device_acl is set {len(found)} times")
    if found:
        return _in_place(text, found[0], devices)
    return _appended(text, devices) if devices else text


def _without(text: str) -> str:
    """The file before us."""
    block = _BLOCK.search(text)
    if block:
        before = text[: block.start()]
        text = (before[:-1] if block[1] else before) + text[block.end() :]
    if _BEGIN in text or _END in text:
        raise ValueError("the marks of our block (fleet.rng) are not as they were written")
    note = _NOTE.search(text)
    if note is None:
        if _ADDED in text:
            raise ValueError("the comment of what we added is not above the list any more")
        return text
    opening = _SETTING.search(text, note.end())
    inserted = _inserted([item[0] for item in _ITEM.findall(note[1])])
    if opening is None or not text.startswith(inserted, opening.end()):
        raise ValueError("the list does not begin with what we added to it any more")
    return text[: note.start()] + text[note.end() : opening.end()] + text[opening.end() + len(inserted) :]


def _in_place(text: str, opening: re.Match[str], devices: Sequence[str]) -> str:
    allowed = _items(text, opening)
    missing = [device for device in devices if device not in allowed]
    if not missing:
        return text
    note = _ADDED + ", ".join(f'"{device}"' for device in missing) + "\n"
    return text[: opening.start()] + note + opening[0] + _inserted(missing) + text[opening.end() :]


def _inserted(devices: Sequence[str]) -> str:
    return "".join(f' "{device}",' for device in devices)  # libvirt takes a comma before the end, too


def _items(text: str, opening: re.Match[str]) -> list[str]:
    """What a list that is set allows; it is read as libvirt does, and what libvirt refuses is refused."""
    rest = text[opening.end() :]
    items: list[str] = []
    position = 0
    while True:
        position += len(rest[position:]) - len(rest[position:].lstrip())
        if rest.startswith("]", position):
            return items
        item = _ITEM.match(rest, position)
        if item is None:
            raise ValueError("cgroup_device_acl is no list of paths that ends")
        items.append(item[1] if item[1] is not None else item[2])
        position = item.end()
        position += len(rest[position:]) - len(rest[position:].lstrip())
        if rest.startswith(",", position):
            position += 1


def _appended(text: str, devices: Sequence[str]) -> str:
    example = _EXAMPLE.search(text)
    default = [one or two for one, two in _ITEM.findall(example[1])] if example else []
    wanted = list(dict.fromkeys([*(default or [f"/dev/{name}" for name in _DEFAULT]), _ALWAYS, *devices]))
    no_newline = bool(text) and not text.endswith("\n")
    lines = [
        f"{_BEGIN}{_NO_NEWLINE if no_newline else ''}: libvirt's own list, and devices for guests",
        "cgroup_device_acl = [",
        ",\n".join(f'    "{device}"' for device in wanted),
        "]",
        _END,
        "",
    ]
    return text + ("\n" if no_newline else "") + "\n".join(lines)
