"""Who plays in the demonstration, and that what is written for them can be read."""

from pathlib import Path

from nm_bus.settings import AdministratorSettings, MemberSettings, SupernodeSettings, load
from nm_lab.demo.plot import SUPERNODES, members, plan, state_file, write_checks
from nm_lab.federation.building import Federation


def test_twelve_members_are_spread_evenly() -> None:
    homes = list(members().values())
    assert len(homes) == 12
    assert {homes.count(supernode) for supernode in SUPERNODES} == {4}


def test_every_settings_file_of_a_federation_loads(tmp_path: Path) -> None:
    federation = Federation(plan(tmp_path))
    federation.build()
    for node in SUPERNODES:
        settings = load(tmp_path / f"{node}.toml", SupernodeSettings)
        assert {peer.node for peer in settings.peers} == set(SUPERNODES) - {node}
    for node, home in members().items():
        assert load(tmp_path / f"{node}.toml", MemberSettings).supernodes[0].node == home
    assert len(load(federation.administrator, AdministratorSettings).supernodes) == 3


def test_every_member_has_the_state_that_its_check_reads(tmp_path: Path) -> None:
    write_checks(tmp_path)
    assert all(state_file(tmp_path, node).read_text() == "OK\n" for node in members())
