"""A supernode's broker in the foreground, as an ordinary user: no system service is needed.

It lives as long as this program does, however that ends, and keeps its queues for the next time.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from nm_agents.cli.broker.files import password_file
from nm_agents.folder import check_owners, own_folder
from nm_agents.supernode.program import check_settings
from nm_broker.private import PrivateBroker, RunningBroker
from nm_broker.program import Installed, Program, Unpacked
from nm_broker.project import Principals, bring_up
from nm_broker.succession import succeed
from nm_bus.errors import BrokerStartError, ConfigError
from nm_bus.settings import SupernodeSettings, in_url

LOOK = 0.5
"""Seconds between two looks at whether the broker still lives."""


class ToldToStop(BaseException):
    """SIGTERM or Ctrl-C came: not an error, so nothing between here and there may catch it."""


def run_broker(
    settings: SupernodeSettings, config: Path, told: Callable[[str], None], program: Program
) -> None:
    """Start the broker, bring the project up on it, and stop it in good order at a signal.

    Raises ConfigError for what is to be corrected, BrokerStartError when it ends by itself.
    """
    password_file(settings)
    check_settings(settings, config)
    broker = PrivateBroker.described(settings, program)
    with own_folder(broker.folder), until_told():
        check_owners(broker.folder)
        told(f"starting the broker of {settings.node}")
        running = _started(broker)
        try:
            succeed(running.api)
            bring_up(running.api, settings, Principals())
            told(f"{settings.node} serves {settings.project} at {_where(broker)}; Ctrl-C ends it")
            _wait(running)
        finally:
            told("stopping the broker")
            running.stop()


def chosen_program(folder: Path | None) -> Program:
    """The RabbitMQ to run: the system's, else the one in a folder of scripts or unpacked there."""
    if folder is None:
        return Installed()
    return Installed(folder) if (folder / "rabbitmq-server").exists() else Unpacked(folder)


def _started(broker: PrivateBroker) -> RunningBroker:
    try:
        return broker.start()
    except BrokerStartError as error:
        raise ConfigError("broker", str(error)) from None


def _where(broker: PrivateBroker) -> str:
    if not broker.address:
        return f"every address, port {broker.amqps_port}"
    return f"{in_url(broker.address)}:{broker.amqps_port}"


def _wait(running: RunningBroker) -> None:
    while running.is_running:
        time.sleep(LOOK)
    raise BrokerStartError(f"the broker ended by itself; see {running.settings.log}")


@contextmanager
def until_told() -> Iterator[None]:
    """Within, the first signal ends the work in good order; a second one ends it at once."""

    def told(_signal: int, _frame: FrameType | None) -> None:
        restore()
        raise ToldToStop

    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = [signal.signal(number, told) for number in signals]

    def restore() -> None:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)

    try:
        yield
    except ToldToStop:
        return
    finally:
        restore()
