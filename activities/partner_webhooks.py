"""The webhook that a new partner begins with. Its secret is made and sealed here, and not shown."""

from collections.abc import Callable
from dataclasses import dataclass

from activities.steps import Unit
from domain.ids import new_id
from domain.partner_onboarding import PartnerOnboardingRequest
from domain.saga import StepCall, Undone, UndoStatus
from domain.signing import new_secret
from domain.url_policy import UrlPolicy, check_url
from runtime.safe import seal_secret
from runtime.vault import Vault
from storage import partners, webhooks
from storage.partner_tables import Partner
from storage.secrets import Audit
from storage.tables import Endpoint
from storage.types import utc_now

Call = StepCall[PartnerOnboardingRequest]
EVERYTHING = ["*"]


@dataclass(frozen=True)
class PartnerWebhooks:
    """`vault` is asked for when there is a secret to seal, and not before."""

    policy: UrlPolicy
    vault: Callable[[], Vault]

    def check(self, url: str) -> None:
        """Raises UrlRefused."""
        check_url(url, self.policy)

    async def register(self, unit: Unit, call: Call) -> str:
        request, url = call.request, call.request.webhook_url
        assert url is not None, "a partner without a URL gets no webhook"
        row = await unit.session.get_one(Partner, request.partner_id)
        assert row.own_tenant_id is not None, "its tenant was made before"
        endpoint = Endpoint(
            id=new_id("ep"), tenant_id=row.own_tenant_id, url=url, event_types=EVERYTHING
        )
        secret = seal_secret(self.vault(), endpoint.id, new_secret())
        await webhooks.add_webhook(unit.session, endpoint, secret)
        audit = Audit(unit.session, endpoint, "v1", call.saga.initiated_by, utc_now())
        await audit.tell("created", [secret.id])
        await partners.change(unit.session, row.id, webhook_id=endpoint.id)
        await partners.tick(unit.session, row.id, "webhook")
        return endpoint.id

    async def delete(self, unit: Unit, call: Call) -> Undone:
        row = await unit.session.get_one(Partner, call.request.partner_id, with_for_update=True)
        endpoint = await unit.session.get_one(Endpoint, row.webhook_id)
        await webhooks.delete_webhook(unit.session, endpoint, now=utc_now())
        row.webhook_id = None
        await unit.session.flush()
        return Undone(UndoStatus.EXECUTED)
