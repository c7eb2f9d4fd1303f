"""Loyalty bonus: done whole, or not at all."""

from pathlib import Path

from tests.tutorial import loyalty_bonus as saga
from worker.trial import Balance, trial

REQUEST = saga.EXAMPLE


async def test_the_bonus_and_the_fee_arrive(tmp_path: Path) -> None:
    async with trial(tmp_path, saga) as bank:
        await bank.open_account(REQUEST.from_account, 10_000)
        await bank.open_account(REQUEST.to_account)
        await bank.open_account(REQUEST.referrer_account)

        outcome = await bank.run("loyalty_bonus", REQUEST)

        assert outcome.state == "completed"
        assert await bank.balance(REQUEST.from_account) == Balance(4_000)
        assert await bank.balance(REQUEST.to_account) == Balance(5_000)
        assert await bank.balance(REQUEST.referrer_account) == Balance(1_000)


async def test_money_for_the_bonus_but_not_for_the_fee_is_given_back(tmp_path: Path) -> None:
    async with trial(tmp_path, saga) as bank:
        await bank.open_account(REQUEST.from_account, 5_500)
        await bank.open_account(REQUEST.to_account)
        await bank.open_account(REQUEST.referrer_account)

        outcome = await bank.run("loyalty_bonus", REQUEST)

        assert outcome.failure_code == "insufficient_funds"
        assert await bank.balance(REQUEST.from_account) == Balance(5_500)
        assert "workflow.compensation_executed" in outcome.story


async def test_a_fee_that_was_paid_is_taken_back(tmp_path: Path) -> None:
    async with trial(tmp_path, saga) as bank:
        await bank.open_account(REQUEST.from_account, 10_000)
        await bank.open_account(REQUEST.to_account, status="frozen")
        await bank.open_account(REQUEST.referrer_account)

        outcome = await bank.run("loyalty_bonus", REQUEST)

        assert outcome.failure_code == "account_frozen"
        assert await bank.balance(REQUEST.from_account) == Balance(10_000)
        assert await bank.balance(REQUEST.referrer_account) == Balance(0)
