"""What is no sensible value is refused when the settings are read, with the key's name."""

from pathlib import Path

import msgspec
import pytest
import tomli_w

from nm_agents.member.member import properties
from nm_bus.codec import decode, encode
from nm_bus.errors import ConfigError
from nm_bus.messages import Event
from nm_bus.settings import EndpointSettings, MemberSettings, PropertiesSettings, load

NEEDED = """
project = "p"
node = "n1.example.org"
folder = "state"
supernodes = [{ node = "sn1.example.org", broker = { host = "sn1.example.org" } }]
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
        'properties.organisation = "' + 257 * "x" + '"',
        'properties.description = "' + 1001 * "x" + '"',
        'properties.software."' + 129 * "x" + '" = "1"',
        'properties.software.x = "' + 257 * "x" + '"',
        'properties.city = "' + 129 * "x" + '"',
        'metrics.mounts = [""]',
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(tmp_path: Path, key: str) -> None:
    file = tmp_path / "member.toml"
    file.write_text(NEEDED + key)
    with pytest.raises(ConfigError) as raised:
        load(file, MemberSettings)
    name = key.partition(" ")[0].partition(".software.")[0].replace("mounts", "mounts[0]")
    assert f"{name}" in str(raised.value)


def test_what_the_settings_allow_at_most_is_a_message_that_supernodes_take(tmp_path: Path) -> None:
    endpoint = EndpointSettings(128 * "n", 2_000 * "u", 128 * "k")
    largest = PropertiesSettings(
        organisation=256 * "o",
        description=1_000 * "d",
        latitude=-90,
        longitude=180,
        city=128 * "c",
        country=128 * "c",
        endpoints=(endpoint,) * 60,
        software={f"{n}".ljust(128, "s"): 256 * "v" for n in range(200)},
    )
    file = tmp_path / "member.toml"
    file.write_text(NEEDED + tomli_w.dumps({"properties": msgspec.to_builtins(largest)}))

    read = load(file, MemberSettings).properties
    body = encode(properties(read, "ab"), source="n1.example.org", id="1", time=0.0)
    assert isinstance(decode(body), Event)


def test_properties_that_supernodes_would_refuse_are_a_configuration_error(tmp_path: Path) -> None:
    endpoints = [{"name": "n", "url": 2_000 * "u"}] * 150
    file = tmp_path / "member.toml"
    file.write_text(NEEDED + tomli_w.dumps({"properties": {"endpoints": endpoints}}))
    with pytest.raises(ConfigError) as raised:
        load(file, MemberSettings)
    assert "properties: all properties take" in str(raised.value)
    assert "leave out endpoints or software" in str(raised.value)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (
            "",
            "node is missing: this host's full name, as in its certificate; `nm-bus files",
        ),
        ('node = "N1.org"', "node: must be a full host name in lower case"),
        ('node = "n1.org\\n"', "node: must be a full host name in lower case"),
        ('node = "n"\nmetrics.interval = 0', "metrics.interval: must be at least 0.1"),
        ('node = "n"\nmetrics.mounts = ["data"]', "metrics.mounts[0]: must be the full path of"),
        ('node = "n"\nproperties.city = "' + 129 * "x" + '"', "must have at most 128 characters"),
        ('node = "n"\ndrop_in.folder = "a\\u0000"', "drop_in.folder: holds a character that no"),
        ("node = 5", "node: must be a text in quotes, not a whole number"),
        ('node = "n"\nheartbeat.interval = "5"', "must be a number, not a text in quotes"),
        ('node = "n"\nheartbeat.intervall = 5', "heartbeat.intervall is no setting"),
        ('node = "n"\nheartbeet = 5', "heartbeet is no setting; `nm-bus files settings`"),
        ('node = "n"\nproperties.software."" = "1"', "properties.software: a name in it must have"),
        ('node = "n"\nmetrics = []', "metrics: must be a table, not a list in brackets"),
    ],
)
def test_what_is_wrong_is_said_in_words(tmp_path: Path, key: str, says: str) -> None:
    file = tmp_path / "member.toml"
    file.write_text(NEEDED.replace('node = "n1.example.org"', key))
    with pytest.raises(ConfigError) as raised:
        load(file, MemberSettings)
    assert says in str(raised.value)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "member.toml"
    file.write_text(NEEDED, encoding="utf-8-sig")
    assert load(file, MemberSettings).node == "n1.example.org"


def test_a_file_that_is_no_utf8_says_so(tmp_path: Path) -> None:
    file = tmp_path / "member.toml"
    file.write_bytes(NEEDED.encode() + b"# K\xe4se")
    with pytest.raises(ConfigError, match=f"byte {len(NEEDED) + 4} is no UTF-8; save it in UTF-8"):
        load(file, MemberSettings)


def test_only_what_is_a_path_is_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "member.toml"
    file.write_text(NEEDED + 'properties.software = { key = "1.2", ca = "3" }\n')
    settings = load(file, MemberSettings)
    assert settings.properties.software == {"key": "1.2", "ca": "3"}
    assert settings.tls.key == tmp_path / "key"
    assert settings.folder == tmp_path / "state"
