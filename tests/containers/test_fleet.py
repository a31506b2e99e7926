"""The fleet on a real engine: how many, which first, what replaces whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from general_level.catalogue.model import Modality
from services.grader.fleet_containers import EngineUnavailable
from tests.containers.fleet_rig import IMAGE, Rig, SocketRelay, build_image, started
from tests.support.docker_engine import DockerEngine
from tests.support.wait import eventually

#: On a machine with much other work an engine takes its time.
pytestmark = pytest.mark.timeout(600)

_NAMES = itertools.count()
IMAGE_JOBS = Modality.IMAGE


@pytest.fixture(scope="module")
def engine(docker_engine: DockerEngine, base_image: str) -> DockerEngine:
    build_image(docker_engine)
    return docker_engine


@pytest.fixture
def rig(engine: DockerEngine, tmp_path: Path) -> Iterator[Rig]:
    with started(engine, tmp_path, f"fleet-{next(_NAMES)}") as rig:
        yield rig


def _ready(rig: Rig, count: int) -> None:
    def all_ready() -> bool:
        found = rig.graders()
        return len(found) == count and all(b"ready" in one.logs() for one in found)

    eventually(all_ready, 60, f"{count} graders that are ready")


def test_the_fleet_follows_the_queue_and_ends_the_newest_idle_first(rig: Rig) -> None:
    fleet = rig.fleet()
    fleet.round()
    _ready(rig, 1)
    rig.queue.tell(IMAGE_JOBS, 1000)
    fleet.round()  # at once to the ceiling
    _ready(rig, 3)
    newest, middle, oldest = rig.graders()
    (rig.jobs / newest.name).write_text("2")
    rig.queue.tell(IMAGE_JOBS, 15)
    rig.now += 599
    fleet.round()
    assert len(rig.graders()) == 3
    rig.now += 2
    fleet.round()
    assert rig.count("fleet_wanted_containers") == 2
    assert rig.count("fleet_containers", state="draining") == 1
    eventually(lambda: len(rig.graders()) == 2, 60)
    # The newest has jobs, so the one before it went.
    assert {one.id for one in rig.graders()} == {newest.id, oldest.id}
    fleet.round()
    assert middle.id not in {one.id for one in rig.graders(all=True)}
    assert rig.count("fleet_containers", state="running") == 2
    assert rig.count("fleet_starts_total") == 3
    assert rig.count("fleet_stops_total", reason="scale-down") == 1
    assert rig.count("fleet_decisions_total", decision="up") == 1
    assert rig.count("fleet_decisions_total", decision="down") == 1


def test_the_dead_are_replaced_and_the_newest_of_them_can_be_read(rig: Rig) -> None:
    fleet = rig.fleet(FLEET_FLOOR="2")
    fleet.round()
    _ready(rig, 2)
    fleet.round()
    rig.now += 120  # they are steady
    fleet.round()
    first, second = rig.graders()
    first.kill()
    eventually(lambda: len(rig.graders()) == 1, 60)
    fleet.round()
    assert len(rig.graders()) == 2
    assert rig.count("fleet_deaths_total", reason="signal") == 1
    second.remove(force=True)
    fleet.round()
    assert rig.count("fleet_deaths_total", reason="removed") == 1
    _ready(rig, 2)
    (dead,) = [one for one in rig.graders(all=True) if one.status == "exited"]
    assert dead.id == first.id
    assert b"ready" in dead.logs()
    assert rig.count("fleet_containers", state="dead") == 1


def test_graders_that_end_at_once_are_started_ever_more_rarely(rig: Rig) -> None:
    fleet = rig.fleet(FLEET_COMMAND="python3 /grader.py fails")
    starts = []
    for _ in range(40):
        before = rig.count("fleet_starts_total")
        fleet.round()
        if rig.count("fleet_starts_total") > before:
            starts.append(rig.now)
            eventually(lambda: not rig.graders(), 60)
        rig.now += 1
    waits = [after - before for before, after in itertools.pairwise(starts)]
    # A round sees the death a second after its start, then the wait begins.
    assert waits == [2, 3, 5, 9, 17]
    assert rig.count("fleet_deaths_total", reason="error") == len(starts)
    assert rig.count("fleet_failures") == len(starts)
    assert len(rig.graders(all=True)) == 1  # kept for its log


def test_a_grader_that_outgrows_its_memory_is_told_apart(rig: Rig) -> None:
    fleet = rig.fleet(FLEET_COMMAND="python3 /grader.py eats")
    fleet.round()
    eventually(lambda: not rig.graders(), 60)
    fleet.round()
    assert rig.count("fleet_deaths_total", reason="oom") == 1


def test_one_that_does_not_end_in_its_grace_is_killed(rig: Rig) -> None:
    fleet = rig.fleet(FLEET_COMMAND="python3 /grader.py stubborn", FLEET_FLOOR="0")
    rig.queue.tell(IMAGE_JOBS, 1)
    fleet.round()
    _ready(rig, 1)
    rig.queue.tell(IMAGE_JOBS, 0)
    rig.now += 600
    fleet.round()
    rig.now += 89
    fleet.round()
    assert len(rig.graders()) == 1
    # It still has its memory, so no other is started in its place beyond the ceiling.
    assert rig.count("fleet_kills_total") == 0
    rig.now += 1
    fleet.round()
    assert rig.count("fleet_kills_total") == 1
    eventually(lambda: not rig.graders(), 60)
    fleet.round()
    assert rig.graders(all=True) == []
    assert sum(rig.count("fleet_deaths_total", reason=one) for one in ("signal", "oom")) == 0


def test_a_fleet_adopts_its_own_and_touches_nothing_else(
    rig: Rig, engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strange = engine.client.containers.run(
        IMAGE, ["python3", "/grader.py", "serves"], detach=True, network_mode="none",
        environment={"GRADER_ID": "strange"},
    )  # fmt: skip
    try:
        with started(engine, tmp_path_factory.mktemp("other"), "fleet-other") as other:
            other.fleet().round()
            rig.queue.tell(IMAGE_JOBS, 15)
            rig.fleet().round()
            _ready(rig, 2)
            mine = {one.id for one in rig.graders()}
            rig.queue.tell(IMAGE_JOBS, 0)
            again = rig.fleet()  # as after a crash: nothing is remembered
            again.round()
            assert {one.id for one in rig.graders()} == mine
            assert rig.count("fleet_starts_total") == 0
            again.drain()
            assert rig.graders(all=True) == []
            assert rig.count("fleet_stops_total", reason="drain") == 2
            assert len(other.graders()) == 1
            strange.reload()
            assert strange.status == "running"
    finally:
        strange.remove(force=True)


def test_graders_of_old_settings_give_way_one_after_the_other(rig: Rig) -> None:
    rig.fleet(FLEET_FLOOR="2").round()
    _ready(rig, 2)
    old = {one.id for one in rig.graders()}
    fleet = rig.fleet(FLEET_FLOOR="2", FLEET_CEILING="2", FLEET_CPUS="0.25")
    for left in (1, 0):
        fleet.round()
        eventually(lambda: len(rig.graders()) == 1, 60)
        fleet.round()
        _ready(rig, 2)
        fleet.round()
        # The next one waits until the new one is steady.
        assert len(old & {one.id for one in rig.graders()}) == left
        rig.now += 60
    fleet.round()
    _ready(rig, 2)
    assert rig.count("fleet_stops_total", reason="outdated") == 2


def test_settings_that_no_grader_can_run_with_cost_one_grader(rig: Rig) -> None:
    rig.fleet(FLEET_FLOOR="2").round()
    _ready(rig, 2)
    fleet = rig.fleet(FLEET_FLOOR="2", FLEET_COMMAND="python3 /grader.py fails")
    for _ in range(3):
        fleet.round()
        eventually(lambda: len(rig.graders()) == 1, 60)
        rig.now += 20
    assert rig.count("fleet_stops_total", reason="outdated") == 1
    assert rig.count("fleet_failures") >= 1


def test_what_cannot_be_started_is_said_and_tried_again(rig: Rig, engine: DockerEngine) -> None:
    for environ, reason in (
        ({"FLEET_IMAGES": "fleet-tests:none"}, "image-missing"),
        ({"FLEET_NETWORK": "fleet-none"}, "network-missing"),
        ({"FLEET_KEYS": "/nowhere/{stem}.keys"}, "refused"),
        ({"FLEET_RUNTIME": "no-such-runtime"}, "refused"),
    ):
        fleet = rig.fleet(**environ)
        fleet.round()
        fleet.round()  # it waits
        assert rig.count("fleet_start_refusals_total", reason=reason) == 1
        assert rig.graders(all=True) == []
    outward = engine.client.networks.create("fleet-outward", internal=False)
    try:
        rig.fleet(FLEET_NETWORK="fleet-outward").round()
        assert rig.count("fleet_start_refusals_total", reason="network-not-internal") == 1
        assert rig.graders(all=True) == []
    finally:
        outward.remove()


def test_a_gateway_that_does_not_answer_ends_no_grader(rig: Rig) -> None:
    fleet = rig.fleet()
    rig.queue.tell(IMAGE_JOBS, 25)
    fleet.round()
    _ready(rig, 3)
    rig.queue.close()
    for _ in range(3):
        rig.now += 10_000
        fleet.round()
        assert len(rig.graders()) == 3
    assert rig.telemetry.registry.get_sample_value("fleet_gateway_up") == 0


def test_an_engine_that_was_away_is_found_again(rig: Rig, engine: DockerEngine) -> None:
    relay = SocketRelay(Path(engine.url.removeprefix("unix://")))
    try:
        fleet = rig.fleet(FLEET_ENGINE=f"tcp://127.0.0.1:{relay.port}")
        fleet.round()
        _ready(rig, 1)
        relay.cut()
        with pytest.raises(EngineUnavailable):
            fleet.round()
        assert rig.telemetry.registry.get_sample_value("fleet_engine_up") == 0
        # What an engine does when it stops.
        for one in rig.graders():
            one.kill()
        rig.now += 100
        relay.mend()
        fleet.round()
        _ready(rig, 1)
        assert rig.telemetry.registry.get_sample_value("fleet_engine_up") == 1
    finally:
        relay.cut()
