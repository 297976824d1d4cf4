# SPDX-License-Identifier: BSD-2-Clause
"""The health of servers is known to all workers together: who fails once costs one login, and then nobody.

The servers are files, which the backend type `fault` reads whenever it asks one.
"""

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import control
from support.eventually import eventually
from support.places import POSTERN


class Server:
    """What it does is what stands in its file; on which occasions it was asked is in another one."""

    def __init__(self, directory, name):
        self.file = directory / name
        self.asked_file = directory / f"{name}.asked"
        self.asked_file.touch()
        self.asked_file.chmod(0o666)

    def will(self, order):
        new = self.file.with_suffix(".new")
        new.write_text(order)
        new.rename(self.file)

    def is_well_again(self):
        self.will("")

    def asked(self, occasion="check"):
        """How often."""
        return self.asked_file.read_text().split().count(occasion)

    def __str__(self):
        return f"file://{self.file}"


@pytest.fixture
def directory():
    """Open to the account of workers."""
    made = Path(tempfile.mkdtemp(prefix="servers-", dir="/run"))
    os.chmod(made, 0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def one(directory):
    return Server(directory, "one")


@pytest.fixture
def two(directory):
    return Server(directory, "two")


@pytest.fixture
def start(start_postern, one, two):
    """posternd whose backend has two servers; its workers have prepared."""

    def start_and_settle(*flags, workers=2, **kind):
        postern = start_postern("--fault-servers", f"{one} {two}", "--deadline", "4s", *flags, backend="fault",
                                workers=workers, **kind)
        eventually(lambda: states(postern) == ["idle"] * workers, "all have prepared")
        return postern

    return start_and_settle


def status(daemon):
    return control.backend_status(daemon.directory, "fault")


def states(daemon):
    return [worker["state"] for worker in status(daemon)["workers"]]


def servers(daemon):
    return [server["state"] for server in status(daemon)["servers"]]


def which(daemon):
    """The name of the server that answers now."""
    before = daemon.output.count("[user=which]")
    assert daemon.ask("which", "good").is_refused
    eventually(lambda: daemon.output.count("[user=which]") > before, "it is logged")
    line = [line for line in daemon.output.splitlines() if "[user=which]" in line][-1]
    return line.partition("[reason=")[2].partition("]")[0]


def test_the_first_server_is_asked_and_nobody_else(start, one, two):
    postern = start()
    for _ in range(10):
        assert which(postern) == str(one.file)
    assert two.asked() == 0
    assert servers(postern) == ["up", "up"]


def test_after_the_first_failure_no_worker_asks_that_server_until_a_probe_has_found_it_well(start, one, two):
    postern = start(workers=4)
    one.will("down")
    assert which(postern) == str(two.file)
    with ThreadPoolExecutor(8) as pool:
        assert all(reply.is_accepted for reply in pool.map(lambda _: postern.ask("anybody", "good"), range(100)))
    assert one.asked() == 1
    assert two.asked() == 101
    eventually(lambda: one.asked("probe") >= 2, "it is probed")
    assert two.asked("probe") == 0
    one.is_well_again()
    eventually(lambda: servers(postern) == ["up", "up"], "a probe brings it back")
    assert which(postern) == str(one.file)
    assert two.asked() == 101


def test_a_server_that_is_down_and_one_that_is_back_are_a_line_each_in_the_log(start, one):
    postern = start()
    one.will("down")
    for _ in range(3):
        assert postern.ask("anybody", "good").is_accepted
    eventually(lambda: one.asked("probe") >= 3, "it is probed in vain")
    one.is_well_again()
    eventually(lambda: f"fault: server {one} is back after " in postern.output, "it is back")
    assert postern.output.count(f"fault: server {one} is down: it is down, as ordered") == 1
    assert postern.output.count(f"server {one}") == 2


def test_when_all_servers_are_down_nobody_is_asked_and_everybody_is_told_at_once(start, one, two):
    postern = start()
    one.will("down")
    two.will("down")
    assert postern.ask("anybody", "good").is_unavailable
    eventually(lambda: not {"up", "in doubt"} & set(servers(postern)), "a probe has failed as well")
    asked = one.asked() + two.asked()
    with ThreadPoolExecutor(8) as pool:
        assert all(reply.is_unavailable for reply in pool.map(lambda _: postern.ask("anybody", "good"), range(50)))
    assert one.asked() + two.asked() == asked
    assert status(postern)["declined"] == 50
    eventually(lambda: "none of its servers can be asked; " in postern.output, "it is said why")
    two.is_well_again()
    eventually(lambda: servers(postern) == ["down", "up"], "the second is back")
    assert which(postern) == str(two.file)
    one.is_well_again()
    eventually(lambda: servers(postern) == ["up", "up"], "the first is back")
    assert which(postern) == str(one.file)


def test_one_failure_of_the_only_server_is_no_outage(start_postern, one):
    postern = start_postern("--fault-servers", str(one), backend="fault", workers=2)
    one.will("down check")
    assert postern.ask("anybody", "good").is_unavailable
    eventually(lambda: one.asked("probe") == 1, "it is probed")
    one.is_well_again()
    assert postern.ask("anybody", "good").is_accepted
    assert servers(postern) == ["up"] and status(postern)["declined"] == 0


def test_a_server_that_hangs_for_ever_costs_one_login_its_deadline_and_then_nobody(start, one, two):
    postern = start()
    one.will("hang")
    assert postern.ask("anybody", "good").is_unavailable
    assert which(postern) == str(two.file)
    with ThreadPoolExecutor(8) as pool:
        assert all(reply.is_accepted for reply in pool.map(lambda _: postern.ask("anybody", "good"), range(50)))
    assert one.asked() == 1
    assert status(postern)["servers"][0]["problem"] == "it did not answer in time"


def test_a_probe_that_hangs_costs_its_worker_and_no_login(start, one, two):
    postern = start()
    one.will("hang")
    assert postern.ask("anybody", "good").is_unavailable
    lost = status(postern)["workers_lost"]

    def is_accepted_while_a_probe_hangs():
        assert postern.ask("anybody", "good").is_accepted
        return status(postern)["workers_lost"] > lost and one.asked("probe") >= 2

    eventually(is_accepted_while_a_probe_hangs, "a worker is killed, and the server is probed again", 60)
    assert one.asked() == 1
    one.is_well_again()
    eventually(lambda: servers(postern) == ["up", "up"], "it is back", 60)


def test_a_worker_that_prepares_is_not_asked_meanwhile(start, one):
    postern = start()
    one.will("wait prepare")
    assert postern.ask("prepare", "good").is_accepted
    eventually(lambda: sorted(states(postern)) == ["idle", "preparing"], "one prepares")
    preparing = [worker["pid"] for worker in status(postern)["workers"] if worker["state"] == "preparing"]
    for _ in range(20):
        assert postern.ask("anybody", "good").is_accepted
    answers = {worker["pid"]: worker["answers"] for worker in status(postern)["workers"]}
    assert answers[preparing[0]] == 1 and sum(answers.values()) == 21
    one.is_well_again()
    eventually(lambda: states(postern) == ["idle", "idle"], "it has prepared")
    assert status(postern)["workers_lost"] == 0


def test_a_server_at_which_preparing_hangs_is_no_outage(start_postern, one, two):
    one.will("hang prepare")
    postern = start_postern("--fault-servers", f"{one} {two}", "--deadline", "4s", backend="fault", workers=2)
    eventually(lambda: status(postern)["servers"][0]["problem"] == "it did not answer in time", "it is blamed", 60)
    eventually(lambda: postern.ask("anybody", "good").is_accepted, "somebody is let in", 60)


def test_servers_at_which_preparing_hangs_are_no_outage(start_postern, one, two):
    one.will("hang prepare")
    two.will("hang prepare")
    postern = start_postern("--fault-servers", f"{one} {two}", "--deadline", "4s", backend="fault", workers=2)
    eventually(lambda: postern.ask("anybody", "good").is_accepted, "somebody is let in", 60)


def test_a_worker_that_renews_what_it_has_prepared_is_not_asked_meanwhile(start, one):
    """Not even while that hangs, which is an end of the worker and not of a login."""
    postern = start()
    assert postern.ask("renew", "good").is_accepted
    eventually(lambda: one.asked("prepare") > 3, "it renews")
    one.will("hang prepare")
    eventually(lambda: sorted(states(postern)) == ["idle", "preparing"], "the renewal hangs")
    assert all(postern.ask("anybody", "good").is_accepted for _ in range(10))
    eventually(lambda: status(postern)["workers_lost"] == 1, "it is killed", 60)
    assert status(postern)["servers"][0]["problem"] == "it did not answer in time"


def test_a_server_in_doubt_is_said_to_be(start_postern, one):
    """A request fails at it, and its probe waits: both see the same order, on different occasions."""
    postern = start_postern("--fault-servers", str(one), "--deadline", "4s", backend="fault", workers=2)
    eventually(lambda: states(postern) == ["idle", "idle"], "all have prepared")
    one.will("wait")
    assert postern.ask("anybody", "good").is_unavailable
    eventually(lambda: servers(postern) == ["in doubt"], "the status says so")
    line = f"fault: server {one} is in doubt: it did not answer in time"
    eventually(lambda: line in postern.output, "so does the log")
    one.is_well_again()
    eventually(lambda: servers(postern) == ["up"], "the probe goes well")
    assert postern.ask("anybody", "good").is_accepted


def test_a_daemon_starts_while_all_its_servers_are_down_and_heals(start_postern, one, two):
    one.will("down")
    two.will("down")
    postern = start_postern("--fault-servers", f"{one},{two}", backend="fault", workers=2)
    eventually(lambda: postern.ask("anybody", "good").is_unavailable and servers(postern) != ["up", "up"], "it knows")
    one.is_well_again()
    two.is_well_again()
    eventually(lambda: postern.ask("anybody", "good").is_accepted, "it heals")


def test_the_status_says_how_servers_are(start, one, two):
    postern = start()
    assert status(postern)["servers"] == [
        {"name": str(server), "state": "up", "failures": 0, "problem": "", "down_since": 0, "next_probe_ms": 0}
        for server in (one, two)]
    one.will("wait probe")
    two.will("down")
    assert which(postern) == str(one.file)
    one.will("down")
    assert postern.ask("anybody", "good").is_unavailable
    eventually(lambda: not {"up", "in doubt"} & set(servers(postern)), "a probe has failed as well")
    one.will("wait probe")
    first = eventually(lambda: next((server for server in status(postern)["servers"] if server["state"] == "probing"),
                                    None), "one is probed")
    assert first["down_since"] > 0 and first["failures"] >= 1 and first["problem"]
    second = status(postern)["servers"][1]
    assert second["problem"].endswith("as ordered")
    text = subprocess.run([POSTERN, "status", "-m", postern.directory], capture_output=True, text=True, check=True)
    assert f"last problem of {two}: {second['problem']}\n" in text.stdout
    assert "SERVER OF" in text.stdout
