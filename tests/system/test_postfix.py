# SPDX-License-Identifier: BSD-2-Clause
"""A real Postfix, chrooted as Debian ships it, logs users in: 235 right, 535 wrong, 454 while nobody can be asked."""

import os
import subprocess
from pathlib import Path

import pytest

from support import control, daemon
from support.host_accounts import SHADOW, HostAccounts
from support.places import TESTSASLAUTHD
from support.postfix import RUN_DIRECTORY, SMTP, SUBMISSION, SUBMISSION_SOCKET, Sent
from support.sasldb import ALICE, BOB, Account, passwd

MECHANISMS = ["PLAIN", "LOGIN"]


@pytest.fixture
def behind_postfix(sasldb, daemons, postfix, syslog):
    """posternd where an admin would start it: its socket inside of the chroot."""
    return daemons.start(daemon.posternd(mode="", directory=RUN_DIRECTORY))


@pytest.fixture
def saslauthd_behind_postfix(sasldb, daemons, postfix, syslog):
    return daemons.start(daemon.saslauthd(directory=RUN_DIRECTORY))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_login_is_accepted_or_refused(mechanism, postfix, behind_postfix):
    assert postfix.log_in(ALICE.user, ALICE.password, mechanism).code == 235
    assert postfix.log_in(ALICE.user, "looking-glass", mechanism).code == 535
    assert postfix.log_in("nobody", "looking-glass", mechanism).code == 535
    assert postfix.log_in(ALICE.user, ALICE.password, mechanism).code == 235
    assert postfix.smtpd_roots == {"/var/spool/postfix"}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_msmtp_sends_for_those_who_may(mechanism, postfix, behind_postfix, sasldb):
    """Its exit status is EX_NOPERM for any login that fails: what it says tells a refusal from an outage."""
    assert postfix.send(ALICE.user, ALICE.password, mechanism) == Sent(0, None)
    assert postfix.send(ALICE.user, "looking-glass", mechanism) == Sent(os.EX_NOPERM, 535)
    sasldb.take_away()
    assert postfix.send(ALICE.user, ALICE.password, mechanism) == Sent(os.EX_NOPERM, 454)
    sasldb.put_back()
    assert postfix.send(ALICE.user, ALICE.password, mechanism) == Sent(0, None)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_hashed_password_serves_postfix(mechanism, postfix, behind_postfix, sasldb):
    passwd(sasldb, ALICE.user, "changed", "--argon2")
    assert postfix.log_in(ALICE.user, "changed", mechanism).code == 235
    assert postfix.log_in(ALICE.user, ALICE.password, mechanism).code == 535


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_user_and_realm_arrive_apart(mechanism, postfix, behind_postfix, syslog):
    address = f"{BOB.user}@{BOB.realm}"
    assert postfix.log_in(address, BOB.password, mechanism).code == 235
    assert postfix.log_in(address, "x", mechanism).code == 535
    line = syslog.wait_for("auth failure:")
    assert "auth failure: [user=bob] [service=smtp] [realm=example.org] [mech=sasldb] [reason=" in line.text
    assert (line.facility, line.severity, line.ident) == ("auth", "info", "saslauthd")


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("outage", ["take_away", "damage"])
def test_an_outage_is_temporary(mechanism, outage, postfix, behind_postfix, sasldb, syslog):
    assert postfix.log_in(ALICE.user, ALICE.password, mechanism).code == 235

    getattr(sasldb, outage)()
    assert postfix.log_in(ALICE.user, ALICE.password, mechanism).code == 454
    assert postfix.log_in("nobody", "looking-glass", mechanism).code == 454
    line = syslog.wait_for("auth unavailable: [user=alice] [service=smtp] [realm=] [mech=sasldb] [reason=")
    assert line.severity == "warning"

    sasldb.put_back()
    assert postfix.log_in(ALICE.user, ALICE.password, mechanism).code == 235
    assert postfix.log_in(ALICE.user, "looking-glass", mechanism).code == 535


def test_a_stopped_daemon_is_temporary_too(postfix, behind_postfix):
    behind_postfix.stop()
    assert postfix.log_in(ALICE.user, ALICE.password).code == 454
    behind_postfix.start()
    assert postfix.log_in(ALICE.user, ALICE.password).code == 235


