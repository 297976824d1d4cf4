# SPDX-License-Identifier: BSD-2-Clause
"""The supervisor is killed: its front serves on, and the next start takes over without losing a login."""

import os
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from support import control
from support.eventually import eventually
from support.load import Expected, right_and_wrong, wrong_answers
from support.places import POSTERND
from support.processes import Process, all_processes
from support.sasldb import ALICE, BOB
from support.wire import ask

LOGINS = right_and_wrong(ALICE) + right_and_wrong(BOB)
FAULT_LOGINS = [Expected("anybody", "good", "", True), Expected("anybody", "bad", "", False)]


TWO = """
[listener a]
socket = DIR/a

[listener b]
socket = DIR/b

[backend fault]
type = fault
fault_password = {password}

[route]
default = fault
failure_delay = 0
"""


@pytest.fixture
def orphaned(sasldb, start_postern):
    """A daemon whose supervisor is dead; `family` is what it has left behind."""
    postern = start_postern()
    eventually(lambda: len(postern.workers()) == 5, "all workers are there")
    return orphan(postern)


def orphan(daemon):
    daemon.family = daemon.supervisor.children
    daemon.supervisor.kill()
    daemon.wait()
    return daemon


def front_of(family):
    return next(process for process in family if process.is_alive and process.command_line == "posternd front")


def end(family):
    """Some have ended by themselves: an idle worker does, and one whose front is gone."""
    for process in family:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait_gone()


def test_a_front_without_its_supervisor_serves_on_and_says_so(orphaned):
    assert wrong_answers(orphaned.ask, LOGINS) == []
    assert control.status(orphaned.directory)["supervisor"] == 0
    assert "the supervisor is gone" in control.reload(orphaned.directory)
    assert "the supervisor is gone: this front serves on" in orphaned.output
    end(orphaned.family)


def test_the_next_start_takes_over_and_no_process_of_the_old_one_is_left(orphaned, start_postern):
    successor = start_postern(directory=orphaned.directory)
    assert wrong_answers(successor.ask, LOGINS) == []
    for process in orphaned.family:
        process.wait_gone(15)
    assert control.status(successor.directory)["supervisor"] == successor.pid
    assert sorted(os.listdir(successor.directory)) == ["control", "mux", "saslauthd.pid.lock"]


@pytest.mark.parametrize("mode", ["-f", ""])
def test_no_login_is_lost_when_the_supervisor_is_killed_and_another_one_started(sasldb, start_postern, mode):
    postern = start_postern(mode=mode)
    eventually(lambda: len(postern.workers()) == 5, "all workers are there")
    wrong = []
    load = threading.Thread(target=lambda: wrong.extend(wrong_answers(postern.ask, LOGINS, 4000)))
    load.start()
    eventually(lambda: logins_so_far(postern) > 300, "the load is on")
    family = orphan(postern).family
    seen = logins_so_far(postern)
    eventually(lambda: logins_so_far(postern) > seen + 100, "the front serves on")
    successor = start_postern(directory=postern.directory, mode=mode)
    eventually(lambda: logins_so_far(successor) > 300, "the next one serves")
    load.join()
    assert wrong == []
    for process in family:
        process.wait_gone(15)
    assert all(process.parent_pid == successor.pid for process in our_roles())


def logins_so_far(daemon):
    return sum(control.status(daemon.directory)["logins"].values())


def our_roles():
    return [process for process in all_processes() if process.is_alive and is_role(process)]


def is_role(process):
    try:
        return process.command_line.startswith("posternd ")
    except OSError:
        return False


def test_logins_in_work_are_finished_by_the_old_front(start_postern):
    postern = start_postern(backend="fault")
    connection = postern.connect()
    connection.send(b"\0\4slow\0\4good\0\4imap\0\0041500")
    eventually(lambda: "busy" in [worker["state"] for worker in control.backend_status(postern.directory, "fault")["workers"]],
               "it is in work")
    orphan(postern)
    successor = start_postern(directory=postern.directory, backend="fault")
    assert successor.ask("anybody", "good").is_accepted
    assert connection.reply(10).is_accepted
    for process in postern.family:
        process.wait_gone(15)


def test_a_start_that_fails_leaves_the_old_front_as_it_was(orphaned):
    failed = subprocess.run([POSTERND, "-a", "sasldb", "-m", orphaned.directory, "--sasldb-path", "", "-f"],
                            capture_output=True, timeout=30, check=False)
    assert failed.returncode == 1
    assert wrong_answers(orphaned.ask, LOGINS) == []
    end(orphaned.family)


