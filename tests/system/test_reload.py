# SPDX-License-Identifier: BSD-2-Clause
"""A new configuration under load: all of it or nothing, and no login notices."""

import os
import shutil
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import control
from support.eventually import eventually
from support.load import Expected, right_and_wrong, wrong_answers
from support.places import BUILD, POSTERN
from support.sasldb import ALICE, BOB

SASLDB_LOGINS = right_and_wrong(ALICE) + right_and_wrong(BOB)

ONE = """
[listener a]
socket = DIR/a
mode = 0600

[backend fault]
type = fault
fault_password = {password}

[route]
default = fault
failure_delay = 0
"""

AND_ANOTHER = """
[listener b]
socket = DIR/b
"""


@pytest.fixture
def copied_build(tmp_path):
    """The build under test, in a place where it can be replaced."""
    for directory in ("sbin", "lib"):
        shutil.copytree(BUILD / directory, tmp_path / directory)
    return tmp_path


def is_accepted(daemon, password, listener=None):
    return daemon.ask("anybody", password, listener=listener).is_accepted


def inode(path):
    return os.stat(path).st_ino


def test_a_reload_changes_what_the_next_login_meets(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    assert is_accepted(postern, "first") and not is_accepted(postern, "second")
    postern.write_config(ONE.format(password="second"))
    assert control.reload(postern.directory) == ""
    assert is_accepted(postern, "second") and not is_accepted(postern, "first")


def test_sighup_is_a_reload_and_the_log_says_how_it_went(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    postern.write_config(ONE.format(password="second"))
    os.kill(postern.pid, signal.SIGHUP)
    eventually(lambda: "the configuration was read again, and is in force" in postern.output, "it is in force")
    assert is_accepted(postern, "second")
    postern.write_config("nonsense")
    os.kill(postern.pid, signal.SIGHUP)
    eventually(lambda: "the configuration is not changed: " in postern.output, "it is refused")
    assert is_accepted(postern, "second")


def test_the_tool_says_how_it_went(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    reload = [POSTERN, "reload", "-m", postern.directory]
    good = subprocess.run(reload, capture_output=True, text=True, timeout=60, check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, "the configuration is in force\n", "")
    postern.write_config(ONE.format(password="second").replace("type = fault", "type = fautl"))
    bad = subprocess.run(reload, capture_output=True, text=True, timeout=60, check=False)
    assert bad.returncode == 1
    assert "[backend fault] type:" in bad.stderr and "did you mean fault?" in bad.stderr


@pytest.mark.parametrize("broken", ["[listener a]\nsocket = DIR/a\n", ONE.format(password="x") + "[backend fault]\n",
                                    ONE.format(password="x").replace("DIR/a", "/nonexistent/of/course/a"),
                                    ONE.format(password="x") + "[daemon]\nrun_directory = /run/elsewhere\n", ""],
                         ids=["incomplete", "twice", "no place for a socket", "another run directory", "empty"])
def test_a_configuration_that_cannot_be_used_changes_nothing_and_says_why(start_postern_conf, broken):
    postern = start_postern_conf(ONE.format(password="first"))
    eventually(lambda: len(postern.workers("fault")) == 5, "all workers are there")
    front, descriptors = postern.front, postern.supervisor.descriptors
    postern.write_config(broken)
    problem = control.reload(postern.directory)
    assert problem
    assert problem.splitlines()[0] in postern.output
    assert is_accepted(postern, "first") and not is_accepted(postern, "x")
    assert postern.front == front
    eventually(lambda: len(postern.supervisor.descriptors) <= len(descriptors), "nothing is left of the attempt")


def test_a_backend_that_cannot_work_changes_nothing_and_says_so(start_postern_conf):
    """The file is right, and only its worker finds out."""
    postern = start_postern_conf(ONE.format(password="first"))
    front = postern.front
    postern.write_config(ONE.format(password="second") + AND_ANOTHER
                         + "[backend odd]\ntype = fault\nfault_password =\n[route odd]\ndefault = odd\n")
    assert "backend odd cannot work" in control.reload(postern.directory)
    assert is_accepted(postern, "first") and not is_accepted(postern, "second")
    eventually(lambda: postern.fronts == [front], "the attempt is over")
    assert not (postern.directory / "b").exists()


def test_new_listeners_open_and_those_that_stay_are_the_same_sockets(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="x"))
    before = inode(postern.sockets["a"])
    postern.write_config(ONE.format(password="x") + AND_ANOTHER)
    assert control.reload(postern.directory) == ""
    assert is_accepted(postern, "x", "a") and is_accepted(postern, "x", "b")
    assert inode(postern.sockets["a"]) == before
    assert os.stat(postern.sockets["b"]).st_mode & 0o777 == 0o660


def test_listeners_that_are_gone_close_after_their_last_request(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="x") + AND_ANOTHER)
    with postern.connect(listener="b") as slow, postern.connect(listener="b") as silent:
        slow.send(b"\0\4slow\0\1x\0\4imap\0\0041000")
        eventually(lambda: any(worker["state"] == "busy" for worker in
                               control.backend_status(postern.directory, "fault")["workers"]), "it is in work")
        gone = postern.sockets["b"]
        postern.write_config(ONE.format(password="x"))
        assert control.reload(postern.directory) == ""
        assert not gone.exists()
        silent.send(b"\0\7anybody\0\1x\0\4imap\0\0")
        assert silent.reply(10).is_accepted
        assert slow.reply(10).is_accepted
    eventually(lambda: len(postern.fronts) == 1, "the old front is done")


def test_the_rights_of_a_socket_that_stays_can_change(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="x"))
    before = inode(postern.sockets["a"])
    postern.write_config(ONE.format(password="x").replace("mode = 0600", "mode = 0620\nowner = nobody\ngroup = mail"))
    assert control.reload(postern.directory) == ""
    status = os.stat(postern.sockets["a"])
    assert (status.st_ino, status.st_mode & 0o777) == (before, 0o620)
    assert status.st_uid == 65534 and status.st_gid == 8


