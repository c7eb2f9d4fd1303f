"""The corpus of URLs that webhooks must not go to, and the reason expected for each line."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from domain.url_policy import HOST_MAX, URL_MAX

DATA = Path(__file__).parent / "data"
KINDS = ("ESC:", "DNS:", "REDIR:", "GOOD:")


@dataclass(frozen=True)
class CorpusLine:
    """`lookups` are the resolver's answers, one list for each time it is asked."""

    kind: str
    url: str
    lookups: tuple[tuple[str, ...], ...]
    reason: str


def corpus(*kinds: str) -> list[CorpusLine]:
    lines = (DATA / "bad_urls.txt").read_text().split("\n")
    wanted = [_parse(line) for line in lines if line and not line.startswith("#")]
    return [line for line in wanted if line.kind in kinds]


def bad_urls() -> list[CorpusLine]:
    """What must be refused without asking a resolver, with the sizes that no file needs to hold."""
    long_urls = [f"https://hooks.example.com/{'a' * n}" for n in (URL_MAX - 25, 65_510)]
    long_host = f"https://{'a.' * (HOST_MAX // 2)}example/"
    return [
        *corpus("", "ESC:"),
        *(CorpusLine("", url, (), "too_long") for url in long_urls),
        CorpusLine("", long_host, (), "host_too_long"),
    ]


def _parse(line: str) -> CorpusLine:
    kind = next((kind for kind in KINDS if line.startswith(kind)), "")
    url, _, answers = line.removeprefix(kind).partition(" => ")
    if kind == "ESC:":
        url = url.encode().decode("unicode_escape")
    lookups = tuple(tuple(lookup.split(",")) for lookup in answers.split("|") if lookup)
    return CorpusLine(kind, url, lookups, _reasons().get(line, ""))


@cache
def _reasons() -> dict[str, str]:
    rows = (DATA / "bad_urls_reasons.tsv").read_text().split("\n")
    pairs = (row.split("\t", 1) for row in rows if row)
    return {line: reason for reason, line in pairs}
