"""The commands of `nm-bus config`, put together."""

import typer

from nm_agents.cli.config.check import check
from nm_agents.cli.config.history import blame, diff, history
from nm_agents.cli.config.publish import publish
from nm_agents.cli.config.putting import delete, put, revert
from nm_agents.cli.config.reading import get, list_documents
from nm_agents.cli.config.status import status
from nm_agents.cli.config.watch import watch

config = typer.Typer(help="Configuration documents, and their past.", no_args_is_help=True)

config.command("put", short_help="Publish a version of a document.")(put)
config.command("get", short_help="A document, as it is or was.")(get)
config.command("list", short_help="The documents there are.")(list_documents)
config.command("history", short_help="A document's versions.")(history)
config.command("diff", short_help="What differs between versions, or from a file.")(diff)
config.command("blame", short_help="Who wrote which line.")(blame)
config.command("revert", short_help="Publish an earlier version again.")(revert)
config.command("delete", short_help="Take a document away.")(delete)
config.command("watch", short_help="New versions as they are agreed.")(watch)
config.command("status", short_help="Who runs which version.")(status)
config.command("check", short_help="PageView at a file before it is published.")(check)
config.command("publish", short_help="Publish a folder, as its files are saved.")(publish)
