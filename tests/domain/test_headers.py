import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.headers import check_headers

GOOD = {"Authorization": "Bearer s3cret", "X-Tenant": "acme", "X-Empty": "", "X-Tab": "a\tb c"}
OURS = [
    *["Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer"],
    *["Upgrade", "Expect", "Proxy-Authorization", "Content-Type", "Cookie", "Forwarded"],
    *["X-Forwarded-For", "webhook-id", "X-Webhook-ID", "X-FinAegis-Signature", "User-Agent"],
    *["Accept-Encoding", "traceparent", "svix-id"],
]


def test_ordinary_headers_have_no_problems() -> None:
    assert check_headers(GOOD) == []
    assert check_headers({}) == []


@pytest.mark.parametrize(
    "name",
    ["", "x a", "x\r\nX-Evil", "x:", "caf\u00e9", "x\x00", "(x)", " x"],
)
def test_a_name_is_a_token(name: str) -> None:
    assert "is not a header name" in problem(name, "1")


@pytest.mark.parametrize(
    "value", ["b\r\nX-Evil: 1", "b\nX", "b\x00c", "caf\u00e9", " lead", "trail ", "\t", "\x7f"]
)
def test_a_value_is_printable_and_is_never_repeated(value: str) -> None:
    text = problem("X-Key", value)

    assert "printable" in text
    assert value not in text or value.isspace()


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_cannot_be_taken(name: str) -> None:
    assert "is reserved" in problem(name, "1")
    assert "is reserved" in problem(name.swapcase(), "1")


def test_there_are_limits() -> None:
    many = {f"X-{number}": "1" for number in range(21)}
    assert check_headers(many) == ["there are 21 headers: give at most 20"]
    assert check_headers({"X-Big": "a" * 4096}) == [
        "all headers together may have at most 4096 characters"
    ]
    assert check_headers({"X-Big": "a" * (4096 - 5)}) == []


def test_one_header_in_two_spellings_is_refused() -> None:
    [text] = check_headers({"X-Key": "1", "x-key": "2"})
    assert "given twice" in text


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_that_passes_can_split_a_request(name: str, value: str) -> None:
    if not check_headers({name: value}):
        line = f"{name}: {value}"
        assert line.isascii()
        assert not {"\r", "\n", "\0"} & {*line}
        assert ":" not in name


def problem(name: str, value: str) -> str:
    [text] = check_headers({name: value})
    return text
