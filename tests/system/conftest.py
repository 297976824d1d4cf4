# SPDX-License-Identifier: BSD-2-Clause
"""What every system test may ask for. Started by tests/run, inside tests/system/namespace.

    sasldb              /etc/sasldb2 with ALICE (host's realm) and BOB (example.org), written by Debian's saslpasswd2
    postern             posternd -a sasldb -n 5 -f in a new run directory, stopped and checked at the end
    saslauthd           Debian's, the same interface
    start_postern       starts one more, or one with other arguments: start_postern("-r", mode="", workers=2)
    start_postern_conf  starts one with a postern.conf: start_postern_conf(text, *flags, mode="-f")
    start_saslauthd     the same as start_postern for Debian's
    postfix             a real one, chrooted as in Debian's instructions (`adduser postfix sasl`), for one module
    syslog              rsyslogd on /dev/log; empty at the start of the test
"""

import os

import pytest

from support import daemon, refused_calls
from support.places import POSTERND
from support.postfix import Postfix
from support.processes import become_subreaper
from support.sasldb import ALICE, BOB, Sasldb
from support.syslog import Syslog

pytest_plugins = ["support.no_skips"]


def pytest_configure():
    if os.environ.get("POSTERN_NAMESPACE") != "1":
        pytest.exit("the system tests write /etc and /var: run them with tests/run system", 4)
    if not POSTERND.exists():
        pytest.exit(f"there is no {POSTERND}: cmake --preset system && cmake --build --preset system", 4)
    become_subreaper()


@pytest.fixture
def sasldb():
    return Sasldb().add(ALICE).add(BOB)


@pytest.fixture
def daemons():
    started = daemon.Daemons()
    yield started
    started.close()


@pytest.fixture
def start_postern(daemons):
    """start_postern(*flags, mode="-f", backend="sasldb", workers=5, failure_delay="0", program=…, directory=…,
    descriptors_max=…)"""
    return lambda *flags, **kind: daemons.start(daemon.posternd(*flags, **kind))


@pytest.fixture
def start_postern_conf(daemons):
    """start_postern_conf(text, *flags, mode="-f", program=…, directory=…); DIR in the text is its directory"""
    return lambda text, *flags, **kind: daemons.start(daemon.postern_conf(text, *flags, **kind))


@pytest.fixture
def start_saslauthd(daemons):
    """start_saslauthd(*flags, mode="", backend="sasldb", workers=5, directory=…)"""
    return lambda *flags, **kind: daemons.start(daemon.saslauthd(*flags, **kind))


@pytest.fixture
def postern(sasldb, start_postern):
    return start_postern()


@pytest.fixture
def saslauthd(sasldb, start_saslauthd):
    return start_saslauthd()


@pytest.fixture(scope="module")
def postfix():
    running = Postfix().start()
    yield running
    running.stop()


@pytest.fixture(scope="session", autouse=True)
def rsyslogd():
    """Runs all the time: a front that makes a system call it has no right to is a defect, whatever test saw it."""
    running = Syslog().start()
    yield running
    running.stop()
    assert refused_calls.unexpected(running.refused_calls()) == []


@pytest.fixture
def syslog(rsyslogd):
    rsyslogd.resume()
    rsyslogd.clear()
    yield rsyslogd
    rsyslogd.resume()
    print("--- syslog:", *rsyslogd.lines(), sep="\n")
