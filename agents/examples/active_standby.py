"""One of a pair of components: one is active, the other stands by and takes over.

    python active_standby.py admin.toml harvester

Start it twice. Both stand for election; the one that holds the lock writes down in the ledger that
it is at work, with its token. Kill it, and the other follows within the time to live.
"""

import argparse
from contextlib import suppress
from pathlib import Path

from nm_bus.client import Client, Held
from nm_bus.errors import NmBusError

PAUSE = 1.0
"""Seconds between two pieces of work."""


def main() -> None:
    """Stand for election until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("name")
    parser.add_argument("--ttl", type=float, default=15.0)
    options = parser.parse_args()

    with Client(options.config) as client:
        print("standing by", flush=True)
        for term in client.elect(options.name, ttl=options.ttl):
            print(f"active with token {term.token}", flush=True)
            work(client, term)
            print("standing by", flush=True)


def work(client: Client, term: Held) -> None:
    """Be active until the lock is lost.

    What is written carries the token, and so may every reader refuse one lower than it has seen.
    """
    while not term.lost.wait(PAUSE):
        try:
            client.set_record("election", term.name, {"active": client.user, "token": term.token})
        except NmBusError as error:
            print(f"not written: {error}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        main()
