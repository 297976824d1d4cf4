# SPDX-License-Identifier: BSD-2-Clause
"""The rows of docs/differences.md about processes, files, logs and time: each is seen on both programs."""

import os
import signal
import subprocess
import time

from support import control, daemon
from support.eventually import eventually
from support.places import POSTERND, SASLAUTHD
from support.processes import Process
from support.sasldb import ALICE


def test_a_dead_worker_is_replaced(saslauthd, postern):
    for child in saslauthd.supervisor.children:
        child.kill()
    eventually(lambda: not saslauthd.supervisor.children, "saslauthd's children are gone")
    for _ in range(20):
        assert saslauthd.ask(ALICE.user, ALICE.password).is_accepted
    assert not saslauthd.supervisor.children

    before = eventually(lambda: len(postern.workers()) == 5 and postern.workers(), "five workers")
    for worker in before:
        worker.kill()
    eventually(lambda: len(set(postern.workers()) - set(before)) == 5, "five other workers", 10)
    assert postern.ask(ALICE.user, ALICE.password).is_accepted


def test_silent_clients_harm_nobody(saslauthd, postern):
    def login_beside_silent_clients(server, seconds):
        silent = [server.connect() for _ in range(20)]
        with server.connect() as asking:
            asking.send(daemon.wire.request(ALICE.user, ALICE.password))
            reply = asking.reply(seconds)
        for connection in silent:
            connection.socket.close()
        return reply

    assert login_beside_silent_clients(saslauthd, 1).ending == "open"
    assert login_beside_silent_clients(postern, 15).is_accepted  # who waits for their deadline is told of an outage


def test_a_refusal_waits(sasldb, saslauthd, start_postern):
    """Half an hour, where that is to be seen without a clock; nobody waits until it is over."""
    assert saslauthd.ask(ALICE.user, "looking-glass").is_refused

    postern = start_postern("--deadline", "60m", failure_delay="30m")
    with postern.connect() as wrong:
        wrong.send(daemon.wire.request(ALICE.user, "looking-glass"))
        eventually(lambda: control.status(postern.directory)["delayed"] == 1, "it is refused, and waits")
        assert postern.ask(ALICE.user, ALICE.password).is_accepted
        assert not wrong.has_something()
    postern.kill()  # a clean stop would wait for it, too

    postern = start_postern(failure_delay="1s")
    began = time.monotonic()
    assert postern.ask(ALICE.user, "looking-glass").is_refused
    assert time.monotonic() - began >= 0.9


def test_what_a_user_typed_is_escaped_in_the_log(syslog, saslauthd, postern):
    forged = "x] [reason=none]\nsaslauthd[1]: auth success: [user=root"
    saslauthd.ask(forged, "x")
    assert "\n" in syslog.wait_for("auth failure:").text
    syslog.clear()
    postern.ask(forged, "x")
    line = syslog.wait_for("auth failure:")
    assert "\n" not in line.text and "[user=x\\x5d [reason=none\\x5d\\x0asaslauthd[1\\x5d: auth success: [user=root]" in line.text


def test_an_outage_has_a_line_of_its_own(syslog, saslauthd, postern, sasldb):
    sasldb.take_away()
    saslauthd.ask(ALICE.user, ALICE.password)
    assert syslog.wait_for("auth failure: [user=alice]").severity == "info"
    syslog.clear()
    postern.ask(ALICE.user, ALICE.password)
    assert syslog.wait_for("auth unavailable: [user=alice]").severity == "warning"
    assert not [text for text in syslog.texts() if "auth failure" in text]


def test_a_refusal_in_the_log_differs_in_its_reason_alone(syslog, saslauthd, postern):
    for user, reason in ((ALICE.user, "wrong password"), ("nobody-of-that-name", "unknown user")):
        syslog.clear()
        saslauthd.ask(user, "x")
        theirs = syslog.wait_for("auth failure:")
        syslog.clear()
        postern.ask(user, "x")
        ours = syslog.wait_for("auth failure:")
        assert (ours.facility, ours.severity, ours.ident) == (theirs.facility, theirs.severity, theirs.ident)
        assert "[reason=Unknown]" in theirs.text
        assert ours.text == theirs.text.replace("[reason=Unknown]", f"[reason={reason}]")


def test_there_is_no_accept_lock(sasldb, start_saslauthd, start_postern):
    assert sorted(os.listdir(start_saslauthd(mode="").directory)) == ["mux", "mux.accept", "saslauthd.pid"]
    assert sorted(os.listdir(start_postern(mode="").directory)) == ["control", "mux", "saslauthd.pid"]


def test_a_foreground_daemon_ends_alone(sasldb):
    """saslauthd -d signals its whole process group when it ends: the shell that started it, and its other jobs."""
    def started_beside_a_neighbour(program):
        running = daemon.Daemon(program, ["-a", "sasldb"], "-d", None)
        group = subprocess.Popen(["sh", "-c", '(sleep 1000 & echo $!); exec "$@"', "sh", *running.command],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, text=True)
        group.returncode = 0  # stop() collects it
        running.pid = group.pid
        running.wait_ready()
        return running, Process(int(group.stdout.readline()))

    theirs, neighbour = started_beside_a_neighbour(SASLAUTHD)
    theirs.supervisor.kill(signal.SIGTERM)
    neighbour.wait_gone()
    theirs.stop()

    ours, neighbour = started_beside_a_neighbour(POSTERND)
    ours.stop()
    assert neighbour.is_alive
    neighbour.kill()