def test_who_has_come_to_serve_the_path_keeps_it_beside_a_front_that_was_left_behind(orphaned):
    os.unlink(orphaned.socket)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(orphaned.socket))
        stranger.listen()
        failed = subprocess.run([POSTERND, "-a", "sasldb", "-m", orphaned.directory, "-f"],
                                capture_output=True, text=True, timeout=30, check=False)
        assert failed.returncode == 1
        assert (f"socket {orphaned.socket} (somebody else serves it: process {os.getpid()} of user 0 has made it listen)"
                in failed.stderr)
        stranger.accept()[0].close()  # who asked whose it is
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(orphaned.socket))
            stranger.settimeout(10)
            stranger.accept()[0].close()
    assert control.status(orphaned.directory)["supervisor"] == 0, "the old front is as it was"
    end(orphaned.family)


def caught_during_its_start(start_postern_conf):
    """An orphaned daemon, and who takes over from it: stopped when its sockets wait beside those that are served."""
    for _ in range(50):
        postern = orphan(start_postern_conf(TWO.format(password="good")))
        served = postern.sockets["b"].stat().st_ino
        postern.write_config(TWO.format(password="late"))
        successor = subprocess.Popen(postern.command, stderr=subprocess.PIPE, text=True)
        eventually(lambda: (postern.directory / ".2").exists() or postern.sockets["b"].stat().st_ino != served, "it starts")
        successor.send_signal(signal.SIGSTOP)
        eventually(lambda: Process(successor.pid).state == "T", "it stands still")
        if postern.sockets["b"].stat().st_ino == served:
            return postern, successor
        successor.send_signal(signal.SIGCONT)  # it was quicker
        successor.terminate()
        successor.communicate(timeout=20)
        end(postern.family)
    raise AssertionError("it starts too quickly to be caught")


def test_a_path_that_somebody_comes_to_serve_during_the_start_is_not_said_to_be_ours(start_postern_conf):
    postern, successor = caught_during_its_start(start_postern_conf)
    taken = postern.sockets["b"]
    taken.unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(taken))
        stranger.listen()
        successor.send_signal(signal.SIGCONT)
        eventually(lambda: control.status(postern.directory)["supervisor"] == successor.pid, "it serves")
        assert postern.ask("anybody", "late", listener="a").is_accepted
        assert front_of(postern.family).is_alive, "it may serve where the new one does not"
    os.kill(successor.pid, signal.SIGHUP)
    eventually(lambda: is_accepted(postern, "late", "b"), "the next reload has taken the place")
    for process in postern.family:
        process.wait_gone(15)
    successor.terminate()
    said = successor.communicate(timeout=20)[1]
    assert successor.returncode == 0
    assert f"socket {taken} (somebody else serves it: process {os.getpid()} of user 0 has made it listen)" in said
    assert f"listening on socket: {postern.sockets['a']}" in said
    assert f"listening on socket: {taken}" not in said


def is_accepted(daemon, password, listener):
    try:
        return daemon.ask("anybody", password, listener=listener).is_accepted
    except OSError:
        return False


def test_a_dead_front_s_control_socket_keeps_no_start_out(orphaned, start_postern):
    end(orphaned.family)
    assert "control" in os.listdir(orphaned.directory)
    successor = start_postern(directory=orphaned.directory)
    assert wrong_answers(successor.ask, LOGINS) == []


def test_a_worker_that_ends_is_missed_but_the_others_serve_on(orphaned):
    workers = [process for process in orphaned.family if process.command_line.endswith("worker sasldb")]
    for worker in workers[1:]:
        worker.kill().wait_gone()
    assert wrong_answers(orphaned.ask, LOGINS) == []
    workers[0].kill().wait_gone()
    eventually(lambda: orphaned.ask(ALICE.user, ALICE.password, realm=ALICE.realm).is_unavailable, "nobody is left to ask")
    end([process for process in orphaned.family if process.is_alive])


def test_who_has_a_supervisor_is_not_talked_into_finishing(postern):
    front = postern.front
    assert control.request(postern.directory, "finish")["ok"]
    assert wrong_answers(postern.ask, LOGINS) == []
    assert postern.front == front
    assert "but has a supervisor" in postern.output


def test_a_front_that_hangs_keeps_nobody_from_taking_over(orphaned, start_postern):
    front = front_of(orphaned.family)
    front.kill(signal.SIGSTOP)
    successor = start_postern(directory=orphaned.directory)
    assert wrong_answers(successor.ask, LOGINS) == []
    front.kill(signal.SIGCONT)
    for process in orphaned.family:
        process.wait_gone(15)


def test_the_control_socket_is_for_root(postern):
    status = os.stat(postern.directory / "control")
    assert (status.st_mode & 0o777, status.st_uid) == (0o600, 0)


