# SPDX-License-Identifier: BSD-2-Clause
"""A real Postfix, chrooted as Debian ships it, logs users in: 235 right, 535 wrong, 454 while nobody can be asked."""

import pytest

from support import daemon
from support.postfix import RUN_DIRECTORY, Postfix
from support.sasldb import ALICE, BOB

MECHANISMS = ["PLAIN", "LOGIN"]


@pytest.fixture(scope="module")
def postfix():
    running = Postfix().start()
    yield running
    running.stop()


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
