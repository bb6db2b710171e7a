"""`python -m nm_lab.bench.readers.program TASK`: one reader's process; prints what it spent."""

import logging
import sys
from importlib import import_module

import msgspec

from nm_bus.settings import SupernodeSettings, load
from nm_lab.bench.processors import measure_on_the_first
from nm_lab.bench.readers.task import Spent, Task

PIKA, INGEST, KOMBU = "pika_alone", "ingest", "kombu_jsonschema"
"""The readers, named after their modules: each process loads its own libraries alone."""


def main() -> None:
    """Do the task that the only argument holds as JSON."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    measure_on_the_first()
    task = msgspec.json.decode(sys.argv[1], type=Task)
    reader = import_module(f"nm_lab.bench.readers.{task.reader}")
    spent: Spent = reader.read(task, load(task.settings_file, SupernodeSettings))
    print(msgspec.json.encode(spent).decode())


if __name__ == "__main__":
    main()
