"""The OpenAPI document and its page: whole, and ours alone."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from api.contract import TAGS
from tests.api.asking import make_webhook


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_each_operation_has_one_name_a_text_a_tag_and_its_errors(document: dict[str, Any]) -> None:
    found = operations(document)
    names = [operation["operationId"] for _, operation in found]

    assert len(names) == len(set(names)) > 90
    for name, operation in found:
        assert operation.get("description") or operation.get("summary"), name
        assert set(operation["tags"]) <= set(TAGS), name
        assert {"422", "503"} <= set(operation["responses"]), name
        assert operation.get("security") is None or "401" in operation["responses"], name


def test_a_success_is_described_by_a_model(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status.startswith("2") and "content" in response:
                for media_type, content in response["content"].items():
                    assert content["schema"], f"{name} {status} {media_type}"


def test_every_schema_is_one_and_says_what_it_takes(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for field, described in schema.get("properties", {}).items():
            says = {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"} & set(described)
            assert says, f"{name}.{field} may be anything"


def test_required_fields_have_examples(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        body = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
        for field in body.get("required", []) if "examples" not in content else []:
            says = {"examples", "default", "enum", "$ref"} & set(body["properties"][field])
            is_plain = body["properties"][field].get("type") == "boolean"
            assert says or is_plain, f"{name}: {field} has no example"


async def test_an_error_looks_as_the_document_says(
    api: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    problem = document["components"]["schemas"]["Problem"]
    schema = problem | {"components": document["components"]}
    await make_webhook(api)
    for answer in (
        await api.get("/accounts/nobody"),
        await api.post("/accounts", json={}),
        await api.get("/webhooks", params={"per_page": 0}),
    ):
        assert answer.status_code in (404, 422)
        Draft202012Validator(schema).validate(answer.json())


async def test_the_page_is_served_from_here_alone(stranger: httpx.AsyncClient) -> None:
    page = await stranger.get("http://api/docs")

    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype", "")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    for file in ("start.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        part = await stranger.get(f"http://api/docs/{file}")
        assert part.status_code == 200, file
        assert part.content, file
    assert (await stranger.get("http://api/docs/absent.js")).status_code == 404
