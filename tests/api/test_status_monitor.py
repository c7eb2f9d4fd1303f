"""The status monitor asks the API as a client would."""

from fastapi import FastAPI

from api.dependencies import Services
from tests.api.serving import serve
from tests.workflows.sagas.test_status_monitor import ask


async def test_an_api_that_answers_is_well_and_one_that_is_gone_is_down(
    app: FastAPI, services: Services
) -> None:
    async with serve(app) as url:
        [up] = await ask(services.temporal, services.database, "api", root=url)
        [wrong] = await ask(services.temporal, services.database, "api", root=f"{url}/elsewhere")
    [gone] = await ask(services.temporal, services.database, "api", root=url)

    assert (up.component, up.status) == ("api", "operational")
    assert (wrong.status, gone.status) == ("down", "down")
