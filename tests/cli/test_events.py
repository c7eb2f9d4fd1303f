from pathlib import Path

from cli.events import events_page

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


def test_the_page_is_what_the_catalogue_says() -> None:
    assert PAGE.read_text() == events_page(), "run `sagapost events --markdown > docs/events.md`"


def test_every_producer_that_is_a_workflow_shows_its_diagram() -> None:
    page = events_page()

    assert page.count("### `") == 41
    for name in ("OpenAccount", "ApiKeyExpiry", "TransactionMonitoring", "PartnerOnboarding"):
        assert f"(#{name.lower()})" in page
        assert "──►" in page.partition(f"### {name}\n")[2].partition("###")[0]
