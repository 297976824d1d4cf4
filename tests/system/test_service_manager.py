# SPDX-License-Identifier: BSD-2-Clause
"""A service manager keeps the sockets over a restart and a crash, and hears how the daemon is (promise 7)."""

import os
import signal
import socket
import stat
import threading
import time

import pytest

from support import control, daemon
from support.eventually import eventually
from support.load import right_and_wrong, wrong_answers
from support.sasldb import ALICE, BOB, BY_SASLDB
from support.service_manager import ServiceManager, listening_socket
from support.wire import Connection, request

LOGINS = right_and_wrong(ALICE) + right_and_wrong(BOB)

CONFIG = """
[listener a]
socket = DIR/a
mode = 0600
""" + BY_SASLDB

AND_ANOTHER = """
[listener b]
socket = DIR/b
"""


@pytest.fixture
def manager(sasldb, daemons, tmp_path):
    manager = ServiceManager(tmp_path / "notify")
    yield manager
    manager.close()


@pytest.fixture
def start(manager, daemons):
    """start(text, mode="-f") starts a daemon with a postern.conf as a service, start() one with flags."""

    def start(text=None, mode="-f"):
        started = daemon.posternd(mode=mode) if text is None else daemon.postern_conf(text, mode=mode)
        daemons.started.append(started)
        return manager.start(started)

    return start


def knock(path, account=ALICE):
    """A login that nobody has accepted yet."""
    return Connection(path).send(request(account.user, account.password, realm=account.realm))


def inode(path):
    return os.stat(path).st_ino


# What is stored

@pytest.mark.parametrize("mode", ["-f", ""])
@pytest.mark.parametrize("text", [CONFIG, None], ids=["file", "flags"])
def test_who_connects_while_no_daemon_runs_is_answered_by_the_next_one(manager, start, mode, text):
    postern = start(text, mode)
    manager.wait_for_states("READY")
    assert manager.stored_names() == [str(postern.socket)]
    before = inode(postern.socket)
    manager.stop()
    with knock(postern.socket) as waiting, knock(postern.socket, BOB) as another:
        manager.start(postern)
        assert waiting.reply().is_accepted
        assert another.reply().is_accepted
    assert inode(postern.socket) == before
    manager.wait_for_states("READY", "STOPPING", "READY")
    assert manager.stored_names() == [str(postern.socket)], "once"


def test_a_restart_loses_no_login(manager, start):
    postern = start(CONFIG)
    wrong = []
    load = threading.Thread(target=lambda: wrong.extend(wrong_answers(postern.ask, LOGINS, 4000)))
    load.start()
    for _ in range(3):
        eventually(lambda: sum(control.status(postern.directory)["logins"].values()) > 100, "the load is on")
        manager.restart()
    load.join()
    assert wrong == []


@pytest.mark.parametrize("who", ["all", "supervisor"])
def test_a_crash_loses_none_that_waits(manager, start, who):
    """systemd ends what is left of a service, unless KillMode= says otherwise; then the front serves on."""
    postern = start(CONFIG)
    manager.wait_for_states("READY")
    front, family = postern.front, postern.processes()
    if who == "all":
        front.kill(signal.SIGSTOP)
        with knock(postern.socket) as waiting:
            postern.kill()
            manager.start(postern)
            assert waiting.reply().is_accepted
    else:
        postern.supervisor.kill()
        postern.wait()
        assert wrong_answers(postern.ask, LOGINS) == []
        manager.start(postern)
        assert wrong_answers(postern.ask, LOGINS) == []
        for process in family:
            process.wait_gone(15)
    assert control.status(postern.directory)["supervisor"] == postern.pid


def test_a_stop_is_a_stop(manager, start):
    """The store goes with the service: who connects then is refused, and not left to wait."""
    postern = start(CONFIG)
    manager.stop()
    with knock(postern.socket) as waiting:
        manager.drop_store()
        assert waiting.reply().raw == b""
    with pytest.raises(ConnectionRefusedError):
        postern.connect()
    manager.start(postern)
    assert wrong_answers(postern.ask, LOGINS) == []
    eventually(lambda: manager.stored_names() == [str(postern.socket)], "it is stored again")


def test_a_listener_that_a_reload_adds_is_stored_and_one_that_it_drops_is_not_any_more(manager, start):
    postern = start(CONFIG)
    postern.write_config(CONFIG + AND_ANOTHER)
    assert control.reload(postern.directory) == ""
    a, b = postern.sockets["a"], postern.sockets["b"]
    eventually(lambda: manager.stored_names() == [str(a), str(b)], "both are stored")
    before = inode(b)
    manager.stop()
    with knock(b) as waiting:
        manager.start(postern)
        assert waiting.reply().is_accepted
    assert inode(b) == before
    postern.write_config(CONFIG)
    assert control.reload(postern.directory) == ""
    eventually(lambda: manager.stored_names() == [str(a)], "the other one is not stored any more")
    assert not b.exists()


