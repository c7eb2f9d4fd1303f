"""`sagapost trigger`: publish a sample event, or one of your own, to see what a receiver does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import EXIT_FAILED, load_settings, refuse, screen
from cli.up import KEY_FILE
from runtime.settings import Settings

TIMEOUT_S = 30

EventType = Annotated[str, typer.Argument(metavar="TYPE", help='Like "transfer.completed".')]
Webhook = Annotated[
    str | None, typer.Option(metavar="ID", help="Send it to this webhook only, as a test.")
]
Fields = Annotated[
    str | None,
    typer.Option("--data", metavar="JSON", help="Fields in the place of the sample's."),
]
Url = Annotated[
    str | None, typer.Option(envvar="SAGAPOST_API_URL", help="The API. Empty: on this machine.")
]
Key = Annotated[
    str | None,
    typer.Option(envvar="SAGAPOST_API_KEY", help="An API key. Empty: the data folder's first."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer.")]


def trigger(  # noqa: PLR0913 - these are the options of a command line
    event_type: EventType,
    *,
    webhook: Webhook = None,
    fields: Fields = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Publish an event: a sample of its type, or with your own fields."""
    payload = _sample(event_type) | _parse(fields)
    settings = load_settings()
    path = f"/v2/webhooks/{webhook}/test" if webhook else "/v2/events"
    answer = _post(
        (url or settings.api_url).rstrip("/") + path,
        key or _first_key(settings),
        {"type": event_type, "data": payload},
    )
    screen.print(json.dumps(answer) if as_json else _told(event_type, answer["data"]))


def _sample(event_type: str) -> dict[str, Any]:
    from domain.catalogue import EVENT_TYPES, TEST_EVENT, check_patterns

    event = TEST_EVENT if event_type == TEST_EVENT.event_type else EVENT_TYPES.get(event_type)
    if event is None:
        refuse("; ".join(check_patterns([event_type])) or f"{event_type} is not one event type")
    sample: dict[str, Any] = event.example().model_dump(mode="json", by_alias=True)
    return sample


def _parse(fields: str | None) -> dict[str, Any]:
    if fields is None:
        return {}
    try:
        given = json.loads(fields)
    except ValueError as error:
        refuse(f"--data is not JSON: {error}")
    if not isinstance(given, dict):
        refuse('--data is an object, like {"amount": "5.00"}')
    return given


def _first_key(settings: Settings) -> str:
    path: Path = settings.data_dir / KEY_FILE
    try:
        return path.read_text().strip()
    except OSError:
        refuse(f"give an API key by --key or SAGAPOST_API_KEY: there is none in {path}")


def _post(url: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    import httpx

    try:
        answer = httpx.post(
            url,
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        refuse(f"{url} does not answer: {error}", EXIT_FAILED)
    try:
        said = answer.json()
    except ValueError:
        refuse(f"{url} answered {answer.status_code}, and not in JSON: is it the API?", EXIT_FAILED)
    if answer.is_error:
        refuse(_problem(answer.status_code, said), EXIT_FAILED)
    found: dict[str, Any] = said
    return found


def _problem(status: int, said: Mapping[str, Any]) -> str:
    lines = [f"the API answered {status}: {said.get('message', said)}"]
    for field, texts in (said.get("errors") or {}).items():
        lines += [f"  {field}: {text}" for text in texts]
    return "\n".join(lines)


def _told(event_type: str, told: Mapping[str, Any]) -> str:
    """One line for the event, one for each webhook that gets it."""
    if "deliveries" not in told:
        return f"{event_type}: {json.dumps(told)}"
    number = len(told["deliveries"])
    noun = "delivery" if number == 1 else "deliveries"
    lines = [f"{told['id']}  {event_type}  {number} {noun}"]
    lines += [f"  {one['webhook_id']}  {one['id']}  {one['state']}" for one in told["deliveries"]]
    if not told["deliveries"]:
        lines.append("  no webhook asks for it")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    app.command()(trigger)
