#!/bin/sh
# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Check the page's scripts and styles, with what prepare.sh installed: their layout each, and the one script that they
# make up, since only there every name has its place. "lint.sh --write" lays them out.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
biome=$(echo .cache/page/node_modules/@biomejs/cli-*/biome)  # the one that fits this machine
checked=.cache/page/lint
assets=plugins/plugin_utils/report/page_assets

"$biome" format --config-path=.cache/page "$@" "$assets"
rm -rf "$checked"
mkdir -p "$checked"
PYTHONPATH=.collections "$python" -c '
from ansible_collections.fleet.rng.plugins.plugin_utils.report import page
print(page.script(), end="")' >"$checked/page.js"
cp "$assets"/*.css "$checked"
"$biome" lint --config-path=.cache/page --error-on-warnings "$checked"