def test_a_control_connection_that_says_nothing_or_too_much_harms_nobody(postern):
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as loud:
        silent.connect(str(postern.directory / "control"))
        loud.connect(str(postern.directory / "control"))
        loud.sendall(b"x" * 65536)
        assert b'"ok":false' in loud.recv(65536)
        assert control.status(postern.directory)["supervisor"] == postern.pid
    assert wrong_answers(postern.ask, LOGINS) == []


def test_a_take_over_that_is_killed_before_it_is_ready_leaves_nobody_and_the_old_front_as_it_was(orphaned):
    """Its front waits to open; without a supervisor it has nothing to wait for."""
    late = subprocess.Popen([POSTERND, "-a", "fault", "-m", orphaned.directory, "-f"],
                            stderr=subprocess.DEVNULL, start_new_session=True)
    late.kill()
    late.wait()
    assert wrong_answers(orphaned.ask, LOGINS) == []
    eventually(lambda: set(our_roles()) == set(orphaned.family), "nobody else is left", 15)
    end(orphaned.family)


def test_an_orphaned_front_sleeps_when_nobody_asks(start_postern):
    postern = start_postern("--worker-idle", "100ms", backend="fault", workers=1)
    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(lambda _: postern.ask("slow", "good", realm="300").is_accepted, range(10)))
    assert len(postern.workers("fault")) > 1
    orphan(postern)
    front = front_of(postern.family)
    eventually(lambda: is_asleep_throughout(front), "it sleeps", 10)
    end(postern.family)


def is_asleep_throughout(process):
    """Its voluntary switches do not go on while nothing happens."""
    before = process.status("voluntary_ctxt_switches")
    time.sleep(0.3)  # what is looked for is that nothing happens
    return process.status("voluntary_ctxt_switches") == before and process.state == "S"


def test_two_daemons_do_not_share_a_run_directory_whichever_way_they_are_started(sasldb, postern, tmp_path):
    config = tmp_path / "postern.conf"
    config.write_text(f"[daemon]\nrun_directory = {postern.directory}\n[listener a]\nsocket = {tmp_path}/a\n"
                      "[backend local]\ntype = sasldb\n[route]\ndefault = local\n")
    second = subprocess.run([POSTERND, "--config", config, "-f"], capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 2
    assert "currently running" in second.stderr
    assert control.status(postern.directory)["supervisor"] == postern.pid
    assert wrong_answers(postern.ask, LOGINS) == []


def test_of_two_daemons_that_are_started_at_once_for_one_path_one_serves_it_and_the_other_says_why(sasldb, tmp_path):
    private = tmp_path / "private"  # somebody else's, as Postfix's is
    private.mkdir(mode=0o700)
    os.chown(private, 65534, 65534)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.conf").write_text(
            f"[daemon]\nrun_directory = {tmp_path}/{name}\n[listener a]\nsocket = {private}/auth\n"
            "[backend local]\ntype = sasldb\n[route]\ndefault = local\n")
    for _ in range(5):
        started = {name: subprocess.Popen([POSTERND, "--config", tmp_path / f"{name}.conf", "-f"],
                                          stderr=subprocess.PIPE, text=True) for name in ("one", "other")}
        eventually(lambda: any(daemon.poll() is not None for daemon in started.values()), "one of them has ended", 15)
        loser = next(name for name, daemon in started.items() if daemon.poll() is not None)
        winner = next(name for name in started if name != loser)
        eventually(lambda: serves(tmp_path / winner), "the other one serves", 15)
        assert f"socket {private}/auth (" in started[loser].stderr.read()
        assert started[loser].returncode == 1
        assert ask(private / "auth", ALICE.user, ALICE.password, realm=ALICE.realm).is_accepted
        assert os.listdir(private) == ["auth"]
        started[winner].terminate()
        assert started[winner].wait(20) == 0
        assert os.listdir(private) == []


def test_a_caller_who_does_not_wait_for_the_start_gets_a_daemon_all_the_same(sasldb, tmp_path):
    directory = tmp_path / "run"
    caller = subprocess.Popen([POSTERND, "-a", "sasldb", "-m", directory], stderr=subprocess.DEVNULL)
    caller.kill()
    caller.wait()
    eventually(lambda: not our_roles() or serves(directory), "it serves, or has left nothing behind", 20)
    for process in all_processes():
        if process.is_alive and is_postern(process):
            process.kill()


def serves(directory):
    try:
        return control.status(directory)["supervisor"] != 0
    except OSError:
        return False


def is_postern(process):
    try:
        return process.name.startswith("postern")
    except OSError:
        return False
