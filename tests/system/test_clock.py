# SPDX-License-Identifier: BSD-2-Clause
"""The wall clock is stepped by an hour, either way, and no deadline, delay or back-off notices (row 53 of the faults)."""

import subprocess
import time
from pathlib import Path

import pytest

from support import control
from support.eventually import eventually
from support.load import right_and_wrong, wrong_answers
from support.places import SOURCE
from support.sasldb import ALICE

PRELOAD = Path("/etc/ld.so.preload")  # the namespace's
OFFSET = Path("/run/clock-offset")
STEPS = [3600, -3600]


@pytest.fixture
def step_clock(tmp_path):
    """step_clock(SECONDS): what the wall clock is wrong by, for programs that are started from here on."""
    library = tmp_path / "stepping_clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library,
                    SOURCE / "tests/system/preload/stepping_clock.c"], check=True)
    tmp_path.chmod(0o755)

    def step(seconds):
        with open(OFFSET, "r+b" if OFFSET.exists() else "w+b") as file:
            file.write(int(seconds).to_bytes(8, "little", signed=True))

    assert not PRELOAD.exists()
    step(0)
    PRELOAD.write_text(f"{library}\n")
    yield step
    PRELOAD.unlink()
    OFFSET.unlink()


def date():
    return int(subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("seconds", STEPS)
def test_the_clock_of_other_programs_is_stepped(step_clock, seconds):
    """The control: what the tests below step is the clock that programs go by."""
    step_clock(seconds)
    assert abs(date() - time.time() - seconds) < 100


@pytest.mark.parametrize("seconds", STEPS)
def test_deadlines_and_delays_keep_their_time(sasldb, start_postern, step_clock, seconds):
    postern = start_postern("--deadline", "6s", failure_delay="3s")
    since = control.status(postern.directory)["since"]
    with postern.connect() as silent, postern.connect() as wrong:
        before = time.monotonic()
        wrong.send(b"\0\5alice\0\5wrong\0\4imap\0\0")
        eventually(lambda: control.status(postern.directory)["delayed"] == 1, "the refusal waits")
        step_clock(seconds)
        assert wrong.reply(20).is_refused
        assert 2.6 < time.monotonic() - before < 20
        assert silent.reply(20).ending == "eof"
        assert 5.9 < time.monotonic() - before < 30
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 20) == []
    assert control.reload(postern.directory) == ""
    eventually(lambda: abs(control.status(postern.directory)["since"] - since - seconds) < 100, "its own clock was stepped")


@pytest.mark.parametrize("seconds", STEPS)
def test_a_login_is_remembered_for_its_own_time(sasldb, start_postern, step_clock, seconds):
    """Row 10 of the faults. Half an hour is not over, and a second is. To the moment: daemon/login_cache_test.cpp."""
    long, short = start_postern("-c", "-t", "1800"), start_postern("-c", "-t", "1")
    for postern in (long, short):
        assert postern.ask(ALICE.user, ALICE.password).is_accepted
    step_clock(seconds)
    assert long.ask(ALICE.user, ALICE.password).is_accepted
    assert control.status(long.directory)["cache"]["hits"] == 1
    eventually(lambda: is_over(short), "its second is over")


def is_over(postern):
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    return control.status(postern.directory)["cache"]["outdated"] == 1


@pytest.mark.parametrize("seconds", STEPS)
def test_those_who_die_are_replaced_in_time(sasldb, start_postern, step_clock, seconds):
    postern = start_postern()
    for _ in range(2):
        postern.workers()[0].kill().wait_gone()
        step_clock(seconds)
        eventually(lambda: len(postern.workers()) == 5, "the worker has a successor", 20)
    postern.front.kill().wait_gone()
    step_clock(0)
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 20) == []
