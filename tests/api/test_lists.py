import httpx

from tests.api.test_auth import UNFROZEN


async def test_pages_and_cursors_show_each_row_once(api: httpx.AsyncClient) -> None:
    ids = [(await api.post("/events", json=UNFROZEN)).json()["data"]["id"] for _ in range(7)]

    first = (await api.get("/events?per_page=3")).json()
    by_page = [await walk(api, "/v2/events?per_page=3", "next")]
    by_cursor = await follow(api, "/events?per_page=3")

    assert first["meta"] | {"next_cursor": ""} == {
        "current_page": 1,
        "per_page": 3,
        "total": 7,
        "last_page": 3,
        "total_is_exact": True,
        "next_cursor": "",
    }
    assert by_page == [by_cursor] == [list(reversed(ids))]


async def test_workflows_are_walked_by_cursor_too(api: httpx.AsyncClient) -> None:
    for number in range(5):
        body = {"user_uuid": "u", "name": "n", "id": f"account-{number}"}
        await api.post("/accounts?wait=0", json=body)

    found = await follow(api, "/workflows?per_page=2")

    assert found == [f"open_account/account-{number}" for number in (4, 3, 2, 1, 0)]


async def test_since_and_until_cut_a_window(api: httpx.AsyncClient) -> None:
    events = [(await api.post("/events", json=UNFROZEN)).json()["data"] for _ in range(3)]
    middle = events[1]["created_at"]

    later = (await api.get("/events", params={"since": "2100-01-01"})).json()["data"]
    until = (await api.get("/events", params={"until": middle})).json()["data"]

    assert later == []
    assert events[2]["id"] not in [event["id"] for event in until]


async def walk(api: httpx.AsyncClient, path: str | None, link: str) -> list[str]:
    ids: list[str] = []
    while path is not None:
        page = (await api.get(f"http://api{path}")).json()
        ids += [row["id"] for row in page["data"]]
        path = page["links"][link]
    return ids


async def follow(api: httpx.AsyncClient, path: str) -> list[str]:
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await api.get(f"{path}&cursor={cursor}")).json()
        ids += [row["id"] for row in page["data"]]
        cursor = page["meta"]["next_cursor"]
    return ids