def test_requests_in_flight_finish_on_the_configuration_they_came_to(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    with postern.connect() as connection:
        connection.send(b"\0\4slow\0\5first\0\4imap\0\0041500")
        eventually(lambda: any(worker["state"] == "busy" for worker in
                               control.backend_status(postern.directory, "fault")["workers"]), "it is in work")
        postern.write_config(ONE.format(password="second"))
        assert control.reload(postern.directory) == ""
        assert is_accepted(postern, "second")
        assert connection.reply(10).is_accepted


def test_refusals_that_wait_keep_their_distance_through_a_reload(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="x").replace("failure_delay = 0", "failure_delay = 2s"))
    with ThreadPoolExecutor(5) as pool:
        refusals = [pool.submit(postern.ask, "anybody", "wrong") for _ in range(5)]
        eventually(lambda: control.status(postern.directory)["delayed"] == 5, "they wait")
        assert control.reload(postern.directory) == ""
        assert not any(refusal.done() for refusal in refusals)
        assert all(refusal.result().is_refused for refusal in refusals)


def test_a_reload_every_tenth_of_a_second_loses_no_login_and_gets_none_wrong(sasldb, start_postern_conf):
    """20 000 logins, a third of them wrong; the configuration changes back and forth meanwhile."""
    text = """
[listener a]
socket = DIR/a
[backend local]
type = sasldb
workers = {workers}
[backend other]
type = fault
[route]
default = {chain}
failure_delay = 0
"""
    postern = start_postern_conf(text.format(workers=3, chain="local"))
    logins = [Expected(ALICE.user, ALICE.password, ALICE.realm, True), Expected(BOB.user, BOB.password, BOB.realm, True),
              Expected(ALICE.user, "wrong", ALICE.realm, False)]
    done, problems = threading.Event(), []

    def keep_reloading():
        turn = 0
        while not done.is_set():
            turn += 1
            postern.write_config(text.format(workers=3 + turn % 2, chain=["local", "local other"][turn % 2]))
            problems.append(control.reload(postern.directory))
            done.wait(0.1)

    reloading = threading.Thread(target=keep_reloading)
    reloading.start()
    try:
        assert wrong_answers(postern.ask, logins, 20_000) == []
    finally:
        done.set()
        reloading.join()
    assert len(problems) >= 10
    assert set(problems) == {""}
    assert "auth unavailable" not in postern.output
    eventually(lambda: len(postern.fronts) == 1, "the old fronts have ended")
    eventually(lambda: len(postern.workers("local")) <= 5, "and their workers")


def test_many_who_ask_at_once_are_all_answered(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="x"))
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(lambda _: control.reload(postern.directory), range(10))) == [""] * 10


def test_a_daemon_with_flags_reads_them_again(sasldb, start_postern):
    postern = start_postern(mode="")
    old = set(postern.workers())
    assert control.reload(postern.directory) == ""
    assert wrong_answers(postern.ask, SASLDB_LOGINS) == []
    eventually(lambda: len(postern.workers()) == 5 and not old & set(postern.workers()), "its workers are new ones")


