import pytest

from domain.ordering import (
    HeadOfLine,
    check_key_path,
    ordering_key,
    parse_head_of_line,
)

DATA = {"account_uuid": "a-1", "money": {"asset": "EUR", "minor": 5}, "tags": ["x"], "none": None}


@pytest.mark.parametrize(
    ("ordering", "path", "key"),
    [
        ("none", None, None),
        ("none", "data.account_uuid", None),
        ("strict", None, "*"),
        ("strict", "data.account_uuid", "*"),
        ("per_key", None, None),
        ("per_key", "data.account_uuid", "key:a-1"),
        ("per_key", "data.money.asset", "key:EUR"),
        ("per_key", "data.money.minor", "key:5"),
        ("per_key", "data.missing", "type:transfer.completed"),
        ("per_key", "data.none", "type:transfer.completed"),
        ("per_key", "data.money", "type:transfer.completed"),
        ("per_key", "data.tags", "type:transfer.completed"),
        ("per_key", "data.account_uuid.deeper", "type:transfer.completed"),
    ],
)
def test_where_an_event_stands_in_line(ordering: str, path: str | None, key: str | None) -> None:
    assert ordering_key(ordering, path, "transfer.completed", DATA) == key


def test_a_key_that_says_type_is_not_taken_for_an_event_type() -> None:
    path = "data.account_uuid"
    forged = ordering_key("per_key", path, "x", {"account_uuid": "type:x"})
    assert forged != ordering_key("per_key", path, "x", {})


@pytest.mark.parametrize(
    ("text", "head_of_line"),
    [
        ("block", HeadOfLine()),
        ("skip_after:1", HeadOfLine(attempts_max=1)),
        ("skip_after:20", HeadOfLine(attempts_max=20)),
        ("park_key", HeadOfLine(parks_key=True)),
    ],
)
def test_head_of_line_policies(text: str, head_of_line: HeadOfLine) -> None:
    assert parse_head_of_line(text) == head_of_line


@pytest.mark.parametrize(
    "text", ["", "skip", "skip_after", "skip_after:0", "skip_after:21", "skip_after:-1", "Block"]
)
def test_unknown_policies_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match='write "block"'):
        parse_head_of_line(text)


def test_only_skip_after_lets_pass_and_only_after_so_many_attempts() -> None:
    assert not parse_head_of_line("block").lets_pass(99)
    assert not parse_head_of_line("park_key").lets_pass(99)
    assert not parse_head_of_line("skip_after:3").lets_pass(2)
    assert parse_head_of_line("skip_after:3").lets_pass(3)


def test_key_paths_are_checked() -> None:
    assert check_key_path("data.account_uuid") == "data.account_uuid"
    for bad in ("", "account", "data", "data.", "data.a-b", "data..a", "data.0", "data.a\n"):
        with pytest.raises(ValueError, match="no path of the payload"):
            check_key_path(bad)
