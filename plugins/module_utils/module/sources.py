# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner behind ``rng_source_info``: every source is read within limits, and what came is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from .. import health
from ..device import MAX_BYTES, Source
from ..errors import InvalidValueError, RngError
from ..kernel import measure
from ..kernel.findings import judge_sources
from ..kernel.measure import Limits
from ..kernel.sources import ERROR, Drawn, judge
from ..text import printable
from ..transport.draw import draw_all
from ..transport.rngtest import fips_140_2

MAX_SOURCES = 64  # each is a process

SOURCES_SPEC: Dict[str, Any] = {
    "sources": {"type": "list", "elements": "str", "required": True},
    "seconds": {"type": "int", "default": measure.SECONDS},
    "bytes": {"type": "int", "default": measure.BYTES},
    "min_bytes_per_second": {"type": "int", "default": 0},
}


@dataclass(frozen=True)
class Options:
    """What is to be read, how far, and what is too slow."""

    sources: Sequence[str]
    limits: Limits
    least: int


def run(module: AnsibleModule) -> None:
    """Test the sources, and exit."""
    try:
        options = parse_options(module.params)
    except RngError as error:
        module.fail_json(msg=str(error))
    results = look_at(options)
    module.exit_json(changed=False, sources=results, findings=judge_sources(results))


def parse_options(options: Mapping[str, Any]) -> Options:
    """The options of the module, checked; of a source that is given twice one is enough.

    :raises InvalidValueError: naming the option, what was given, and what is allowed.
    """
    for name, least, most, unit in (
        ("seconds", 1, measure.MAX_SECONDS, "seconds"),
        ("bytes", measure.MIN_BYTES, measure.MAX_BYTES, "bytes"),
        ("min_bytes_per_second", 0, MAX_BYTES, "bytes per second"),
    ):
        if not least <= options[name] <= most:
            raise InvalidValueError(name, options[name], f"{unit}, an integer from {least} to {most}")
    sources = list(dict.fromkeys(options["sources"]))
    if len(sources) > MAX_SOURCES:
        raise InvalidValueError("sources", f"{len(sources)} of them", f"no more than {MAX_SOURCES}")
    limits = Limits(options["seconds"], options["bytes"])
    return Options(sources, limits, options["min_bytes_per_second"])


def look_at(options: Options) -> List[Dict[str, Any]]:
    """The result of each source, in their order. What is no source at all is an error of its own, like any other."""
    found: Dict[str, Drawn] = {}
    sources: Dict[str, Source] = {}
    for name in options.sources:
        try:
            sources[name] = Source.parse(name)
        except RngError as error:
            found[name] = Drawn(ERROR, printable(str(error), 600))
    found.update(zip(sources, draw_all(list(sources.values()), options.limits)))
    return [
        {
            "source": name,
            **judge(found[name], options.limits, _health(found[name].sample), options.least),
        }
        for name in options.sources
    ]


def _health(sample: bytes) -> Dict[str, str]:
    if not sample:
        return dict.fromkeys(health.judge(b""), health.NOT_RUN)
    return health.judge(sample, fips_140_2(sample))
