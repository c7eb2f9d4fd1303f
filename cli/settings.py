"""`sagapost settings`: what can be set, and how it is set now. Also makes docs/settings.md."""

from typing import Annotated, Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from rich.text import Text

from cli.console import load_settings, screen
from domain.delivery import format_schedule
from runtime.settings import PREFIX, Settings

INTRODUCTION = """\
# Settings

Every process reads these variables from its environment when it starts. This page is made by
`sagapost settings --markdown` from `runtime/settings.py`; do not edit it. A duration is a whole
number and a unit (`ms`, `s`, `m`, `h`, `d`); `sagapost settings` shows the values in force.

| variable | default | unit | meaning |
| --- | --- | --- | --- |
"""

Markdown = Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md.")]


def settings(*, markdown: Markdown = False) -> None:
    """List every setting with its value, its unit and what it means."""
    if markdown:
        screen.print(settings_page(), end="")
    else:
        screen.print(_listing(load_settings()), end="")


def settings_page() -> str:
    """The text of docs/settings.md."""
    return INTRODUCTION + "".join(
        f"| `{_variable(name)}` | {_default(field)} | {_unit(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )


def _listing(current: Settings) -> Text:
    listing = Text()
    for name, field in Settings.model_fields.items():
        source = _unit(field) if name in current.model_fields_set else f"{_unit(field)}, default"
        listing.append(f"{_variable(name)}={_shown(name, current)}", style="bold")
        listing.append(f"  ({source})\n    {field.description}\n")
    return listing


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _default(field: FieldInfo) -> str:
    return f"`{field.default}`" if field.default != "" else "empty"


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    assert isinstance(extra, dict), "each setting has a unit"
    return str(extra["unit"])


def _shown(name: str, current: Settings) -> str:
    value = getattr(current, name)
    if isinstance(value, SecretStr) or not Settings.model_fields[name].repr:
        return (
            "set" if (value.get_secret_value() if isinstance(value, SecretStr) else value) else ""
        )
    return _spelled(value)


def _spelled(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(_spelled(part) for part in value)
        case _ if hasattr(value, "total_seconds"):
            return format_schedule((value,))
        case _:
            return str(value)


def register(app: typer.Typer) -> None:
    app.command()(settings)
