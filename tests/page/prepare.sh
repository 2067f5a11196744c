#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Install what the tests of the page need and the machine has not: a browser, what drives it, npm, and the checkers of
# scripts, styles and accessibility.
set -eu
cd "$(dirname "$0")"

missing=
PATH=$PATH:/usr/sbin:/sbin  # where ldconfig is
command -v chromium >/dev/null || missing="$missing chromium"
command -v npm >/dev/null || missing="$missing npm"
# The node that comes with playwright is linked against it, and a bare system has none.
ldconfig -p | grep -q "libatomic\.so\.1 " || missing="$missing libatomic1"
if [ -n "$missing" ]; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get -qq -o DPkg::Lock::Timeout=600 update
    # shellcheck disable=SC2086  # a list of packages
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y -o DPkg::Lock::Timeout=600 install --no-install-recommends $missing fonts-dejavu-core >/dev/null
fi
target=../../.cache/page
mkdir -p "$target"
cp package.json package-lock.json biome.json "$target"
cd "$target"
npm ci --loglevel=error --no-audit --no-fund --ignore-scripts
