"""Logs: one wide line per fact, as JSON for machines or as text for eyes.

A fact is logged once, with what is known about it as `extra`:
`logger.info("delivery settled", extra={"delivery_id": …, "attempt": 2})`.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from runtime.settings import Settings

# Fields that every record has; what a record has beyond them is the fact's own.
COMMON: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"}
)
# Payloads belong to receivers: they are in the database, never in a log.
DROPPED: Final = frozenset({"body", "data", "payload", "request_body", "response_body"})
# The Temporal SDK says where it is in nested fields; these parts of them are worth a column.
TEMPORAL_FIELDS: Final = (
    "workflow_id",
    "workflow_run_id",
    "run_id",
    "workflow_type",
    "activity_type",
    "activity_id",
    "attempt",
)
# Libraries that tell each step they take; the facts worth a line are told by us.
QUIET: Final = {
    "aiohttp": logging.WARNING,
    "aiosqlite": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "temporalio": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,  # The API tells of each request itself.
}
PLAIN: Final = re.compile(r"[^\s\"'=\x00-\x1f\x7f]+\Z")


def setup_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all logging to one place (stderr). Called once, at the top of each process."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine() if settings.log_format == "json" else ConsoleLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(capture=True)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))


class JsonLine(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": _at(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "fact": record.getMessage(),
            **_details(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class ConsoleLine(logging.Formatter):
    """Time, level, fact, then `name=value`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        time = f"{_at(record).astimezone():%H:%M:%S}.{int(record.msecs):03d}"
        fact = _one_line(record.getMessage())
        details = " ".join(f"{name}={_plain(value)}" for name, value in _details(record).items())
        line = f"{time} {record.levelname:<7} {record.name}: {fact}  {details}".rstrip()
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _details(record: logging.LogRecord) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for name, value in vars(record).items():
        if name in ("temporal_workflow", "temporal_activity"):
            details.update({key: value[key] for key in TEMPORAL_FIELDS if key in value})
        elif name not in COMMON and name not in DROPPED:
            details[name] = value
    return details


def _plain(value: object) -> str:
    text = str(value)
    return text if PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Whoever can put a line break into a fact could else write lines of our log."""
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)
