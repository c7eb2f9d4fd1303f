"""Payload filters: which events an endpoint wants, by what is in them. Data, never code.

    {"data.asset_code": "USD",                                          all of these hold …
     "data.amount": {"$gte": "100.00", "$lt": "5000"},                  … decimals as decimals …
     "$or": [{"data.rail": {"$in": ["wire", "card"]}}, {"$not": {"data.urgent": true}}]}

A filter is checked once, when it is stored, and says in words what is wrong with it. It is bounded
in size and depth, has no regular expressions, and evaluates in a time that its size bounds.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any, Final, TypeAlias

from domain.catalogue.model import DECIMAL_PATTERN, INTEGER_MAX, TIMESTAMP_PATTERN
from domain.errors import Refused

DEPTH_MAX: Final = 5
CLAUSES_MAX: Final = 50
CHOICES_MAX: Final = 100
TEXT_MAX: Final = 256
PATH_PARTS_MAX: Final = 8

COMPARISONS: Final = ("$gt", "$gte", "$lt", "$lte")
GROUPS: Final = ("$or", "$and", "$not")
PATH: Final = re.compile(rf"data(\.[A-Za-z0-9_-]{{1,64}}){{1,{PATH_PARTS_MAX}}}\Z", re.ASCII)
DECIMAL: Final = re.compile(DECIMAL_PATTERN, re.ASCII)
TIMESTAMP: Final = re.compile(TIMESTAMP_PATTERN, re.ASCII)


class InvalidFilter(Refused):
    code = "invalid_filter"


class _Missing:
    """What is at a path that the payload does not have."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = _Missing()


@dataclass(frozen=True)
class Clause:
    """One comparison. `at` says where in the filter it stands."""

    at: str
    path: tuple[str, ...]
    operator: str
    operand: Any


@dataclass(frozen=True)
class Group:
    """`$and` of its parts, or `$or`, or `$not` of its only one."""

    operator: str
    parts: tuple["Part", ...]


Part: TypeAlias = Clause | Group


@dataclass(frozen=True)
class ClauseResult:
    """What one clause made of a payload. `found` is None where the payload has nothing there."""

    clause: str
    operator: str
    operand: Any
    found: Any
    is_missing: bool
    matched: bool


@dataclass(frozen=True)
class Explanation:
    """Whether the filter matched, and what each of its clauses said."""

    matched: bool
    clauses: tuple[ClauseResult, ...]


def parse(text: Any) -> Group:
    """Read a filter. Raises InvalidFilter, whose text says what to write instead."""
    reader = _Reader()
    return reader.read_filter(text, at="", depth=1)


def check_filter(raw: Any) -> list[str]:
    """A sentence if the filter cannot be used. Empty if it can."""
    try:
        parse(raw)
    except InvalidFilter as error:
        return [str(error)]
    return []


def stored_filter(raw: Mapping[str, Any]) -> Group:
    """A filter that was checked when it was stored. Read once, not for every event."""
    return _stored(json.dumps(raw))


@lru_cache(maxsize=1024)
def _stored(text: str) -> Group:
    return parse(json.loads(text))


def matches(part: Part, data: Mapping[str, Any]) -> bool:
    """Whether a payload, as JSON values, passes."""
    if isinstance(part, Clause):
        return _holds(part.operator, _find(data, part.path), part.operand)
    if part.operator == "$or":
        return any(matches(one, data) for one in part.parts)
    all_hold = all(matches(one, data) for one in part.parts)
    return not all_hold if part.operator == "$not" else all_hold


def explain(filter: Group, data: Mapping[str, Any]) -> Explanation:
    """Whether a payload passes, and each clause's part in it."""
    clauses = tuple(_explain_clause(clause, data) for clause in _clauses(filter))
    return Explanation(matches(filter, data), clauses)


def _explain_clause(clause: Clause, data: Mapping[str, Any]) -> ClauseResult:
    found = _find(data, clause.path)
    is_missing = found is MISSING
    return ClauseResult(
        clause=clause.at,
        operator=clause.operator,
        operand=list(clause.operand) if isinstance(clause.operand, tuple) else clause.operand,
        found=None if is_missing else found,
        is_missing=is_missing,
        matched=_holds(clause.operator, found, clause.operand),
    )


def _clauses(part: Part) -> Iterable[Clause]:
    if isinstance(part, Clause):
        yield part
        return
    for one in part.parts:
        yield from _clauses(one)


