"""Bugs that somebody could well make, each with the tests that must notice it.

A mutant is a replacement of text in one file. Where that text has changed, `make test` says so:
make the same bug in the new text.
"""

from dataclasses import dataclass

ENGINE = "tests/workflows/test_saga.py"
OPERATORS = "tests/workflows/test_operators.py"
STEPS = "tests/activities/test_steps.py"
LEDGER = "tests/storage/test_ledger.py"
RACES = "tests/storage/test_ledger_races.py"
LAST_LOOKS = "tests/workflows/test_last_looks.py"
UNDER_WAY = "tests/workflows/test_under_way.py"
REPLAYS = "tests/workflows/test_replay_events.py"
SOUND = "tests/conformance/test_kit.py -k sound"


@dataclass(frozen=True)
class Mutant:
    """`caught_by` is what pytest is given: a file, and perhaps -k with a part of the names."""

    bug: str
    file: str
    before: str
    after: str
    caught_by: str


MUTANTS = (
    Mutant(
        "a compensation is registered after its step",
        "workflows/saga.py",
        """\
        if step.compensation is not None:
            self._undoing.remember(undoable(step, call))
        work = self._complete(call, steps.act(step, call))
        return await (self._brakes.wait(work) if step.outside else finish(work))
""",
        """\
        work = self._complete(call, steps.act(step, call))
        result = await (self._brakes.wait(work) if step.outside else finish(work))
        if step.compensation is not None:
            self._undoing.remember(undoable(step, call))
        return result
""",
        f"{ENGINE} -k nobody_knows_what_it_did",
    ),
    Mutant(
        "compensations run in the order of their steps",
        "workflows/undoing.py",
        "        for one in reversed(self._started):\n            tries",
        "        for one in self._started:\n            tries",
        f"{ENGINE} -k in_reverse",
    ),
    Mutant(
        "one compensation that fails stops the rest",
        "workflows/undoing.py",
        "if await tries.patiently() or one.undo_first:",
        "if await tries.patiently() or True:",
        f"{OPERATORS} -k does_not_stop_the_rest",
    ),
    Mutant(
        "a cancel interrupts a compensation",
        "workflows/saga.py",
        "return self._leave(await finish(self._end(error)))",
        "return self._leave(await self._end(error))",
        f"{ENGINE} -k while_compensating",
    ),
    Mutant(
        "a step that ends in spite of a cancel swallows it",
        "workflows/brakes.py",
        "(self.late or self.cancelled or self._branch_failed)",
        "(self.late or self._branch_failed)",
        f"{ENGINE} -k in_spite_of_a_cancel",
    ),
    Mutant(
        "a saga turns back after its pivot",
        "workflows/saga.py",
        """\
            result = await self._pivot(step, call)
        self._brakes.release()
""",
        """\
            result = await self._pivot(step, call)
""",
        f"{OPERATORS} -k after_the_pivot_a_refused_step",
    ),
    Mutant(
        "a bug undoes what was done",
        "workflows/failures.py",
        "asyncio.CancelledError, asyncio.TimeoutError)",
        "asyncio.CancelledError, asyncio.TimeoutError, ArithmeticError)",
        f"{ENGINE} -k a_bug_in_the_saga",
    ),
    Mutant(
        "a cancelled saga forgets what a dead worker had done",
        "workflows/saga.py",
        """\
        if self._brakes.on:
            return await self._if_done_before(step, call)
""",
        """\
        self._brakes.stop_if_on()
""",
        SOUND,
    ),
    Mutant(
        "an ambiguous pivot is taken for a refused one",
        "workflows/saga.py",
        "                return await self._ask_if_done(step, call)\n",
        "                raise asyncio.CancelledError\n",
        SOUND,
    ),
    Mutant(
        "the run is part of a step's key",
        "domain/saga.py",
        'return f"{self.saga.workflow_id}/{self.step}"',
        'return f"{self.saga.workflow_id}/{self.saga.run_id}/{self.step}"',
        "tests/domain/test_saga.py",
    ),
    Mutant(
        "the fence of an undone step is ignored",
        "activities/steps.py",
        """\
        if state != "done":
            raise StepFenced(call.saga.workflow_id, call.step)
        return cast(Result, result)
""",
        """\
        return cast(Result, result)
""",
        f"{STEPS} -k comes_after_its_undoing",
    ),
    Mutant(
        "undoing what was never done leaves no fence",
        "activities/steps.py",
        "                await _fence(session, call, undone)\n",
        "                pass\n",
        f"{STEPS} -k leaves_a_fence",
    ),
    Mutant(
        "events are told outside the transaction of the effect",
        "activities/steps.py",
        """\
            await tell_story(unit, place, state=SagaState.RUNNING)
            return "done", result

        state, result = await self._database.transact(work)
""",
        """\
            late.append((unit, place))
            return "done", result

        late: list[Any] = []
        state, result = await self._database.transact(work)
        for unit, place in late:

            async def tell(session: AsyncSession) -> None:
                told = Unit(session, unit.saga, unit.told)
                await tell_story(told, place, state=SagaState.RUNNING)

            await self._database.transact(tell)
""",
        SOUND,
    ),
    Mutant(
        "a late action is done although its saga has ended",
        "activities/steps.py",
        """\
            if place.ended:  # Nobody waits for this try any more.
                return "fenced", None
            if call.abandoned or place.turned_back:
""",
        """\
            if call.abandoned:
""",
        f"{STEPS} -k nothing_is_done",
    ),
    Mutant(
        "a cancel behind its completion undoes a completed saga",
        "activities/steps.py",
        """\
            if place.state is SagaState.COMPLETED:
                return NOTHING_TO_UNDO
            unit""",
        """\
            unit""",
        f"{STEPS} -k told_its_completion",
    ),
    Mutant(
        "the end is told as often as it is asked for",
        "activities/sagas.py",
        """\
            if place.ended:
                await _tell_late_undoing""",
        """\
            if place.ended and not end.saga:
                await _tell_late_undoing""",
        SOUND,
    ),
    Mutant(
        "ledger accounts are locked in the order of the entry",
        "storage/ledger.py",
        "ordered = sorted(enumerate(entry.postings), key=lambda leg: leg[1].ledger_account_id)",
        "ordered = list(enumerate(entry.postings))",
        f"{RACES} -k postgresql",
    ),
    Mutant(
        "a hold that was called off before it came is placed",
        "storage/ledger.py",
        """\
    if known is not None:
        _check_same(known, request)
        return None
""",
        """\
    if known is not None:
        return None
""",
        f"{LEDGER} -k called_off_before_it_came",
    ),
    Mutant(
        "posting twice posts twice",
        "storage/ledger.py",
        "    return fingerprint is not None\n",
        "    return False\n",
        f"{LEDGER} -k posting_twice",
    ),
    Mutant(
        "money is spent that is not there",
        "storage/ledger.py",
        "return Shift(debited=amount, needs=amount)",
        "return Shift(debited=amount)",
        f"{LEDGER} -k not_there_cannot_be_moved",
    ),
    Mutant(
        "what waits for its place is sent with what was loaded long ago",
        "activities/last_looks.py",
        "if time.monotonic() - loaded.opened_at_s < FRESH_FOR_S:",
        "if loaded:",
        f"{LAST_LOOKS} -k signs_what_is_not_sent_yet",
    ),
    Mutant(
        "a dead letter that is replayed has a single try",
        "storage/replays.py",
        "attempts_before=DELIVERIES.c.attempts,",
        "attempts_before=0,",
        f"{REPLAYS} -k whole_retry_schedule",
    ),
    Mutant(
        "a paused delivery that is claimed is sent all the same",
        "domain/last_look.py",
        "if found.hold == PAUSED:",
        "if found.hold == PAUSED and is_probe:",
        f"{LAST_LOOKS} -k paused_while_it_waits",
    ),
    Mutant(
        "a redelivery is put off by an attempt that looked before it",
        "runtime/retries.py",
        "    await _until_it_rests(temporal, workflow_id)\n    return",
        "    return",
        f"{UNDER_WAY} -k found_not_to_be_due",
    ),
    Mutant(
        "a redelivery is forgotten when the attempt under way fails",
        "storage/recording.py",
        "asked_again=_is_asked_again(row, one),",
        "asked_again=False,",
        f"{UNDER_WAY} -k on_its_way",
    ),
    Mutant(
        "a retry gives no sign of life",
        "activities/webhooks.py",
        "return await to_its_end(self._attempt(request))",
        "return await self._attempt(request)",
        f"{UNDER_WAY} -k slow_answer",
    ),
    Mutant(
        "nobody is woken for an endpoint that turned out slow",
        "activities/recorder.py",
        "if done.changed_pace:",
        "if done.parked:",
        "tests/workflows/test_pace.py",
    ),
    Mutant(
        "one who gives up waiting to dial keeps the turn that was just given",
        "runtime/gate.py",
        "elif not handed_over.cancelled():",
        "elif False:",
        "tests/runtime/test_dials.py -k too_late",
    ),
)
