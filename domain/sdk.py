"""Client packages: generated from the API's own document, for one partner's part of the API."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field

from domain.errors import LanguageUnsupported
from domain.partner import Language, Module, PartnerId
from domain.saga import SagaRequest

# Those for which there is a generator that is well kept and that we run ourselves.
LANGUAGES: Final = ("python",)
KEPT_FOR: Final = timedelta(days=90)

Languages = Annotated[tuple[Language, ...], Field(min_length=1, max_length=5)]
GenerationId = Annotated[
    str,
    Field(
        pattern=r"^gen_[A-Za-z0-9_.-]{1,64}$",
        examples=["gen_0199c5a2-0000-7000-8000-0000000000c1"],
    ),
]


@dataclass(frozen=True, kw_only=True)
class SdkGenerationRequest(SagaRequest):
    """Generate client packages for a partner, one for each language.

    Of `modules`, or of all that the partner has.
    """

    partner_id: PartnerId
    languages: Languages = LANGUAGES
    modules: Annotated[tuple[Module, ...], Field(max_length=20)] = ()

    def __post_init__(self) -> None:
        for language in self.languages:
            if language not in LANGUAGES:
                raise LanguageUnsupported(language, ", ".join(LANGUAGES))
        if len(set(self.languages)) < len(self.languages):
            raise ValueError("each language once")

    @property
    def generation_id(self) -> str:
        return f"gen_{self.id}"


@dataclass(frozen=True)
class PackageRequest:
    """One package of a generation."""

    generation_id: str
    language: Language
    modules: tuple[Module, ...]


@dataclass(frozen=True)
class BuiltPackage:
    """A package's facts. Its bytes are kept under `sha256`."""

    language: str
    api_version: str
    version: str
    package_name: str
    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Generation:
    """All packages of a generation, to publish."""

    request: SdkGenerationRequest
    modules: tuple[Module, ...]
    packages: tuple[BuiltPackage, ...]


@dataclass(frozen=True, kw_only=True)
class PurgeSdkRequest(SagaRequest):
    """Take a generation's packages back: nobody can download them any more."""

    sdk_generation_id: GenerationId