def test_a_stored_socket_has_the_mode_that_the_next_start_is_told(manager, start):
    postern = start(CONFIG)
    manager.stop()
    postern.write_config(CONFIG.replace("0600", "0640"))
    manager.start(postern)
    assert stat.S_IMODE(postern.socket.stat().st_mode) == 0o640


# A socket unit

def test_a_unit_s_socket_serves_the_listener_of_its_path_and_stays_as_it_is(manager, start, daemons):
    postern = daemon.postern_conf(CONFIG + AND_ANOTHER)
    daemons.started.append(postern)
    manager.units = [("postern.socket", listening_socket(postern.socket, 0o620))]
    before = inode(postern.socket)
    with knock(postern.socket) as waiting:
        manager.start(postern)
        assert waiting.reply().is_accepted
    manager.wait_for_states("READY")
    assert manager.stored_names() == [str(postern.sockets["b"])], "the unit keeps its own"
    postern.write_config(CONFIG.replace("0600", "0666"))
    assert control.reload(postern.directory) == ""
    manager.stop()
    with knock(postern.socket) as waiting:
        manager.start(postern)
        assert waiting.reply().is_accepted
    assert (inode(postern.socket), stat.S_IMODE(postern.socket.stat().st_mode)) == (before, 0o620)


def test_a_unit_s_socket_for_no_listener_is_closed_and_named(manager, start, tmp_path):
    path = tmp_path / "stranger"
    manager.units = [("stranger.socket", listening_socket(path))]
    postern = start(CONFIG)
    assert f"(stranger.socket, {path}) is closed: it is for no listener" in postern.output
    assert wrong_answers(postern.ask, LOGINS) == []
    inodes = {f"socket:[{os.fstat(descriptor).st_ino}]" for _, descriptor in manager.units}
    for process in postern.processes():
        assert not inodes & set(process.descriptors.values()), process


def test_a_socket_whose_place_is_taken_serves_nobody_and_ours_takes_the_place(manager, daemons):
    postern = daemon.postern_conf(CONFIG)
    daemons.started.append(postern)
    manager.units = [("postern.socket", listening_socket(postern.socket))]
    postern.socket.unlink()
    os.close(listening_socket(postern.socket))
    manager.start(postern)
    assert f"is closed: nobody gets to {postern.socket}: Connection refused" in postern.output
    assert wrong_answers(postern.ask, LOGINS) == []


# What is said

def test_ready_is_said_when_logins_are_served_and_stopping_when_they_end(manager, start):
    postern = start(CONFIG)
    assert wrong_answers(postern.ask, LOGINS) == []
    manager.wait_for_states("READY")
    assert manager.status() == "logins are served"
    assert ["FDSTORE" in message for message in manager.heard] == [True, False], "stored before ready"
    manager.stop()
    assert manager.states() == ["READY", "STOPPING"]


def test_a_start_that_fails_never_says_ready(manager, start):
    with pytest.raises(AssertionError, match="ended at once"):
        start(CONFIG.replace("type = sasldb", "type = sasldb\nsasldb_path ="))
    assert "READY" not in manager.states()


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_reload_is_said_with_its_time_and_how_it_went(manager, start, is_broken):
    postern = start(CONFIG)
    manager.wait_for_states("READY")
    before = monotonic_microseconds()
    postern.write_config("nonsense" if is_broken else CONFIG)
    os.kill(postern.pid, signal.SIGHUP)
    manager.wait_for_states("READY", "RELOADING", "READY")
    reloading = next(message for message in manager.heard if "RELOADING" in message)
    assert before <= int(reloading["MONOTONIC_USEC"]) <= monotonic_microseconds()
    assert ("the configuration is not changed: " in manager.status()) == is_broken


def monotonic_microseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_the_watchdog_is_fed_while_the_front_answers_and_not_while_it_hangs(manager, start):
    manager.environment = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "PID"}
    postern = start(CONFIG)
    eventually(lambda: manager.fed() > 1, "it is fed")
    front = postern.front
    front.kill(signal.SIGSTOP)
    eventually(lambda: front.state == "T", "the front hangs")
    before = manager.fed()
    eventually(lambda: "the front does not answer, and is killed" in postern.output, "it is missed", 30)
    assert manager.fed() - before <= 1, "for the answer that was on its way"
    so_far = manager.fed()
    eventually(lambda: manager.fed() > so_far, "the next front answers")


# Who shall not know of it

