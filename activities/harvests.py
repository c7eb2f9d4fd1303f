"""Harvest what positions earn: claim, charge, and put in again or pay out."""

from temporalio import activity

from activities import books
from activities.connectors.defi import DefiProtocol
from activities.ports import HarvestActivities
from activities.steps import Steps, Unit
from domain.catalogue import YieldHarvested
from domain.errors import ConnectorRefused, PositionNotOpen
from domain.harvest import Claimed, Harvest, HarvestedPosition, HarvestYieldRequest, check_worth
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.money import Money
from domain.position import Position, value_usd
from domain.saga import StepCall
from runtime.database import Database
from storage import positions
from storage.kept import kept
from storage.types import utc_now


class ConnectedHarvestActivities(HarvestActivities):
    def __init__(self, database: Database, steps: Steps, protocol: DefiProtocol) -> None:
        self._database = database
        self._steps = steps
        self._protocol = protocol

    @activity.defn
    async def estimate_rewards(self, call: StepCall[HarvestYieldRequest]) -> Position:
        request = call.request

        async def ask() -> Position:
            async with self._database.read() as session:
                row = await positions.find(session, call.saga.tenant_id, request.position_id)
            if row.status != "open":
                raise PositionNotOpen(f"{row.id} is {row.status}", position_id=row.id)
            position = positions.position_of(row)
            faults = request.faults("estimate")
            reward = await self._protocol.rewards(call.key, position, faults)
            check_worth(reward, position.chain)
            return position

        return await self._steps.perform_outside(call, ask, _estimated)

    @activity.defn
    async def claim_rewards(self, call: StepCall[HarvestedPosition]) -> Claimed:
        async def claim() -> Claimed:
            faults = call.request.request.faults("claim")
            return await self._protocol.claim(call.key, call.request.position, faults)

        return await self._steps.perform_outside(call, claim, _claimed)

    @activity.defn
    async def charge_fee(self, call: StepCall[Harvest]) -> None:
        await self._steps.perform(call, _charge)

    @activity.defn
    async def reinvest_rewards(self, call: StepCall[Harvest]) -> bool:
        harvest = call.request

        async def put_in() -> None:
            faults = harvest.request.faults("reinvest")
            await self._protocol.add(call.key, harvest.position, harvest.net, faults)

        try:
            reinvested = await self._steps.perform_outside(call, put_in, _reinvest)
        except ConnectorRefused:
            reinvested = await self._steps.perform(call, _keep)
        if not reinvested:
            await self._protocol.call_off(call.key)
        return reinvested

    @activity.defn
    async def credit_rewards(self, call: StepCall[Harvest]) -> None:
        await self._steps.perform(call, _credit)


async def _estimated(
    unit: Unit, call: StepCall[HarvestYieldRequest], position: Position
) -> Position:
    return position


async def _claimed(unit: Unit, call: StepCall[HarvestedPosition], claimed: Claimed) -> Claimed:
    return claimed


async def _charge(unit: Unit, call: StepCall[Harvest]) -> None:
    harvest = call.request
    entry = move(
        call.key,
        "fee",
        debit=_protocols(call, harvest.fee),
        credit=bank_account_id(call.saga.tenant_id, "fees", harvest.fee.asset_code),
        money=harvest.fee,
    )
    await books.post(unit, entry, {}, related=harvest.request.harvest_id)


async def _reinvest(unit: Unit, call: StepCall[Harvest], answer: None) -> bool:
    """False if the position was closed meanwhile: then its account gets the rest."""
    harvest = call.request
    row = await positions.find(unit.session, call.saga.tenant_id, harvest.position.id, lock=True)
    if row.status != "open":
        return False
    amount_minor = row.amount_minor + harvest.net.amount_minor
    await positions.change(unit.session, row.id, amount_minor=amount_minor)
    return True


async def _keep(unit: Unit, call: StepCall[Harvest]) -> bool:
    return False


async def _credit(unit: Unit, call: StepCall[Harvest]) -> None:
    harvest = call.request
    account_id, net = harvest.position.account_id, harvest.net
    if not harvest.reinvested:
        entry = move(
            call.key,
            "interest",
            debit=_protocols(call, net),
            credit=ledger_account_id(account_id, net.asset_code),
            money=net,
        )
        reasons = {account_id: "interest"}
        await books.post(unit, entry, reasons, related=harvest.request.harvest_id)
    said = await kept(unit.session, call.saga.workflow_id)
    unit.tell(_harvested(harvest, said.get("metadata") or {}))


def _protocols(call: StepCall[Harvest], money: Money) -> str:
    protocol = call.request.position.protocol
    return bank_account_id(call.saga.tenant_id, f"defi:{protocol}", money.asset_code)


def _harvested(harvest: Harvest, metadata: dict[str, object]) -> YieldHarvested:
    position, reward, fee = harvest.position, harvest.reward, harvest.fee
    return YieldHarvested.model_validate(
        {
            "harvest_id": harvest.request.harvest_id,
            "position_id": position.id,
            "protocol": position.protocol,
            "chain": position.chain,
            "rewards": [
                {
                    "asset": reward.asset_code,
                    "amount": reward.decimal,
                    "amount_minor": reward.amount_minor,
                    "value_usd": str(value_usd(reward)),
                }
            ],
            "fee_amount": fee.decimal,
            "fee_amount_minor": fee.amount_minor,
            "fee_asset": fee.asset_code,
            "reinvested": harvest.reinvested,
            "tx_hash": harvest.claimed.tx_hash,
            "metadata": metadata,
            "harvested_at": utc_now(),
        }
    )
