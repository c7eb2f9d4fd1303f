from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.payload_filter import (
    CHOICES_MAX,
    CLAUSES_MAX,
    DEPTH_MAX,
    InvalidFilter,
    check_filter,
    explain,
    matches,
    parse,
)

DATA = {
    "amount": "100.50",
    "amount_minor": 10050,
    "asset_code": "USD",
    "urgent": True,
    "memo": None,
    "created_at": "2026-01-01T12:00:00Z",
    "account": {"uuid": "acc-1", "limits": {"daily": "1000"}},
    "tags": ["a", "b"],
    "huge": "123456789012345678.000000000000000001",
}

# (filter, whether it matches DATA)
TABLE: list[tuple[dict[str, Any], bool]] = [
    ({"data.asset_code": "USD"}, True),
    ({"data.asset_code": "usd"}, False),
    ({"data.asset_code": {"$eq": "USD"}}, True),
    ({"data.asset_code": {"$neq": "EUR"}}, True),
    ({"data.asset_code": {"$neq": "USD"}}, False),
    ({"data.asset_code": {"$in": ["EUR", "USD"]}}, True),
    ({"data.asset_code": {"$nin": ["EUR", "USD"]}}, False),
    ({"data.asset_code": {"$startsWith": "US"}}, True),
    ({"data.asset_code": {"$startsWith": "S"}}, False),
    # Decimals are compared by what they are worth, not as text.
    ({"data.amount": {"$gt": "99"}}, True),
    ({"data.amount": {"$gt": "100.5"}}, False),
    ({"data.amount": {"$gte": "100.5"}}, True),
    ({"data.amount": {"$lt": "1000"}}, True),
    ({"data.amount": {"$lte": "100.49"}}, False),
    ({"data.amount": "100.5"}, True),
    ({"data.amount": {"$in": ["1", "100.500"]}}, True),
    ({"data.amount_minor": {"$gte": 10050, "$lt": 10051}}, True),
    ({"data.amount_minor": {"$gt": "10049.5"}}, True),
    ({"data.amount_minor": 10050}, True),
    ({"data.huge": {"$gt": "123456789012345678"}}, True),
    ({"data.huge": "123456789012345678"}, False),
    # Timestamps too, whatever their fraction digits.
    ({"data.created_at": {"$lt": "2026-01-01T12:00:00.500Z"}}, True),
    ({"data.created_at": {"$gte": "2026-01-01T12:00:00.000Z"}}, True),
    ({"data.created_at": {"$gt": "100"}}, False),
    # True is not one, and null is not nothing.
    ({"data.urgent": True}, True),
    ({"data.urgent": 1}, False),
    ({"data.memo": None}, True),
    ({"data.memo": {"$exist": True}}, True),
    ({"data.asset_code": None}, False),
    # What is missing equals nothing.
    ({"data.nothing": {"$exist": False}}, True),
    ({"data.nothing": {"$exist": True}}, False),
    ({"data.nothing": None}, False),
    ({"data.nothing": {"$neq": "x"}}, True),
    ({"data.nothing": {"$nin": ["x"]}}, True),
    ({"data.nothing": {"$gt": 0}}, False),
    ({"data.nothing": {"$lt": 0}}, False),
    ({"data.asset_code.deeper": {"$exist": False}}, True),
    # Objects and lists are only there or not.
    ({"data.account.uuid": "acc-1"}, True),
    ({"data.account.limits.daily": {"$gte": 1000}}, True),
    ({"data.account": {"$exist": True}}, True),
    ({"data.tags": "a"}, False),
    ({"data.tags": {"$exist": True}}, True),
    ({"data.asset_code": {"$gt": 5}}, False),
    # Groups.
    ({"data.asset_code": "USD", "data.amount": {"$gt": 1000}}, False),
    ({"$or": [{"data.asset_code": "EUR"}, {"data.amount": {"$gt": 100}}]}, True),
    ({"$or": [{"data.asset_code": "EUR"}, {"data.amount": {"$gt": 1000}}]}, False),
    ({"$and": [{"data.asset_code": "USD"}, {"data.urgent": True}]}, True),
    ({"$not": {"data.asset_code": "USD"}}, False),
    ({"$not": {"$or": [{"data.asset_code": "EUR"}, {"data.urgent": False}]}}, True),
]


@pytest.mark.parametrize(("filter", "expected"), TABLE)
def test_a_filter_matches_what_it_says(filter: dict[str, Any], expected: bool) -> None:
    assert matches(parse(filter), DATA) is expected


