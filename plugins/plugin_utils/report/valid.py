# Copyright (c) 2026 the fleet.rng authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document against its JSON Schema, without a package that Ansible does not bring.

Only for the schemas of this collection: it knows the keywords that they use, and refuses others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.fleet.rng.plugins.module_utils.text import printable

Schema = Mapping[str, Any]

_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}


def mistake(document: Any, schema: Schema) -> str | None:
    """The first thing that is wrong with a document, with the path to it; None when it is valid."""
    return _mistake(document, schema, schema, "")


def _mistake(value: Any, schema: Schema, root: Schema, path: str) -> str | None:
    for keyword, wanted in schema.items():
        if keyword not in _ANNOTATIONS:
            found = _KEYWORDS[keyword](value, wanted, schema, root, path)
            if found is not None:
                return found
    return None


def _ref(value: Any, wanted: str, schema: Schema, root: Schema, path: str) -> str | None:
    del schema
    return _mistake(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, path)


def _any_of(value: Any, wanted: list[Schema], schema: Schema, root: Schema, path: str) -> str | None:
    """With several answers the first one is given: the others are for null and for what is not known."""
    del schema
    first = None
    for choice in wanted:
        found = _mistake(value, choice, root, path)
        if found is None:
            return None
        first = first or found
    return first


def _type(value: Any, wanted: str | list[str], schema: Schema, root: Schema, path: str) -> str | None:
    del schema, root
    kinds = [wanted] if isinstance(wanted, str) else wanted
    return None if any(_TYPES[kind](value) for kind in kinds) else _wrong(path, value, " or ".join(kinds))


def _const(value: Any, wanted: Any, schema: Schema, root: Schema, path: str) -> str | None:
    del schema, root
    return None if value == wanted and type(value) is type(wanted) else _wrong(path, value, repr(wanted))


def _enum(value: Any, wanted: list[Any], schema: Schema, root: Schema, path: str) -> str | None:
    del schema, root
    return None if value in wanted else _wrong(path, value, "one of " + ", ".join(map(str, wanted)))


def _minimum(value: Any, wanted: int, schema: Schema, root: Schema, path: str) -> str | None:
    del schema, root
    return None if not _number(value) or value >= wanted else _wrong(path, value, f"at least {wanted}")


def _pattern(value: Any, wanted: str, schema: Schema, root: Schema, path: str) -> str | None:
    del schema, root
    # Python's $ would let a line feed follow.
    fits = not isinstance(value, str) or re.search(wanted.replace("$", r"\Z"), value)
    return None if fits else _wrong(path, value, wanted)


def _required(value: Any, wanted: list[str], schema: Schema, root: Schema, path: str) -> str | None:
    del schema, root
    missing = [name for name in wanted if name not in value] if isinstance(value, Mapping) else []
    return f"{path or 'it'} has no {missing[0]}" if missing else None


def _properties(value: Any, wanted: Mapping[str, Schema], schema: Schema, root: Schema, path: str) -> str | None:
    del schema
    if isinstance(value, Mapping):
        for name, inner in wanted.items():
            if name in value:
                found = _mistake(value[name], inner, root, f"{path}.{name}" if path else name)
                if found is not None:
                    return found
    return None


def _additional(value: Any, wanted: Schema, schema: Schema, root: Schema, path: str) -> str | None:
    if isinstance(value, Mapping):
        for name in value.keys() - schema.get("properties", {}).keys():
            found = _mistake(value[name], wanted, root, f"{path}[{printable(str(name), 40)}]")
            if found is not None:
                return found
    return None


def _items(value: Any, wanted: Schema, schema: Schema, root: Schema, path: str) -> str | None:
    del schema
    if isinstance(value, list):
        for index, item in enumerate(value):
            found = _mistake(item, wanted, root, f"{path}[{index}]")
            if found is not None:
                return found
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(path: str, value: Any, wanted: str) -> str:
    return f"{path or 'it'} is {printable(repr(value), 60)}, and has to be {wanted}"


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _number,
    "integer": lambda value: _number(value) and (isinstance(value, int) or value.is_integer()),
}
_KEYWORDS: Mapping[str, Callable[[Any, Any, Schema, Schema, str], str | None]] = {
    "$ref": _ref,
    "anyOf": _any_of,
    "type": _type,
    "const": _const,
    "enum": _enum,
    "minimum": _minimum,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
}