def test_a_front_that_dies_after_a_reload_is_replaced_in_the_new_configuration(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    postern.write_config(ONE.format(password="second"))
    assert control.reload(postern.directory) == ""
    eventually(lambda: len(postern.fronts) == 1, "the old front is done")
    front = postern.front
    front.kill().wait_gone()
    assert is_accepted(postern, "second") and not is_accepted(postern, "first")


def test_programs_and_plug_ins_that_are_replaced_on_disk_change_nothing_half_way(sasldb, start_postern, copied_build):
    """An upgrade under a running daemon: roles and plug-ins come from the files that were opened at the start."""
    postern = start_postern(program=copied_build / "sbin/posternd")
    eventually(lambda: len(postern.workers()) == 5, "all workers are there")
    for file in [copied_build / "sbin/posternd", *copied_build.glob("lib/**/*.so")]:
        file.unlink()
        file.write_bytes(b"another build")
        file.chmod(0o755)
    victim = postern.workers()[0].kill()
    victim.wait_gone()
    eventually(lambda: len(postern.workers()) == 5, "the worker came back")
    postern.front.kill().wait_gone()
    assert wrong_answers(postern.ask, SASLDB_LOGINS) == []
    assert control.reload(postern.directory) == ""
    assert wrong_answers(postern.ask, SASLDB_LOGINS) == []


def reload_that_takes_its_time(daemon, pool, more=""):
    """Begins a reload whose workers need two seconds to load; returns its answer to come."""
    daemon.write_config(ONE.format(password="late") + more)
    answer = pool.submit(control.request, daemon.directory, "reload")
    eventually(lambda: len(daemon.fronts) == 2, "the next front is there")
    return answer


def test_a_supervisor_that_is_killed_during_a_reload_leaves_the_old_configuration_in_force(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    with ThreadPoolExecutor(1) as pool:
        answer = reload_that_takes_its_time(postern, pool)
        fronts = postern.fronts
        family = postern.supervisor.children
        postern.supervisor.kill()
        postern.wait()
        assert answer.result()["problem"] == "the supervisor is gone"
    eventually(lambda: [front.is_alive for front in fronts] == [True, False], "the front that never opened has ended")
    assert all(is_accepted(postern, "first") and not is_accepted(postern, "late") for _ in range(20))
    successor = start_postern_conf(ONE.format(password="second"), directory=postern.directory)
    eventually(lambda: is_accepted(successor, "second"), "the next daemon takes over")
    for process in family:
        process.wait_gone(15)


def test_a_stop_during_a_reload_is_a_stop_and_who_asked_is_told(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    with ThreadPoolExecutor(1) as pool:
        answer = reload_that_takes_its_time(postern, pool)
        postern.stop()
        assert answer.result()["problem"] == "the daemon ends"


def test_only_the_front_that_serves_answers_the_control_socket(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    front = postern.front
    with ThreadPoolExecutor(1) as pool:
        answer = reload_that_takes_its_time(postern, pool)
        while not answer.done():
            asked = control.status(postern.directory)["front"]
            assert asked == front.pid or answer.result()["ok"]
    assert is_accepted(postern, "late")


def test_a_front_that_dies_during_a_reload_costs_neither(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    front = postern.front
    with ThreadPoolExecutor(1) as pool:
        reload_that_takes_its_time(postern, pool)
        front.kill().wait_gone()
        assert is_accepted(postern, "first")
        eventually(lambda: is_accepted(postern, "late"), "the new one is in force all the same", 20)
    eventually(lambda: len(postern.fronts) == 1, "one front is left", 20)


def test_what_others_have_at_a_path_is_left_to_them(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    file = postern.directory / "b"
    file.write_text("precious")
    postern.write_config(ONE.format(password="second") + AND_ANOTHER)
    assert str(file) in control.reload(postern.directory)
    assert file.read_text() == "precious"
    file.unlink()
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(file))
        served.listen()
        assert str(file) in control.reload(postern.directory)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(file))
    file.unlink()
    assert is_accepted(postern, "first")


def test_a_path_that_somebody_comes_to_serve_during_the_reload_is_told_of_until_it_is_ours(start_postern_conf):
    postern = start_postern_conf(ONE.format(password="first"))
    file = postern.directory / "b"
    with ThreadPoolExecutor(1) as pool, socket.socket(socket.AF_UNIX) as stranger:
        answer = reload_that_takes_its_time(postern, pool, AND_ANOTHER)
        stranger.bind(str(file))
        stranger.listen()
        problem = f"the configuration is in force, but: socket {file} (somebody else serves it: process {os.getpid()} "
        assert answer.result()["problem"].startswith(problem)
        assert problem in postern.output
        assert "and is in force" not in postern.output
        assert is_accepted(postern, "late", "a")
        tool = subprocess.run([POSTERN, "reload", "-m", postern.directory], capture_output=True, text=True, timeout=60,
                              check=False)
        assert (tool.returncode, tool.stdout) == (1, "")
        assert tool.stderr.startswith("postern: " + problem)
    assert control.reload(postern.directory) == ""
    assert is_accepted(postern, "late", "b")
    assert sorted(path.name for path in postern.directory.iterdir() if path.is_socket()) == ["a", "b", "control"]


def test_a_socket_that_is_called_by_another_name_of_its_directory_stays_as_it_is(start_postern_conf, tmp_path):
    postern = start_postern_conf(ONE.format(password="first"))
    other_name = tmp_path / "other-name"
    other_name.symlink_to(postern.directory)
    before = inode(postern.sockets["a"])
    text = ONE.format(password="second").replace("DIR/a", f"{other_name}/a").replace("listener a", "listener another")
    postern.write_config(text)
    assert control.reload(postern.directory) == ""
    assert is_accepted(postern, "second", "another")
    assert inode(postern.sockets["another"]) == before
    postern.write_config(ONE.format(password="third"))
    assert control.reload(postern.directory) == ""
    assert is_accepted(postern, "third")
    assert inode(postern.sockets["a"]) == before
