"""What the tour shows: each visit as it ends; then every type, where it came from and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator
from rich.console import Console
from rich.table import Table

from cli.tour.guide import Visit
from runtime.ready import Ready


@dataclass(frozen=True)
class Arrival:
    """The first POST of a type that was accepted, and all that were of it.

    `happened_at` is when its event was committed.
    """

    type: str
    producer: str
    posts: tuple[dict[str, Any], ...]
    invalid: tuple[str, ...]
    happened_at: datetime

    @property
    def workflow_id(self) -> str:
        return self.posts[0]["workflow_id"] or ""

    @property
    def ms(self) -> float:
        received = datetime.fromisoformat(self.posts[0]["received_at"])
        return (received - self.happened_at).total_seconds() * 1000

    @property
    def is_verified(self) -> bool:
        return all(post["verified"] for post in self.posts)


def show_places(console: Console, ready: Ready, receiver_url: str) -> None:
    console.print(f"API          {ready.api_url}")
    console.print(f"Temporal UI  {ready.temporal_ui_url}")
    console.print(f"receiver     {receiver_url}")
    console.print()


def show_visit(console: Console, visit: Visit) -> None:
    mark, style = ("✓", "green") if visit.is_as_expected else ("✗", "bold red")
    text = f"[{style}]{mark}[/] {visit.title}: {visit.workflow['type']} {visit.workflow['state']}"
    if not visit.is_as_expected:
        text += f", not {visit.expected}: {visit.workflow['failure']}"
    console.print(text, soft_wrap=True)


def judge(
    catalogue: dict[str, list[dict[str, Any]]],
    received: Sequence[dict[str, Any]],
    happened: dict[str, datetime],
) -> list[Arrival | str]:
    """By type: what arrived, or the type's name if nothing did. `happened` is by event id."""
    found: list[Arrival | str] = []
    for event in (event for events in catalogue.values() for event in events):
        name = event["name"]
        posts = tuple(
            post for post in received if post["event_type"] == name and post["status"] == 200
        )
        if posts:
            invalid = tuple(_wrong_with(posts, event["schema"]))
            at = happened[posts[0]["event_id"]]
            found.append(Arrival(name, event["producer"], posts, invalid, at))
        else:
            found.append(name)
    return found


def show(
    console: Console, ready: Ready, arrivals: Sequence[Arrival | str], visits: Sequence[Visit]
) -> bool:
    """Print it all; True if every type arrived, verified and valid, and all ended as meant."""
    _show_arrivals(console, ready, arrivals)
    arrived = [one for one in arrivals if isinstance(one, Arrival)]
    missing = [one for one in arrivals if isinstance(one, str)]
    unexpected = [visit for visit in visits if not visit.is_as_expected]
    invalid = [text for one in arrived for text in one.invalid]
    posts = sum(len(one.posts) for one in arrived)
    failing = sum(visit.expected != "completed" for visit in visits)
    checks = {
        f"{len(arrived)} of {len(arrivals)} types arrived": not missing,
        f"every signature of {posts} POSTs verified": all(one.is_verified for one in arrived),
        "every payload is as the catalogue's schema says": not invalid,
        f"{len(visits)} workflows, of which {failing} were to fail, ended so": not unexpected,
    }
    console.print()
    for text, holds in checks.items():
        mark, style = ("✓", "green") if holds else ("✗", "bold red")
        console.print(f"[{style}]{mark}[/] {text}")
    for text in (*(f"{name} never came" for name in missing), *invalid):
        console.print(f"  {text}", soft_wrap=True)
    return all(checks.values())


def _show_arrivals(console: Console, ready: Ready, arrivals: Sequence[Arrival | str]) -> None:
    table = Table(title="\nEvery type, where it came from, and how soon", title_justify="left")
    for heading in ("type", "producer", "POSTs", "signature", "schema", "ms", "workflow"):
        table.add_column(heading, overflow="fold")
    for one in arrivals:
        if isinstance(one, str):
            table.add_row(one, "", "0", "✗", "✗", "", "")
        else:
            table.add_row(
                one.type,
                one.producer,
                str(len(one.posts)),
                "✓" if one.is_verified else "✗",
                "✗" if one.invalid else "✓",
                f"{one.ms:.0f}",
                _link(ready, one.workflow_id),
            )
    console.print(table)


def _link(ready: Ready, workflow_id: str) -> str:
    """The workflow's name, which leads to its page in the Temporal UI."""
    if not workflow_id:
        return "—"
    page = f"{ready.temporal_ui_url}/namespaces/{ready.temporal_namespace}/workflows"
    return f"[link={page}/{quote(workflow_id, safe='')}]{workflow_id}[/link]"


def _wrong_with(posts: Sequence[dict[str, Any]], schema: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator(schema)
    return [
        f"{post['event_type']} {post['event_id']}: {error.json_path} {error.message}"
        for post in posts
        for error in validator.iter_errors(post["data"])
    ]
