"""What is built for a federation on this machine keeps to itself."""

from pathlib import Path

from nm_lab.federation.building import Federation, Plan


def built(folder: Path) -> Federation:
    federation = Federation(Plan(folder, "built", ("sn1.example", "sn2.example"), {}))
    federation.build()
    return federation


def test_two_federations_do_not_meet(tmp_path: Path) -> None:
    one, other = built(tmp_path / "1"), built(tmp_path / "2")
    ours = {broker.address for broker in one.brokers.values()}
    assert ours.isdisjoint(broker.address for broker in other.brokers.values())
