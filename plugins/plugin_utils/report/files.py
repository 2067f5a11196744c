# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report: finding those of other runs, and writing our own, each one whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.fleet.rng.plugins.module_utils.metrics import render
from ansible_collections.fleet.rng.plugins.plugin_utils.report.merge import Found
from ansible_collections.fleet.rng.plugins.plugin_utils.report.page import render_page
from ansible_collections.fleet.rng.plugins.plugin_utils.report.rows import guests_csv

FORMATS = ("html", "json", "csv", "openmetrics")
HOSTS = "hosts"  # the directory of the host documents
NAMES = {"html": "report.html", "json": "report.json", "csv": "guests.csv", "openmetrics": "rng.prom"}
LARGEST = 64 * 1024 * 1024  # bytes of a file that is merged
LONGEST_NAME = 150  # characters of a quoted name; file systems allow 255 bytes with the temporary ending

# What differs between two reports on the same state of things.
_TIMES = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?|^fleet_rng_last_collection_timestamp_seconds.*$",
    re.MULTILINE,
)


def texts(report: Mapping[str, Any], formats: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of the report, relative to its directory."""
    wanted = set(formats)
    if "json" in wanted:
        for host in report["hosts"]:
            yield f"{HOSTS}/{file_name(host['hypervisor'])}", _json(host, "guests")
        yield NAMES["json"], _json(report, "hosts")
    if "csv" in wanted:
        yield NAMES["csv"], _encoded(guests_csv(report["hosts"]))
    if "openmetrics" in wanted:
        yield NAMES["openmetrics"], _encoded(render(report["hosts"]))
    if "html" in wanted:
        yield NAMES["html"], _encoded(render_page(report))


def file_name(hypervisor: str) -> str:
    """A name for a file that no hypervisor's name can turn into another path."""
    quoted = quote(hypervisor, safe="", errors="backslashreplace")
    if len(quoted) > LONGEST_NAME:
        digest = hashlib.sha256(quoted.encode("ascii")).hexdigest()
        quoted = f"{quoted[: LONGEST_NAME - 17]}-{digest[:16]}"
    return f"{quoted}.json"


def _json(document: Mapping[str, Any], lines: str) -> bytes:
    """One line for each element of the list ``lines``, which comes last: fast to write, and fit for ``diff``."""
    head = json.dumps({key: value for key, value in document.items() if key != lines})
    items = ",\n".join(json.dumps(item) for item in document[lines])
    return f'{head[:-1]}, "{lines}": [\n{items}\n]}}\n'.encode("ascii")


def _encoded(text: str) -> bytes:
    """UTF-8, also of what no text should hold."""
    return text.encode("utf-8", "backslashreplace")


def find(directory: Path, *, loose: bool = True) -> Iterator[Found]:
    """The documents below a directory of results: the JSON files in its ``hosts``, and in those of its subdirectories.

    :param loose: also those in itself; except a report with ``hosts`` beside it, which has nothing that these lack.
    """
    if loose and not directory.is_dir():
        yield Found(str(directory), error="there is no such directory")
        return
    paths = [*directory.glob(f"{HOSTS}/*.json"), *directory.glob(f"*/{HOSTS}/*.json")]
    if loose:
        whole = (directory / HOSTS).is_dir()
        paths += [path for path in directory.glob("*.json") if path.name != NAMES["json"] or not whole]
    for path in sorted(paths):
        yield _read(path)


def _read(path: Path) -> Found:
    try:
        if path.is_dir():
            return Found(str(path), error="it is no regular file")
        # Never wait for a pipe that somebody put there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:  # noqa: PTH123  a descriptor has no path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Found(str(path), error="it is no regular file")
            content = stream.read(LARGEST + 1)
    except OSError as error:
        return Found(str(path), error=f"it cannot be read: {error.strerror}")
    if len(content) > LARGEST:
        return Found(str(path), error=f"it is larger than {LARGEST // 1024 // 1024} MiB")
    return Found(str(path), content)


def same(old: bytes | None, new: bytes) -> bool:
    """Whether a file has nothing new to say but the time."""
    return old is not None and (old == new or _TIMES.sub(b"", old) == _TIMES.sub(b"", new))


def content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def make_directory(path: Path, mode: int) -> bool:
    """Make a directory and those above it that are missing, with ``mode`` whatever the umask; whether one was."""
    if path.is_dir():
        return False
    make_directory(path.parent, mode)
    path.mkdir()
    path.chmod(mode)
    return True


def write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place as a whole: who reads it meanwhile has the old one or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123  a descriptor has no path
            stream.write(content)
            os.fchmod(descriptor, mode)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