def test_no_password_is_in_a_log(postfix, behind_postfix, syslog):
    postfix.log_in(ALICE.user, ALICE.password)
    postfix.log_in(ALICE.user, "looking-glass")
    syslog.wait_for("auth failure:")
    said = [*(line.text for line in syslog.lines()), postfix.log]
    assert [text for text in said if ALICE.user in text]
    assert not [text for text in said if ALICE.password in text or "looking-glass" in text]


# ---- several sockets, one daemon


BOTH_SOCKETS = f"""
[listener relay]
socket = {RUN_DIRECTORY}/mux

[listener submission]
socket = {SUBMISSION_SOCKET}
route  = submission

[backend local]
type = sasldb

[backend staff]
type = shadow

[route]
default = local

[route submission]
default = staff
"""


@pytest.fixture
def walter():
    """A user of the host, and of no password database. From here on files alone say who there is."""
    accounts = HostAccounts()
    accounts.ask_files_alone()
    accounts.add_with_tools("walter", "walrus")
    yield Account("walter", "walrus")
    accounts.put_back()


def codes(postfix, account, port):
    """Of a right and of a wrong password."""
    return [postfix.log_in(account.user, password, port=port).code for password in (account.password, "looking-glass")]


def test_two_services_ask_two_backends_of_one_daemon(postfix, sasldb, walter, start_postern_conf, syslog):
    daemon = start_postern_conf(BOTH_SOCKETS, mode="")
    assert len(daemon.fronts) == 1
    assert codes(postfix, ALICE, SMTP) == codes(postfix, walter, SUBMISSION) == [235, 535]
    assert codes(postfix, walter, SMTP) == codes(postfix, ALICE, SUBMISSION) == [535, 535]
    assert postfix.smtpd_roots == {"/var/spool/postfix"}

    sasldb.take_away()
    assert codes(postfix, ALICE, SMTP) == codes(postfix, walter, SMTP) == [454, 454]
    assert codes(postfix, walter, SUBMISSION) == [235, 535]
    sasldb.put_back()

    aside = SHADOW.rename("/etc/shadow-aside")
    try:
        assert codes(postfix, walter, SUBMISSION) == [454, 454]
        assert codes(postfix, ALICE, SMTP) == [235, 535]
    finally:
        aside.rename(SHADOW)
    assert codes(postfix, ALICE, SMTP) == codes(postfix, walter, SUBMISSION) == [235, 535]


CHROOT_AND_HOST = f"""
[listener chroot]
socket = {RUN_DIRECTORY}/mux

[listener host]
socket = /run/saslauthd/mux
mode   = 0777

[backend local]
type = sasldb

[route]
default = local
"""


def test_one_daemon_serves_the_chroot_and_the_host(postfix, sasldb, start_postern_conf, syslog):
    """Debian's testsaslauthd asks where it always does."""
    daemon = start_postern_conf(CHROOT_AND_HOST, mode="")

    def test_on_host(password):
        done = subprocess.run([TESTSASLAUTHD, "-u", ALICE.user, "-p", password], capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout

    for _ in range(2):
        assert codes(postfix, ALICE, SMTP) == [235, 535]
        assert test_on_host(ALICE.password) == (0, '0: OK "Success."\n')
        assert test_on_host("looking-glass") == (255, '0: NO "authentication failed"\n')
    assert sum(control.backend_status(daemon.directory, "local")["decisions"].values()) == 8
    daemon.stop()
    assert not list(RUN_DIRECTORY.glob("mux")) + list(Path("/run/saslauthd").glob("mux"))
    assert codes(postfix, ALICE, SMTP) == [454, 454]
    assert test_on_host(ALICE.password)[0] == 255


# ---- control: the same set-up with Debian's saslauthd; the outage shows that the tests above see a difference


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_saslauthd_in_the_same_place(mechanism, postfix, saslauthd_behind_postfix, sasldb, syslog):
    address = f"{BOB.user}@{BOB.realm}"
    assert postfix.log_in(address, BOB.password, mechanism).code == 235
    assert postfix.log_in(address, "x", mechanism).code == 535
    assert syslog.wait_for("auth failure:").text == (
        " " * 16 + ": auth failure: [user=bob] [service=smtp] [realm=example.org] [mech=sasldb] [reason=Unknown]")

    sasldb.take_away()
    assert postfix.log_in(address, BOB.password, mechanism).code == 535
    sasldb.put_back()
    assert postfix.log_in(address, BOB.password, mechanism).code == 235
