"""What a person may write for a site, and what is said of the rest before anybody is asked."""

import pytest
import typer

from nm_agents.cli.options import site_key


@pytest.mark.parametrize("given", ["gov.llnl", "gov.llnl.#", " GOV.LLNL. "])
def test_a_site_is_understood_as_it_was_meant(given: str) -> None:
    assert site_key(given) == "gov.llnl"


def test_no_site_is_every_site() -> None:
    assert site_key("") == site_key("#") == ""


@pytest.mark.parametrize("given", ["gov.*", "*", "a b", "gov\x1b[2J", "é.fr", "a." * 150 + "b"])
def test_what_is_no_site_is_said_at_once(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no site"):
        site_key(given)
