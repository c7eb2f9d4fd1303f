"""What the demo shows, and how it judges: every POST, every story in order, and the sums."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.demo.story import Run, Story
from domain.catalogue import matches
from domain.money import minor_to_decimal
from runtime.ready import Ready

KIND_SHOWN = 19
Posts = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Check:
    """One thing that must be so."""

    text: str
    holds: bool


def show_places(console: Console, ready: Ready, healthy: str, flaky: str) -> None:
    console.print(f"API          {ready.api_url}")
    console.print(f"Temporal UI  {ready.temporal_ui_url}")
    console.print(f"receivers    {healthy} is healthy")
    console.print(f"             {flaky} answers 500 twice before it answers 200")
    console.print()


def show(
    console: Console, story: Story, received: Posts, *, undelivered: int, chosen: Sequence[str]
) -> bool:
    """Print it all; True if everything arrived, verified and whole, and no money is lost."""
    _show_posts(console, received)
    for run in story.runs:
        _show_story(console, run)
    _show_money(console, story)
    checks = _judge(story, received, undelivered=undelivered, chosen=chosen)
    _show_sums(console, story, received)
    for check in checks:
        mark, style = ("✓", "green") if check.holds else ("✗", "bold red")
        console.print(f"[{style}]{mark}[/] {check.text}")
    return all(check.holds for check in checks)


def _show_posts(console: Console, received: Posts) -> None:
    table = Table(title="Every POST that the receivers got", title_justify="left")
    for heading in ("time", "receiver", "type", "workflow", "#", "POST", "signature", "answered"):
        table.add_column(heading, no_wrap=True)
    rows = [(post, name) for name, posts in received.items() for post in posts]
    for post, name in sorted(rows, key=lambda row: str(row[0]["received_at"])):
        table.add_row(
            post["received_at"][11:23],
            name,
            post["event_type"],
            _short(post["workflow_id"] or ""),
            str(post["sequence"] or ""),
            str(post["attempt"]),
            "✓" if post["verified"] else "✗",
            str(post["status"]),
        )
    console.print(table)


def _show_story(console: Console, run: Run) -> None:
    workflow = run.workflow
    console.print(f"\n[bold]{run.title.strip()}[/]: {workflow['state']}", soft_wrap=True)
    told = [f"{event['sequence']} {event['type']}" for event in workflow["events"]]
    console.print("  " + " → ".join(told), soft_wrap=True)
    console.print(f"  {workflow['workflow_url']}", style="dim", soft_wrap=True)


def _show_money(console: Console, story: Story) -> None:
    table = Table(title="\nMoney of all customers", title_justify="left")
    for heading in ("asset", "before", "fees paid", "after"):
        table.add_column(heading, justify="right")
    for asset in sorted(story.before | story.after):
        amounts = (story.before.get(asset, 0), _fees(story, asset), story.after.get(asset, 0))
        table.add_row(asset, *(minor_to_decimal(minor, asset) for minor in amounts))
    console.print(table)


def _show_sums(console: Console, story: Story, received: Posts) -> None:
    posts = [post for name in received for post in received[name]]
    deliveries = {post["delivery_id"] for post in posts}
    events = sum(len(run.workflow["events"]) for run in story.runs)
    console.print(
        f"\n{events} events committed, {len(deliveries)} deliveries, {len(posts)} attempts, "
        f"{len(posts) - len(deliveries)} retries, {_duplicates(received)} duplicates"
    )


def _judge(
    story: Story, received: Posts, *, undelivered: int, chosen: Sequence[str]
) -> list[Check]:
    events = [event for run in story.runs for event in run.workflow["events"]]
    everything = {event["id"] for event in events}
    wanted = {event["id"] for event in events if matches(chosen, event["type"])}
    posts = [post for name in received for post in received[name]]
    return [
        Check("every workflow ended as it should", all(map(_ended_well, story.runs))),
        Check("the healthy receiver got every event", _arrived(received["healthy"]) == everything),
        Check("the flaky one got all it chose, in the end", _arrived(received["flaky"]) == wanted),
        Check("every signature verified", bool(posts) and all(post["verified"] for post in posts)),
        Check("every story is whole: 1, 2, 3, … without a gap", all(map(_is_whole, story.runs))),
        Check("no delivery was sent again after it was accepted", not _duplicates(received)),
        Check("nothing is undelivered", undelivered == 0),
        Check("money is conserved in every currency", _is_conserved(story)),
    ]


def _ended_well(run: Run) -> bool:
    return bool(run.workflow["state"] == run.expected)


def _is_whole(run: Run) -> bool:
    told = [event["sequence"] for event in run.workflow["events"]]
    return told == list(range(1, len(told) + 1))


def _arrived(posts: list[dict[str, Any]]) -> set[str]:
    return {post["event_id"] for post in posts if post["status"] == 200}


def _duplicates(received: Posts) -> int:
    accepted = Counter(
        (name, post["event_id"])
        for name in received
        for post in received[name]
        if post["status"] == 200
    )
    return sum(count - 1 for count in accepted.values())


def _is_conserved(story: Story) -> bool:
    return all(
        story.before.get(asset, 0) == story.after.get(asset, 0) + _fees(story, asset)
        for asset in story.before | story.after
    )


def _fees(story: Story, asset: str) -> int:
    """What the events say that customers paid, in minor units."""
    return sum(
        -event["data"]["change_amount_minor"]
        for run in story.runs
        for event in run.workflow["events"]
        if event["type"] == "account.balance_updated"
        and event["data"]["change_reason"] == "fee"
        and event["data"]["asset_code"] == asset
    )


def _short(workflow_id: str) -> str:
    """`transfer …3f7d6e10`: ids of one minute differ only at their ends."""
    kind, _, business_id = workflow_id.partition("/")
    return f"{kind[:KIND_SHOWN]} …{business_id[-6:]}" if business_id else kind
