"""The child process: one check after the other, until its parent is gone or a limit ends it."""

import math
import os
import resource
import sys
from multiprocessing.connection import Connection

import msgspec

from nm_bus.checking.check import Check, OfDocument, found
from nm_bus.checking.limits import NO_MEMORY, CheckLimits
from nm_bus.documents.media import JSON


def main(words: list[str]) -> None:
    """Serve the checks that come by an inherited socket; `words` are its number and the limits."""
    limits = msgspec.json.decode(words[1], type=CheckLimits)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Connection(int(words[0])) as line:
        _load()
        line.send_bytes(b"")
        _serve(line, limits)


def _serve(line: "Connection[bytes, bytes]", limits: CheckLimits) -> None:
    decoder = msgspec.msgpack.Decoder(Check)
    while True:
        try:
            asked = line.recv_bytes()
            # from now on; at the limit the kernel ends this process with SIGXCPU.
            used = math.ceil(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
            resource.setrlimit(resource.RLIMIT_CPU, (used + limits.seconds, resource.RLIM_INFINITY))
            said = found(decoder.decode(asked)).encode()
        except EOFError:
            return
        except MemoryError:
            os._exit(NO_MEMORY)  # at once, so that the code is there before the line is closed
        line.send_bytes(said)


def _load() -> None:
    """Load the libraries before the first check, whose time that must not take."""
    found(OfDocument(b"1", JSON, '{"type": "object"}'))


if __name__ == "__main__":
    main(sys.argv[1:])
