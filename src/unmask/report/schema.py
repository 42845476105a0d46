"""The JSON Schema of a report, and its keys described for docs: both read off `report/shape.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from typing_extensions import is_typeddict

from unmask.report.shape import SCHEMA, Doc, FailureJson, ReportJson

_PRIMITIVES: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


def json_schema(shape: type = ReportJson) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a shape; further keys are allowed everywhere."""
    hints = get_type_hints(shape, include_extras=True)
    properties = {key: _schema_of(hint) for key, hint in hints.items()}
    return {
        "title": shape.__name__.removesuffix("Json"),
        "description": (shape.__doc__ or "").strip(),
        "type": "object",
        "properties": properties,
        "required": [key for key in hints if key in shape.__required_keys__],  # type: ignore[attr-defined]
    }


def published_schema() -> dict[str, Any]:
    """The schema of a line of `unmask scan --json`: a report, or an error."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "unmask.report-1.schema.json",
        "title": SCHEMA,
        "oneOf": [json_schema(ReportJson), json_schema(FailureJson)],
    }


@dataclass(frozen=True, slots=True)
class DescribedKey:
    """A key of a shape, for docs.

    - type: in words
    - meaning: in words; may be empty
    """

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class DescribedShape:
    """A shape, for docs.

    - path: where it stands in the report, as `people[].faces[]`
    - summary: what it is
    """

    path: str
    summary: str
    keys: tuple[DescribedKey, ...]


def described_keys(shape: type, path: str = "") -> Iterator[DescribedShape]:
    """A shape and all those within it, for docs."""
    keys: list[DescribedKey] = []
    inner: list[tuple[str, type]] = []
    for name, hint in get_type_hints(shape, include_extras=True).items():
        bare, doc = _unwrapped(hint)
        meaning = "" if doc is None else doc.text
        if get_origin(hint) is NotRequired:
            meaning = f"optional; {meaning}".rstrip("; ")
        keys.append(DescribedKey(name, _type_in_words(bare), meaning))
        nested = _nested_shape(bare)
        if nested is not None:
            mark = "[]" if get_origin(bare) is list else ""
            inner.append((f"{path}.{name}{mark}".lstrip("."), nested))
    yield DescribedShape(path, (shape.__doc__ or "").strip(), tuple(keys))
    for nested_path, nested in inner:
        yield from described_keys(nested, nested_path)


def _type_in_words(hint: Any) -> str:
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]
    if is_typeddict(hint) or get_origin(hint) is dict:
        return "object"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"string ({hint.__name__.lower()})"
    return _generic_in_words(hint)


def _generic_in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin is list:
        return f"list of {_type_in_words(_unwrapped(arguments[0])[0])}"
    return " or ".join(_type_in_words(argument) for argument in arguments)


def _nested_shape(hint: Any) -> type | None:
    if is_typeddict(hint):
        shape: type = hint
        return shape
    for argument in get_args(hint):
        if is_typeddict(argument):
            found: type = argument
            return found
    return None


def _unwrapped(hint: Any) -> tuple[Any, Doc | None]:
    """The type within Annotated, Required and NotRequired, and what is said of it."""
    doc = None
    while get_origin(hint) in (Annotated, Required, NotRequired):
        for extra in getattr(hint, "__metadata__", ()):
            doc = extra if isinstance(extra, Doc) else doc
        hint = get_args(hint)[0]
    return hint, doc


def _schema_of(hint: Any) -> dict[str, Any]:
    bare, doc = _unwrapped(hint)
    schema = _bare_schema(bare)
    if doc is not None:
        if doc.text:
            schema["description"] = doc.text
        bounds = {"minimum": doc.low, "maximum": doc.high}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    return schema


def _bare_schema(hint: Any) -> dict[str, Any]:
    if hint in _PRIMITIVES:
        return {"type": _PRIMITIVES[hint]}
    if is_typeddict(hint):
        return json_schema(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [str(member) for member in hint]}
    return _generic_schema(get_origin(hint), get_args(hint))


def _generic_schema(origin: Any, arguments: Sequence[Any]) -> dict[str, Any]:
    """Of a type with arguments: Literal[…], list[…], dict[…, …], … | …"""
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1])}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema_of(argument) for argument in arguments]}
    raise TypeError(f"no JSON schema for {origin!r}")
