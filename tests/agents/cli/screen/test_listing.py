import io

import pytest

from nm_agents.cli.screen.console import screen, show
from nm_agents.cli.screen.listing import SENTENCE, Field, listing
from nm_agents.cli.screen.printable import cell

FIELDS = (
    Field("node"),
    Field("state", least=SENTENCE),
    Field("weight", rank=2, right=True),
    Field("address", rank=1),
)
ROWS = (
    ("sn1.llnl.gov", "running", "1", "sn1.llnl.gov:5671"),
    ("sn2.dkrz.de", "stopped: its file is damaged", "10", "sn2.dkrz.de:5671"),
)


def drawn(width: int) -> list[str]:
    out = io.StringIO()
    show(screen(out, width), listing(FIELDS, [[cell(text) for text in row] for row in ROWS], width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (80, ["node", "state", "weight", "address"]),
        (50, ["node", "state", "address"]),
        (40, ["node", "state"]),
        (20, ["node", "state"]),
    ],
)
def test_what_matters_least_is_left_out_first(width: int, headings: list[str]) -> None:
    assert drawn(width)[0].split() == headings


def test_a_sentence_is_cut_before_a_column_is_left_out() -> None:
    assert drawn(60)[2] == "sn2.dkrz.de   stopped: its file …      10  sn2.dkrz.de:5671"


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in range(20, 100):
        assert all(len(line) <= width for line in drawn(width))