def test_no_role_finds_the_variables_or_what_was_passed(manager, daemons, tmp_path):
    postern = daemon.postern_conf(CONFIG)
    daemons.started.append(postern)
    pipe = os.pipe()
    manager.units = [("postern.socket", listening_socket(postern.socket)), ("pipe", pipe[0]), ("end", pipe[1])]
    manager.environment = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "PID"}
    manager.start(postern)
    eventually(lambda: len(postern.workers("local")) == 5, "all workers are there")
    roles = [postern.front, *postern.workers("local")]
    for role in roles:
        variables = (role.directory / "environ").read_bytes().split(b"\0")
        assert {variable.split(b"=")[0] for variable in variables if variable} <= {b"PATH", b"TZ"}, role
    pipes = {f"pipe:[{os.fstat(end).st_ino}]" for end in pipe}
    for process in postern.processes():
        assert not pipes & set(process.descriptors.values()), process
    listening = f"socket:[{os.fstat(manager.units[0][1]).st_ino}]"
    holders = [process for process in postern.processes() if listening in process.descriptors.values()]
    assert holders == [postern.supervisor, postern.front], "and no worker"


# The wrong things

WRONG = {
    "garbage": {"LISTEN_PID": "PID", "LISTEN_FDS": "three"},
    "negative": {"LISTEN_PID": "PID", "LISTEN_FDS": "-1"},
    "too many": {"LISTEN_PID": "PID", "LISTEN_FDS": "99999999999999999999"},
    "not open": {"LISTEN_PID": "PID", "LISTEN_FDS": "2"},
    "another process": {"LISTEN_PID": "1"},
    "no process": {"LISTEN_PID": "x"},
    "names without end": {"LISTEN_FDNAMES": "a:" * 5000},
    "a watchdog that is none": {"WATCHDOG_USEC": "soon"},
    "nobody listens": {"NOTIFY_SOCKET": "/run/nobody/notify"},
    "nobody listens, abstract": {"NOTIFY_SOCKET": "@nobody-listens-here"},
    "no address": {"NOTIFY_SOCKET": "vsock:2:1234"},
    "too long an address": {"NOTIFY_SOCKET": "/" + "x" * 300},
}


@pytest.mark.parametrize("environment", WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_keeps_no_start_from_serving(manager, start, environment):
    manager.environment = environment
    postern = start(CONFIG)
    assert wrong_answers(postern.ask, LOGINS) == []
    is_silent = environment.get("LISTEN_PID") in ("1", "x") or "LISTEN_FDNAMES" in environment
    assert ("LISTEN_FDS" in postern.output or "WATCHDOG_USEC" in postern.output or
            "the service manager is not told" in postern.output) != is_silent, postern.output


@pytest.mark.parametrize("what", ["file", "pipe", "datagram", "not listening", "connected", "internet"])
def test_a_descriptor_that_is_no_listening_socket_keeps_no_start_from_serving(manager, start, what, tmp_path):
    descriptor = make(what, tmp_path / "passed")
    manager.units = [("wrong", descriptor)]
    postern = start(CONFIG)
    assert wrong_answers(postern.ask, LOGINS) == []
    assert "is closed: it is for no listener" in postern.output


def make(what, path):
    if what == "file":
        return os.open(path, os.O_CREAT | os.O_RDWR)
    if what == "pipe":
        return os.pipe()[0]
    if what == "connected":
        return socket.socketpair()[0].detach()
    if what == "internet":
        listening = socket.create_server(("127.0.0.1", 0))
        return listening.detach()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if what == "datagram" else socket.SOCK_STREAM)
    bound.bind(str(path))
    return bound.detach()


def test_a_thousand_descriptors_are_bounded_and_harm_nobody(manager, daemons):
    postern = daemon.postern_conf(CONFIG)
    daemons.started.append(postern)
    null = os.open("/dev/null", os.O_RDONLY)
    manager.units = [("postern.socket", listening_socket(postern.socket))] + [("null", null)] * 999
    manager.start(postern)
    assert wrong_answers(postern.ask, LOGINS) == []
    assert "LISTEN_FDS says 1000: no more than 256 descriptors are taken" in postern.output
    assert len(postern.supervisor.descriptors) < 64


def test_an_abstract_notify_socket_is_one_too(daemons, sasldb):
    manager = ServiceManager(f"@postern-{os.getpid()}")
    postern = daemon.postern_conf(CONFIG)
    daemons.started.append(postern)
    manager.start(postern)
    manager.wait_for_states("READY")
    manager.restart()
    assert wrong_answers(postern.ask, LOGINS) == []
    manager.close()


def test_a_service_manager_that_does_not_read_keeps_nobody_waiting(manager, start, tmp_path):
    """Its queue is full before the daemon says its first word."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as loud:
        loud.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                loud.sendto(b"STATUS=loud", manager.notify_socket)
        postern = start(CONFIG)
        assert wrong_answers(postern.ask, LOGINS) == []
    manager.wait_for_states("READY")
    assert manager.stored_names() == [str(postern.socket)]