def _find(data: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = data
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return MISSING
        found = found[name]
    return found


def _holds(operator: str, found: Any, operand: Any) -> bool:
    """What is missing equals nothing: only `$neq`, `$nin` and `$exist: false` hold for it."""
    return HOLDS[operator](found, operand)


def _one_of(found: Any, operands: tuple[Any, ...]) -> bool:
    return any(_equal(found, one) for one in operands)


def _equal(found: Any, operand: Any) -> bool:
    if found is MISSING or isinstance(found, Mapping | list):
        return False
    left, right = _ordered(found), _ordered(operand)
    if left is not None and right is not None and type(left) is type(right):
        return bool(left == right)
    return type(found) is type(operand) and bool(found == operand)


def _compare(found: Any, operand: Any, holds: Callable[[Any, Any], bool]) -> bool:
    left, right = _ordered(found), _ordered(operand)
    if left is None or right is None or type(left) is not type(right):
        return False
    return holds(left, right)


def _ordered(value: Any) -> Any:
    """A number, a decimal in a string or a timestamp as what it means; None for all else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, str):
        if DECIMAL.match(value):
            return Decimal(value)
        if TIMESTAMP.match(value):
            return _moment(value)
    return None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # The thirteenth month: shaped like a timestamp, and none.
        return None


HOLDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$eq": _equal,
    "$neq": lambda found, operand: not _equal(found, operand),
    "$in": _one_of,
    "$nin": lambda found, operands: not _one_of(found, operands),
    "$gt": lambda found, operand: _compare(found, operand, gt),
    "$gte": lambda found, operand: _compare(found, operand, ge),
    "$lt": lambda found, operand: _compare(found, operand, lt),
    "$lte": lambda found, operand: _compare(found, operand, le),
    "$exist": lambda found, operand: (found is not MISSING) is operand,
    "$startsWith": lambda found, operand: isinstance(found, str) and found.startswith(operand),
}
OPERATORS: Final = tuple(HOLDS)


class _Reader:
    """Reads one filter and counts its clauses."""

    def __init__(self) -> None:
        self._clauses = 0

    def read_filter(self, raw: Any, *, at: str, depth: int) -> Group:
        if not isinstance(raw, Mapping):
            raise _wrong(at, 'a filter is an object, like {"data.asset_code": "USD"}')
        if not raw:
            raise _wrong(at, "an empty filter says nothing: leave it out, or write a clause")
        if depth > DEPTH_MAX:
            raise _wrong(at, f"filters nest at most {DEPTH_MAX} deep")
        parts = [part for key, value in raw.items() for part in self._member(key, value, at, depth)]
        return Group("$and", tuple(parts))

    def _member(self, key: Any, value: Any, at: str, depth: int) -> list[Part]:
        here = f"{at}.{key}" if at else str(key)
        if key in GROUPS:
            return [self._group(key, value, here, depth)]
        if str(key).startswith("$"):
            raise _wrong(here, f"{key} has no place here: only {', '.join(GROUPS)} or a data path")
        if not isinstance(key, str) or not PATH.match(key):
            raise _wrong(
                here,
                'a path begins with "data." and names at most '
                f'{PATH_PARTS_MAX} fields, like "data.amount"',
            )
        return self._conditions(key, value, here)

    def _group(self, operator: str, raw: Any, here: str, depth: int) -> Group:
        if operator == "$not":
            return Group("$not", (self.read_filter(raw, at=here, depth=depth + 1),))
        if not isinstance(raw, list) or not raw:
            raise _wrong(here, f"{operator} takes a list of one filter or more")
        if len(raw) > CLAUSES_MAX:
            raise _wrong(here, f"{operator} takes at most {CLAUSES_MAX} filters")
        parts = [
            self.read_filter(one, at=f"{here}[{number}]", depth=depth + 1)
            for number, one in enumerate(raw)
        ]
        return Group(operator, tuple(parts))

    def _conditions(self, path: str, raw: Any, here: str) -> list[Part]:
        conditions = raw if isinstance(raw, Mapping) else {"$eq": raw}
        if not conditions:
            raise _wrong(here, 'write a value or an operator, like {"$gte": "100.00"}')
        return [
            self._clause(path, operator, operand, here) for operator, operand in conditions.items()
        ]

    def _clause(self, path: str, operator: Any, operand: Any, here: str) -> Clause:
        self._clauses += 1
        if self._clauses > CLAUSES_MAX:
            raise _wrong(here, f"a filter has at most {CLAUSES_MAX} clauses")
        if operator not in OPERATORS:
            raise _wrong(
                here, f"{str(operator)[:40]!r} is not an operator: use {', '.join(OPERATORS)}"
            )
        names = tuple(path.split(".")[1:])
        return Clause(here, names, operator, _operand(operator, operand, f"{here}.{operator}"))


def _operand(operator: str, raw: Any, here: str) -> Any:
    if operator in ("$in", "$nin"):
        if not isinstance(raw, list) or not 1 <= len(raw) <= CHOICES_MAX:
            raise _wrong(here, f"write a list of 1 to {CHOICES_MAX} values")
        return tuple(_scalar(one, here) for one in raw)
    if operator == "$exist":
        if not isinstance(raw, bool):
            raise _wrong(here, "write true or false")
        return raw
    if operator == "$startsWith":
        if not isinstance(raw, str) or not 1 <= len(raw) <= TEXT_MAX:
            raise _wrong(here, f"write a text of 1 to {TEXT_MAX} characters")
        return raw
    operand = _scalar(raw, here)
    if operator in COMPARISONS and _ordered(operand) is None:
        raise _wrong(
            here,
            'compare with an integer, a decimal in a string, like "100.00", '
            'or a timestamp, like "2026-01-01T00:00:00Z"',
        )
    return operand


def _scalar(raw: Any, here: str) -> Any:
    if isinstance(raw, float):
        raise _wrong(here, f'write decimals as strings: "{raw}", not {raw}')
    if raw is not None and not isinstance(raw, bool | int | str):
        raise _wrong(here, "compare with a text, an integer, true, false or null")
    if isinstance(raw, str) and len(raw) > TEXT_MAX:
        raise _wrong(here, f"a text to compare with has at most {TEXT_MAX} characters")
    if isinstance(raw, int) and abs(raw) > INTEGER_MAX:
        raise _wrong(here, "write an integer this large as a string: payloads have none")
    return raw


def _wrong(here: str, text: str) -> InvalidFilter:
    return InvalidFilter(f"{here[:200]}: {text}" if here else text, at=here[:200])
