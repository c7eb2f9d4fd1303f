"""What answers are made of: one resource in `data`, or a page of them with `meta` and `links`."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from domain.catalogue import Timestamp

__all__ = ["Data", "Meta", "Page", "PageLinks", "Timestamp", "View"]


class View(BaseModel):
    """A resource as a caller sees it. Never a table's row: a new column is not a new field."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


Content = TypeVar("Content")


class Data(BaseModel, Generic[Content]):
    """One resource."""

    data: Content


class Told(Data[Content], Generic[Content]):
    """One resource, and a sentence about what was done to it."""

    message: str


class Meta(BaseModel):
    """Where in the list this page is. `total` counts no further than 10,000."""

    current_page: int
    per_page: int
    total: int
    last_page: int
    total_is_exact: bool
    next_cursor: str | None = Field(description="give it as `cursor` to read on, however far")


class PageLinks(BaseModel):
    first: str
    prev: str | None
    next: str | None
    last: str


class Page(BaseModel, Generic[Content]):
    """A page of resources, the newest first."""

    data: list[Content]
    meta: Meta
    links: PageLinks


class Done(BaseModel):
    """Something was done, and there is nothing left to show."""

    message: str
