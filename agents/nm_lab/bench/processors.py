"""Which processors measure and which serve, so that a processor's second is worth the same to all.

Readers share the first processor, the broker and the rest have the others. Without it, a second
reader would run at the broker's expense, and processors that are two threads of one core would
make the seconds of two readers dearer than those of one.
"""

import os


def serve_apart() -> None:
    """Keep this process, and what it starts from now on, off the first processor, if it can."""
    if len(everyone := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, everyone[1:])


def measure_on_the_first() -> None:
    """Move this process to the first of this machine's processors."""
    os.sched_setaffinity(0, {min(range(os.cpu_count() or 1))})
