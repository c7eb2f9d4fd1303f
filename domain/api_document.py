"""The API's own OpenAPI document, cut down to what a client package is made of. Pure."""

from collections.abc import Collection, Iterator
from typing import Any, Final

Document = dict[str, Any]

PLACE_OF_SCHEMAS: Final = "#/components/schemas/"
ANYTHING: Final[Document] = {}


def narrowed(document: Document, tags: Collection[str]) -> Document:
    """Only the operations with one of these tags, and the schemas that they speak of.

    Every schema is named by its place, not by its title: two may have the same one. What is made
    of itself is written as anything: a generator cannot make a class of it.
    """
    paths = _paths(document["paths"], tags)
    components = dict(document.get("components", {}))
    schemas = {name: _plain(name, schema) for name, schema in components["schemas"].items()}
    others = {name: part for name, part in components.items() if name != "schemas"}
    used = _reachable([*_names_in(paths), *_names_in(others)], schemas)
    components["schemas"] = {name: schemas[name] for name in sorted(used)}
    known = [tag for tag in document.get("tags", []) if tag["name"] in tags]
    return document | {"paths": paths, "components": components, "tags": known}


def _paths(paths: Document, tags: Collection[str]) -> Document:
    kept = {
        path: {
            method: operation
            for method, operation in operations.items()
            if set(operation.get("tags", ())) & set(tags)
        }
        for path, operations in paths.items()
    }
    return {path: operations for path, operations in kept.items() if operations}


def _plain(name: str, schema: Document) -> Document:
    if name in _names_in(schema):
        return ANYTHING
    return {key: part for key, part in schema.items() if key != "title"}


def _reachable(names: Collection[str], schemas: Document) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names_in(schemas[name])
    return found


def _names_in(part: Any) -> Iterator[str]:
    """The schemas that are referred to anywhere in it."""
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith(PLACE_OF_SCHEMAS):
            yield reference.removeprefix(PLACE_OF_SCHEMAS)
        for inner in part.values():
            yield from _names_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _names_in(inner)
