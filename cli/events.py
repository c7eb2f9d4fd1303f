"""`sagapost events`: the catalogue, as a list or as a page. Also makes docs/events.md."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import screen
from domain.catalogue import EVENT_TYPES, EventData, categories, json_schema
from workflows.registry import all_workflows

INTRODUCTION = """\
# Events

The {count} types of events, each with its payload, an example and its producer: the workflow in
which what it tells of really happens. This page is made by `sagapost events --markdown`; do not
edit it. `GET /v2/webhooks/events` has the same with a JSON schema (2020-12) for each type, and
every payload is checked against it before it is committed. `sagapost tour` makes all of them
happen.

Amounts are decimal texts in major units; fields that end in `_minor` are integers in minor units.
A timestamp ends in `Z`. Below a field that is an object come its own fields, after a dot.

"""
ANY_JSON = ("Json", "JsonObject")

Markdown = Annotated[bool, typer.Option("--markdown", help="Print docs/events.md.")]


def events(*, markdown: Markdown = False) -> None:
    """List the event types, with what each tells and the workflow it comes from."""
    if markdown:
        screen.print(events_page(), end="", markup=False)
        return
    for category, types in categories().items():
        screen.print(category, style="bold")
        for event in types:
            screen.print(f"  {event.event_type:<32} {event.producer}\n      {event.description}")


def events_page() -> str:
    """The text of docs/events.md."""
    parts = [INTRODUCTION.format(count=len(EVENT_TYPES))]
    for category, types in categories().items():
        parts.append(f"## {category.replace('_', ' ').capitalize()}\n\n")
        parts += [_type_section(event) for event in types]
    parts.append("## Producers\n\n")
    parts += [_producer_section(name, workflow) for name, workflow in _producers().items()]
    return "".join(parts).rstrip() + "\n"


def _type_section(event: type[EventData]) -> str:
    schema = json_schema(event.event_type)
    rows = "".join(_rows(schema, schema.get("$defs", {})))
    example = json.dumps(event.example().model_dump(mode="json"), indent=2, ensure_ascii=False)
    return (
        f"### `{event.event_type}`\n\n{event.description} Producer: {_linked(event.producer)}.\n\n"
        f"| field | type |\n| --- | --- |\n{rows}\n```json\n{example}\n```\n\n"
    )


def _rows(schema: dict[str, Any], defs: dict[str, Any], within: str = "") -> Iterator[str]:
    for name, field in schema["properties"].items():
        optional = "" if name in schema.get("required", ()) else ", may be absent"
        yield f"| `{within}{name}` | {_type_of(field, defs)}{optional} |\n"
        inner = _inner(field, defs)
        if inner is not None:
            yield from _rows(inner, defs, f"{within}{name}.")


def _type_of(field: dict[str, Any], defs: dict[str, Any]) -> str:
    match field:
        case {"$ref": str(ref)}:
            text = _type_of(defs[_name(ref)], defs)
        case {"anyOf": list(choices)}:
            text = " or ".join(dict.fromkeys(_type_of(choice, defs) for choice in choices))
        case {"type": "array", "items": items}:
            text = f"list of {_type_of(items, defs)}"
        case _:
            text = _plain_type(field)
    return text


def _plain_type(field: dict[str, Any]) -> str:
    names = [field["const"]] if "const" in field else field.get("enum", [])
    if names:
        return " or ".join(f"`{name}`" for name in names)
    if field.get("format") == "date-time":
        return "timestamp"
    is_decimal = field.get("pattern", "").startswith("^-?(0|[1-9]")
    return "decimal text" if is_decimal else str(field.get("type", "anything"))


def _inner(field: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any] | None:
    """The fields of the object that it is, or is a list of, or may be."""
    match field:
        case {"$ref": str(ref)} if _name(ref) not in ANY_JSON:
            return _inner(defs[_name(ref)], defs)
        case {"type": "array", "items": items}:
            return _inner(items, defs)
        case {"anyOf": list(choices)}:
            return next((inner for one in choices if (inner := _inner(one, defs))), None)
        case {"properties": _}:
            return field
    return None


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _linked(producer: str) -> str:
    """The producers' names lead to their diagrams."""
    known = _producers()
    return re.sub(
        r"[A-Z]\w+", lambda found: _link(found[0]) if found[0] in known else found[0], producer
    )


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _producers() -> dict[str, type]:
    """Workflows that the catalogue names, by that name: `OpenAccount` is `open_account`."""
    named = " ".join(event.producer for event in EVENT_TYPES.values())
    by_name = {_camel(_type_name(workflow)): workflow for workflow in all_workflows()}
    return {name: by_name[name] for name in sorted(by_name) if re.search(rf"\b{name}\b", named)}


def _producer_section(name: str, workflow: type) -> str:
    module = inspect.getmodule(workflow)
    assert module is not None
    place = Path(*module.__name__.split(".")).with_suffix(".py").as_posix()
    text = inspect.getdoc(module) or ""
    return f"### {name}\n\n[{place}](../{place})\n\n```\n{text}\n```\n\n"


def _type_name(workflow: type) -> str:
    name: str = workflow.__temporal_workflow_definition.name  # type: ignore[attr-defined]
    return name


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def register(app: typer.Typer) -> None:
    app.command()(events)
