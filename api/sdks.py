"""Client packages, to download: by the partner, and by the tenant whose partner it is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from api.auth import Allowed, Caller
from api.dependencies import Session
from api.errors import NotFound
from api.shapes import Data, Timestamp, View
from storage.partner_tables import SdkGeneration
from storage.sdks import content_of, find_generation, packages_of
from storage.types import utc_now

router = APIRouter(prefix="/sdks/{generation_id}", tags=["sdks"])
Reader = Annotated[Caller, Depends(Allowed("read", "partners.read", "partners.manage"))]


class PackageView(View):
    """A file to install. `sha256` is what its bytes must have."""

    language: str
    file: str
    sha256: str
    size_bytes: int


class SdkView(View):
    """A generation of packages. After `expires_at` it is gone."""

    id: str
    partner_id: str
    api_version: str
    modules: list[str]
    packages: list[PackageView]
    workflow_id: str
    generated_at: Timestamp
    expires_at: Timestamp


async def own_generation(generation_id: str, caller: Reader, session: Session) -> SdkGeneration:
    row = await find_generation(session, generation_id, caller.tenant_id, now=utc_now())
    if row is None:
        raise NotFound("SDK", generation_id)
    return row


OwnGeneration = Annotated[SdkGeneration, Depends(own_generation)]


@router.get("")
async def get_sdk(row: OwnGeneration, session: Session) -> Data[SdkView]:
    """Get one generation of client packages."""
    packages = [
        PackageView.model_validate(package.model_dump())
        for package in await packages_of(session, row.id)
    ]
    return Data(data=SdkView.model_validate(row.model_dump() | {"packages": packages}))


@router.get(
    "/{file}",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            }
        }
    },
)
async def download_sdk(
    row: OwnGeneration,
    file: Annotated[str, Path(max_length=128, examples=["sagapost_client-2.0.0-py3-none-any.whl"])],
    session: Session,
) -> Response:
    """Download one package."""
    found = [package for package in await packages_of(session, row.id) if package.file == file]
    if not found:
        raise NotFound("package", file)
    content = await content_of(session, found[0].sha256)
    headers = {
        "Content-Disposition": f'attachment; filename="{found[0].file}"',
        "ETag": f'"{found[0].sha256}"',
    }
    return Response(content, headers=headers, media_type="application/octet-stream")