@pytest.mark.parametrize(("filter", "expected"), TABLE)
def test_not_turns_every_answer_round(filter: dict[str, Any], expected: bool) -> None:
    assert matches(parse({"$not": filter}), DATA) is not expected


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ({}, "empty"),
        ("data.amount", "object"),
        ([], "object"),
        ({"amount": "1"}, 'begins with "data."'),
        ({"data": {"amount": 1}}, 'begins with "data."'),
        ({"data.a b": 1}, 'begins with "data."'),
        ({"data." + ".".join("abcdefghi"): 1}, "at most 8 fields"),
        ({"$eq": 1}, "no place here"),
        ({"$where": "1 == 1"}, "no place here"),
        ({"data.amount": {"$regex": ".*"}}, "not an operator"),
        ({"data.amount": {"gte": 1}}, "not an operator"),
        ({"data.amount": {}}, "write a value or an operator"),
        ({"data.amount": {"$gt": "abc"}}, "compare with an integer"),
        ({"data.amount": {"$gt": None}}, "compare with an integer"),
        ({"data.amount": {"$gt": True}}, "compare with an integer"),
        ({"data.amount": {"$gt": 100.5}}, 'write decimals as strings: "100.5"'),
        ({"data.amount": 100.5}, "decimals as strings"),
        ({"data.amount": 2**60}, "as a string"),
        ({"data.tags": ["a"]}, "compare with a text"),
        ({"data.amount": {"$in": []}}, "1 to 100"),
        ({"data.amount": {"$in": "USD"}}, "1 to 100"),
        ({"data.amount": {"$in": [1] * (CHOICES_MAX + 1)}}, "1 to 100"),
        ({"data.amount": {"$exist": "yes"}}, "true or false"),
        ({"data.amount": {"$startsWith": 5}}, "a text"),
        ({"data.amount": {"$startsWith": ""}}, "a text"),
        ({"data.amount": "x" * 300}, "at most 256"),
        ({"$or": {"data.amount": 1}}, "list"),
        ({"$or": []}, "list"),
        ({"$or": [{"data.a": 1}, {}]}, "$or[1]"),
        ({"$not": [{"data.a": 1}]}, "object"),
    ],
)
def test_a_bad_filter_says_what_to_write_instead(filter: Any, says: str) -> None:
    [problem] = check_filter(filter)

    assert says in problem
    assert len(problem) < 500


def test_a_bad_clause_is_named_by_its_place() -> None:
    with pytest.raises(InvalidFilter) as refused:
        parse({"$or": [{"data.a": 1}, {"$not": {"data.b": {"$gt": "x"}}}]})

    assert refused.value.details["at"] == "$or[1].$not.data.b.$gt"


def test_depth_and_size_are_bounded() -> None:
    deep: dict[str, Any] = {"data.a": 1}
    for _ in range(DEPTH_MAX - 1):
        deep = {"$not": deep}
    wide = {f"data.a{number}": 1 for number in range(CLAUSES_MAX)}

    assert check_filter(deep) == check_filter(wide) == []
    assert "nest" in check_filter({"$not": deep})[0]
    assert "clauses" in check_filter(wide | {"data.more": 1})[0]


def test_a_filter_nested_a_thousand_deep_is_refused_and_not_followed() -> None:
    bomb: dict[str, Any] = {"data.a": 1}
    for _ in range(5_000):
        bomb = {"$not": bomb}

    assert "nest" in check_filter(bomb)[0]


def test_an_explanation_tells_each_clause() -> None:
    filter = parse(
        {"$or": [{"data.asset_code": "EUR"}, {"data.nothing": {"$gte": "1"}}], "data.urgent": True}
    )

    explained = explain(filter, DATA)

    assert not explained.matched
    assert [
        (one.clause, one.operator, one.operand, one.found, one.is_missing, one.matched)
        for one in explained.clauses
    ] == [
        ("$or[0].data.asset_code", "$eq", "EUR", "USD", False, False),
        ("$or[1].data.nothing", "$gte", "1", None, True, False),
        ("data.urgent", "$eq", True, True, False, True),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$or", "$and", "$not", "$gt", "$in", "$exist", "data.amount", "data.x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(JSON)
def test_anything_is_either_refused_in_words_or_evaluated(filter: Any) -> None:
    problems = check_filter(filter)

    assert problems or matches(parse(filter), DATA) in (True, False)
