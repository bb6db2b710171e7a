"""A process group that dies with this process, however hard that dies.

Its leader is a shell that waits for a word from us. When we die, the pipe ends without one, and
the shell kills the group, itself included.
"""

import subprocess

WAIT = "read -r _ || kill -s KILL 0"


class ProcessGroup:
    """Start programs with `process_group=lifeline.group`, which also keeps Ctrl-C from them."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def group(self) -> int:
        """The group's id; the group begins when it is first asked for."""
        if self._shell is None:
            self._shell = subprocess.Popen(
                ["sh", "-c", WAIT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        return self._shell.pid

    def let_go(self) -> None:
        """Whatever still runs in the group lives on without us. Harmless when it never began."""
        if self._shell is not None:
            self._shell.communicate(b"go on\n")
            self._shell = None
