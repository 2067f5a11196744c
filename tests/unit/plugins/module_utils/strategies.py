# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the property tests draw from: every valid value, and anything at all."""

from __future__ import annotations

from ansible_collections.fleet.rng.plugins.module_utils.device import (
    DRIVER_OPTIONS,
    MAX_PERIOD,
    MODELS,
    Rate,
    RngDevice,
    Source,
)
from hypothesis import strategies as st

LIBVIRT_LIMIT = 2**32 - 1

_NAME = st.text("abcxyz019._- äß'<&>;$`{}", min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))
paths = st.lists(_NAME, min_size=2, max_size=4).map(lambda parts: "/" + "/".join(parts))
hosts = st.sampled_from(["localhost", "10.0.0.1", "egd.example.com", "::1", "fe80::1", "a-b.c"])
ports = st.integers(1, 65535)

sources = st.one_of(
    paths.map(lambda path: Source("random", path=path)),
    st.just(Source("builtin")),
    paths.map(lambda path: Source("egd", transport="unix", path=path)),
    st.builds(
        lambda transport, host, port: Source("egd", transport=transport, host=host, port=port),
        st.sampled_from(["tcp", "udp"]),
        hosts,
        ports,
    ),
)
rates = st.one_of(st.just(Rate()), st.builds(Rate, st.integers(1, LIBVIRT_LIMIT), st.integers(1, MAX_PERIOD)))
drivers = st.dictionaries(st.sampled_from(DRIVER_OPTIONS), st.booleans()).map(
    lambda options: tuple(sorted(options.items()))
)
devices = st.builds(RngDevice, sources, rates, st.sampled_from(MODELS), drivers)

# What YAML, JSON and Jinja can hand over.
anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["unlimited", "on", "0"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
