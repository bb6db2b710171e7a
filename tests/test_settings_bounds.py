"""What is no sensible value is refused when the settings are read, with the key's name."""

from pathlib import Path

import pytest

from nm_bus.errors import ConfigError
from nm_bus.settings import MemberSettings, load

NEEDED = """
project = "p"
node = "n1.example.org"
folder = "state"
supernode = { host = "sn1.example.org" }
tls = { ca = "ca", certificate = "crt", key = "key" }
"""


@pytest.mark.parametrize(
    "key",
    [
        "timing.amqp_heartbeat = -5",
        "timing.amqp_heartbeat = 0",
        "timing.amqp_heartbeat = 1000000",
        "timing.connect = inf",
        "timing.confirm = nan",
        "timing.retry_most = 1e300",
        "heartbeat.interval = nan",
        "heartbeat.interval = inf",
        "heartbeat.interval = 1e-9",
        "heartbeat.interval = 86401",
        "metrics.interval = 1e-9",
        "spool.max_age = inf",
        "spool.max_bytes = -1",
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(tmp_path: Path, key: str) -> None:
    file = tmp_path / "member.toml"
    file.write_text(NEEDED + key)
    with pytest.raises(ConfigError) as raised:
        load(file, MemberSettings)
    assert f"{key.partition(' ')[0]}: " in str(raised.value)
