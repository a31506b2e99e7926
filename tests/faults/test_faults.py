"""Whatever breaks while submissions run: none is lost, no score is there twice, no log tells.

``make faults`` injects each fault more often and prints the table; `docs/operators/faults.md` says
what is measured. A failure names the seed: ``FAULTS_SEED=… make faults`` draws the same moments.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.injections import GRADER_MODULES, faults
from tests.faults.one_machine import NoSmallDisk, full_disk, one_machine
from tests.faults.suite import Suite, chosen_seed, chosen_times, table
from tests.faults.workload import ITEMS, make_archives, tasks_of_boards
from tests.faults.world import CANARY
from tests.support.postgres_server import PostgresServer
from tests.support.replicated_platform import replicated_platform
from tests.support.s3_server import S3Server

#: A hundred times each is a few hours.
TEST_SECONDS = 6 * 3600 if "FAULTS_TIMES" in os.environ else 1800

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TEST_SECONDS)]


def test_two_of_everything_lose_nothing_and_do_nothing_twice(
    tmp_path: Path,
    postgres_server: PostgresServer,
    rclone_server: S3Server,
    record_property: pytest.RecordProperty,
) -> None:
    archives = make_archives(tmp_path)
    with replicated_platform(
        tmp_path,
        postgres_server,
        rclone_server,
        tasks_of_boards(),
        ITEMS,
        grader_modules=GRADER_MODULES,
        canary=CANARY,
    ) as platform:
        suite = Suite(platform, archives, chosen_seed())
        for fault in faults(platform):
            suite.run(fault, chosen_times(fault))
        suite.require_nothing_wrong()
    record_property("table", table(suite.lines))


def test_a_machine_whose_disk_is_full_goes_on_once_there_is_room(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    archives = make_archives(tmp_path)
    try:
        with one_machine(tmp_path) as machine:
            suite = Suite(machine, archives, chosen_seed())
            fault = full_disk(machine, archives[0])
            suite.run(fault, chosen_times(fault))
            suite.require_nothing_wrong()
    except NoSmallDisk as reason:
        pytest.skip(str(reason))
    record_property("table", table(suite.lines))
