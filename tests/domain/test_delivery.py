from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import (
    RETRY_AFTER_MAX,
    STANDARD_SCHEDULE,
    AttemptOutcome,
    Control,
    Decision,
    DeliveryState,
    DisableEndpoint,
    EndpointPolicy,
    OutcomeClass,
    Park,
    Retry,
    Settle,
    decide,
    format_schedule,
    parse_retry_after,
    parse_schedule,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIVE_SECONDS = timedelta(seconds=5)
DELIVERED = Settle(DeliveryState.SUCCEEDED, "delivered")
GONE = Settle(DeliveryState.DEAD_LETTERED, "gone")
LAST = len(STANDARD_SCHEDULE) + 1
NOT_ANSWERED = sorted(set(OutcomeClass) - {OutcomeClass.ANSWERED, OutcomeClass.REFUSED_ADDRESS})

delays = st.timedeltas(timedelta(), timedelta(days=7)).map(
    lambda delay: delay // timedelta(milliseconds=1) * timedelta(milliseconds=1)
)
outcomes = st.builds(
    AttemptOutcome,
    outcome=st.sampled_from(OutcomeClass),
    status_code=st.none() | st.integers(0, 999),
    retry_after=st.none() | st.timedeltas(timedelta(), timedelta(days=900_000_000)),
    control=st.sampled_from([None, "disable", "abort"]),
)


@pytest.mark.parametrize("status_code", [200, 201, 202, 204, 206, 299])
def test_any_2xx_succeeds(status_code: int) -> None:
    assert decide_after(status_code) == DELIVERED
    assert decide_after(status_code, attempt=LAST) == DELIVERED


@pytest.mark.parametrize(
    "status_code",
    [
        *[100, 101, 103, 199, 300, 301, 302, 303, 304, 307, 308],
        *[400, 401, 403, 404, 409, 422, 499, 500, 502, 503, 504, 599, 600, 999],
    ],
)
def test_any_other_answer_is_retried_on_schedule(status_code: int) -> None:
    reason = f"http_{status_code}"
    assert decide_after(status_code) == Retry(FIVE_SECONDS, reason)
    assert decide_after(status_code, attempt=2) == Retry(timedelta(minutes=5), reason)
    assert decide_after(status_code, attempt=LAST) == dead_letter("exhausted")


@pytest.mark.parametrize("outcome", NOT_ANSWERED)
def test_no_answer_is_retried_on_schedule(outcome: OutcomeClass) -> None:
    attempt = AttemptOutcome(outcome)
    assert decide_on(attempt) == Retry(FIVE_SECONDS, outcome.value)
    assert decide_on(attempt, attempt=LAST) == dead_letter("exhausted")


def test_a_refused_address_is_final() -> None:
    refused = AttemptOutcome(OutcomeClass.REFUSED_ADDRESS)
    assert decide_on(refused) == dead_letter("refused_address")


def test_gone_settles_this_delivery_and_disables_the_endpoint() -> None:
    assert decide_after(410) == DisableEndpoint("gone", GONE)


@pytest.mark.parametrize(
    ("status_code", "control", "decision"),
    [
        (200, "disable", DisableEndpoint("disabled_by_receiver", DELIVERED)),
        (500, "disable", DisableEndpoint("disabled_by_receiver", Park("disabled_by_receiver"))),
        (410, "disable", DisableEndpoint("gone", GONE)),
        (200, "abort", DELIVERED),
        (500, "abort", Settle(DeliveryState.DEAD_LETTERED, "aborted_by_receiver")),
    ],
)
def test_the_receiver_can_stop_us(status_code: int, control: Control, decision: Decision) -> None:
    outcome = AttemptOutcome(OutcomeClass.ANSWERED, status_code, control=control)
    assert decide_on(outcome) == decision


def test_permanent_codes_are_not_retried() -> None:
    policy = EndpointPolicy(permanent_codes=frozenset({404, 422}))
    assert decide_after(422, policy=policy) == dead_letter("permanent_code")
    assert decide_after(400, policy=policy) == Retry(FIVE_SECONDS, "http_400")


def test_a_permanent_code_cannot_make_a_success_a_failure() -> None:
    assert decide_after(200, policy=EndpointPolicy(permanent_codes=frozenset({200}))) == DELIVERED


@pytest.mark.parametrize(
    ("status_code", "hint_seconds", "delay_seconds"),
    [
        (429, None, 60),  # A floor, because nothing was said.
        (429, 0, 5),
        (429, 1, 5),
        (429, 120, 120),
        (503, None, 5),
        (503, 1, 5),
        (503, 120, 120),
        (503, 10**9, 86_400),
        (500, 120, 5),
        (404, 120, 5),
    ],
)
def test_retry_after_lengthens_the_delay(
    status_code: int, hint_seconds: int | None, delay_seconds: int
) -> None:
    hint = None if hint_seconds is None else timedelta(seconds=hint_seconds)
    outcome = AttemptOutcome(OutcomeClass.ANSWERED, status_code, retry_after=hint)
    assert decide_on(outcome) == Retry(timedelta(seconds=delay_seconds), f"http_{status_code}")


def test_a_long_schedule_is_not_shortened_by_the_cap_of_retry_after() -> None:
    policy = EndpointPolicy(retry_schedule=(timedelta(days=7),))
    outcome = AttemptOutcome(OutcomeClass.ANSWERED, 503, retry_after=timedelta(days=30))
    assert decide_on(outcome, policy=policy) == Retry(timedelta(days=7), "http_503")


@pytest.mark.parametrize(("jitter", "seconds"), [(-1, 4), (-0.5, 4.5), (0, 5), (1, 6)])
def test_jitter_moves_the_scheduled_delay_by_a_fifth(jitter: float, seconds: float) -> None:
    assert decide_after(500, jitter=jitter) == Retry(timedelta(seconds=seconds), "http_500")


def test_jitter_never_undercuts_what_the_receiver_asked_for() -> None:
    outcome = AttemptOutcome(OutcomeClass.ANSWERED, 503, retry_after=FIVE_SECONDS)
    assert decide_on(outcome, jitter=-1) == Retry(FIVE_SECONDS, "http_503")
    assert decide_after(429, jitter=-1) == Retry(timedelta(seconds=60), "http_429")


def test_a_parked_endpoint_parks_what_would_be_retried() -> None:
    parked = EndpointPolicy(parked=True)
    assert decide_after(500, policy=parked) == Park("endpoint_parked")
    assert decide_after(200, policy=parked) == DELIVERED
    assert decide_after(500, policy=parked, attempt=LAST) == Park("endpoint_parked")


def test_no_schedule_means_one_attempt() -> None:
    assert decide_after(500, policy=EndpointPolicy(retry_schedule=())) == dead_letter("exhausted")


def test_the_standard_schedule_is_ten_attempts_over_three_days() -> None:
    assert len(STANDARD_SCHEDULE) == 9
    assert sum(STANDARD_SCHEDULE, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert parse_schedule("5s,5m,30m,2h,5h,10h,14h,20h,24h") == STANDARD_SCHEDULE


@given(outcomes, st.integers(1, 30), st.floats(-1, 1), st.booleans(), st.lists(delays, max_size=20))
def test_there_is_a_decision_for_everything(
    outcome: AttemptOutcome,
    attempt: int,
    jitter: float,
    parked: bool,
    schedule: list[timedelta],
) -> None:
    policy = EndpointPolicy(tuple(schedule), parked=parked)

    decision = decide(outcome, attempt_number=attempt, policy=policy, jitter=jitter)

    assert (decision == DELIVERED) <= outcome.succeeded
    if isinstance(decision, Retry):
        assert attempt <= len(schedule)
        assert timedelta() <= decision.delay <= max(1.2 * schedule[attempt - 1], RETRY_AFTER_MAX)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (AttemptOutcome(OutcomeClass.ANSWERED, 204), False),
        (AttemptOutcome(OutcomeClass.ANSWERED, 500), True),
        (AttemptOutcome(OutcomeClass.TIMEOUT), True),
        (AttemptOutcome(OutcomeClass.REFUSED_ADDRESS), True),
        (AttemptOutcome(OutcomeClass.PROXY), False),
        (AttemptOutcome(OutcomeClass.CONGESTED), False),
        (AttemptOutcome(OutcomeClass.UNEXPECTED), False),
    ],
)
def test_only_the_receivers_faults_count_against_it(outcome: AttemptOutcome, counts: bool) -> None:
    assert outcome.counts_against_endpoint is counts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("999999999", 999_999_999),
        ("9" * 5000, 86_400),
        ("Thu, 01 Jan 2026 12:02:00 GMT", 120),
        ("Thursday, 01-Jan-26 12:02:00 GMT", 120),
        ("Thu Jan  1 12:02:00 2026", 120),
        ("Thu, 01 Jan 2026 14:02:00 +0200", 120),
        ("Thu, 01 Jan 2015 12:02:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: int) -> None:
    assert parse_retry_after(text, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "1e3", "0x10", "\u0661", "12:00", "Thu, 99 Jan 2026 12:02:00"]
)
def test_an_unreadable_retry_after_is_no_hint(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


@given(st.text(max_size=60) | st.from_regex(r"\w+, \d+ (Jan|Dec) \d+ \d+:\d+:\d+ [+-]?\w*"))
def test_no_retry_after_is_an_error(text: str) -> None:
    delay = parse_retry_after(text, NOW)
    assert delay is None or delay >= timedelta()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", []),
        (" ", []),
        ("5s", [5]),
        ("0s, 5m ,2h", [0, 300, 7_200]),
        ("7d,50ms", [604_800, 0.05]),
    ],
)
def test_a_schedule_is_read_from_text(text: str, seconds: list[float]) -> None:
    assert parse_schedule(text) == tuple(timedelta(seconds=number) for number in seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", "write a whole number and a unit"),
        ("5s,,5s", "write a whole number and a unit"),
        ("5 s", "write a whole number and a unit"),
        ("soon", "write a whole number and a unit"),
        ("1.5h", "write a whole number and a unit"),
        ("99999999999s", "write a whole number and a unit"),
        ("-5s", "between 0s and 7d"),
        ("8d", "between 0s and 7d"),
        (",".join(["1s"] * 21), "at most 20"),
    ],
)
def test_an_impossible_schedule_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_schedule(text)


@given(st.lists(delays, max_size=20).map(tuple))
def test_a_schedule_survives_being_written_and_read(schedule: tuple[timedelta, ...]) -> None:
    assert parse_schedule(format_schedule(schedule)) == schedule


def test_a_schedule_is_written_as_a_person_would() -> None:
    assert format_schedule(STANDARD_SCHEDULE) == "5s,5m,30m,2h,5h,10h,14h,20h,1d"
    assert format_schedule((timedelta(), timedelta(seconds=90))) == "0s,90s"


def dead_letter(reason: str) -> Settle:
    return Settle(DeliveryState.DEAD_LETTERED, reason)


def decide_on(
    outcome: AttemptOutcome,
    attempt: int = 1,
    policy: EndpointPolicy | None = None,
    jitter: float = 0,
) -> Decision:
    return decide(outcome, attempt_number=attempt, policy=policy or EndpointPolicy(), jitter=jitter)


def decide_after(
    status_code: int,
    attempt: int = 1,
    policy: EndpointPolicy | None = None,
    jitter: float = 0,
) -> Decision:
    return decide_on(AttemptOutcome(OutcomeClass.ANSWERED, status_code), attempt, policy, jitter)
