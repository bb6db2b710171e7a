"""How the ledger looks in an overview: a cell for each supernode, and a line about the members."""

from rich.console import RenderableType
from rich.text import Text

from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import cell
from nm_bus.client.federation.picture import Picture
from nm_bus.client.federation.standings import (
    RUNNING,
    in_words,
    members_behind,
    members_in_trouble,
    newest,
    votes_of,
)
from nm_bus.messages import Standing


def standing_cell(standing: Standing | None, furthest: Standing | None) -> Text:
    """How a supernode's ledger stands; yellow when another one has more."""
    said = in_words(standing)
    if standing is None or furthest is None:
        return cell(said, "dim" if furthest is None else "yellow")
    if standing.state != RUNNING:
        return cell(said, "bold red" if standing.reason else "yellow")
    return cell(said, "green" if standing.revision == furthest.revision else "yellow")


def following(picture: Picture) -> list[RenderableType]:
    """How many members have less of what they live by than the supernodes, and whose documents
    fail."""
    if newest(picture) is None:
        return []
    late = len(members_behind(picture))
    troubled = len(members_in_trouble(picture))
    found = (
        (late, "behind with the documents that they keep"),
        (troubled, "in trouble with documents"),
    )
    said = ", ".join(f"{plural(count, 'member')} {what}" for count, what in found if count)
    return [Text(said, style="yellow")] if said else []


def quorum(picture: Picture) -> list[RenderableType]:
    """Whether a change can be agreed now."""
    votes = votes_of(picture)
    if votes is None:
        return []
    said = f"{votes.able} of {plural(len(votes.voters), 'voter')} can vote"
    if votes.able >= votes.needed:
        return [Text(said, style="dim")]
    return [Text(f"{said}: no change can be agreed, {votes.needed} are needed", style="bold red")]
