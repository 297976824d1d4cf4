# SPDX-License-Identifier: BSD-2-Clause
"""`postern test` over Dovecot's authentication protocol, with posternd and with Debian's Dovecot behind it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.dovecot import Dovecot
from support.places import POSTERN
from support.sasldb import ALICE, BOB, BY_SASLDB

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
ACCEPTED = (0, '0: OK "Success."\n', "")
REFUSED = (255, '0: NO "authentication failed"\n', "")

LISTENERS = f"""
[listener mux]
socket = DIR/mux

[listener submission]
protocol   = dovecot
socket     = DIR/auth
mode       = 0660
mechanisms = {' '.join(MECHANISMS)}
""" + BY_SASLDB

AUTH_SERVICE = """
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
service auth {
  unix_listener submission {
    mode = 0600
  }
}
"""


def outage(cause):
    return os.EX_TEMPFAIL, f'0: UNAVAILABLE "temporary failure: {cause}"\n', ""


def log_in(*arguments, password=ALICE.password):
    """Exit status, stdout and stderr of `postern test` with that password in a pipe."""
    done = subprocess.run([POSTERN, "test", *arguments], input=password + "\n", capture_output=True, text=True,
                          timeout=60, check=False)
    assert password not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def postern(sasldb, start_postern_conf):
    return start_postern_conf(LISTENERS)


@pytest.fixture
def dovecot():
    with Dovecot([ALICE, BOB], AUTH_SERVICE) as running:
        yield running


@pytest.fixture
def socket(request, server):
    """Of posternd, or of Dovecot's auth service."""
    running = request.getfixturevalue(server)
    return running.sockets["submission"] if server == "postern" else running.directory / "run/submission"


both = pytest.mark.parametrize("server", ["postern", "dovecot"])


@both
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_lets_the_right_password_in_and_no_other(socket, mechanism):
    arguments = ["--dovecot", "--mech", mechanism, "-s", "smtp", "-f", socket, ALICE.user]
    assert log_in(*arguments) == ACCEPTED
    assert log_in(*arguments, password="looking-glass") == REFUSED
    assert log_in(*arguments[:-1], "nobody", password="x") == REFUSED


@both
def test_a_socket_that_greets_needs_no_option(socket):
    assert log_in("-u", ALICE.user, "-f", socket) == ACCEPTED
    assert log_in("-u", ALICE.user, "-f", socket, password="looking-glass") == REFUSED


@both
def test_it_tells_programs_in_json(socket):
    status, output, problem = log_in("--json", "--mech", "SCRAM-SHA-256", "--rip", "192.0.2.7", "--lip", "192.0.2.1",
                                     "--secured", "-R", "2", "-f", socket, ALICE.user)
    assert (status, problem) == (0, "")
    lines = [json.loads(line) for line in output.splitlines()]
    assert all(line.pop("milliseconds") < 15000 for line in lines)
    assert lines == [{"attempt": number, "verdict": "accepted", "socket": str(socket), "protocol": "dovecot",
                      "mechanism": "SCRAM-SHA-256"} for number in range(2)]


@both
def test_a_mechanism_that_is_not_offered_is_named_with_those_that_are(socket):
    status, output, problem = log_in("--mech", "SCRAM-SHA256", "-f", socket, ALICE.user)
    assert (status, output) == (os.EX_USAGE, "")
    assert problem.startswith(f"postern: --mech: {socket} does not offer SCRAM-SHA256, but ")
    assert all(mechanism in problem for mechanism in MECHANISMS)
    assert problem.endswith("; did you mean SCRAM-SHA-256?\n")


def test_the_realm_is_said_with_the_name(postern):
    submission = postern.sockets["submission"]
    assert log_in("-f", submission, "-r", BOB.realm, BOB.user, password=BOB.password) == ACCEPTED
    assert log_in("-f", submission, f"{BOB.user}@{BOB.realm}", password=BOB.password) == ACCEPTED
    assert log_in("-f", submission, "-r", "elsewhere", BOB.user, password=BOB.password) == REFUSED


@pytest.mark.parametrize("reply, cause", [("close", "the daemon closed the connection without an answer"),
                                          ("fail", "the daemon could not ask its backend (code=temp_fail)")])
def test_an_outage_is_no_refusal(sasldb, start_postern_conf, reply, cause):
    postern = start_postern_conf(LISTENERS.replace("mode       = 0660", f"when_unavailable = {reply}"))
    sasldb.take_away()
    assert log_in("-f", postern.sockets["submission"], ALICE.user) == outage(cause)
    sasldb.put_back()
    assert log_in("-f", postern.sockets["submission"], ALICE.user) == ACCEPTED


def test_an_outage_of_dovecots_backend_is_no_refusal():
    program = Path("/run/outage")
    program.write_text("#!/bin/sh\nexit 111\n")  # checkpassword's word for it
    program.chmod(0o755)
    second = f"passdb {{\n  driver = checkpassword\n  args = {program}\n}}\n"
    with Dovecot([ALICE], AUTH_SERVICE + second) as dovecot:
        socket = dovecot.directory / "run/submission"
        assert log_in("-f", socket, "nobody") == outage("the daemon could not ask its backend (code=temp_fail)")
        assert log_in("-f", socket, ALICE.user) == ACCEPTED


def test_a_listener_of_saslauthds_protocol_is_named_with_what_to_leave_out(postern):
    cause = ("the daemon closed the connection without a greeting, as a saslauthd socket does: if it is one, leave out "
             "--dovecot, --mech, --rip, --lip and --secured")
    assert log_in("--dovecot", "-f", postern.sockets["mux"], ALICE.user) == outage(cause)
    assert log_in("-f", postern.sockets["mux"], ALICE.user) == ACCEPTED


def test_debians_saslauthd_is_told_from_a_socket_that_greets(saslauthd):
    assert log_in("--mech", "PLAIN", "-f", saslauthd.socket, ALICE.user)[1].startswith('0: UNAVAILABLE "')
    assert log_in("-f", saslauthd.socket, ALICE.user) == ACCEPTED


def test_dovecots_socket_for_user_lookups_is_named(dovecot):
    status, output, _ = log_in("--dovecot", "-f", dovecot.directory / "run/auth-userdb", ALICE.user)
    assert status == os.EX_TEMPFAIL
    assert "it may be a socket for user lookups (auth-master)" in output


def test_a_server_that_stands_still_is_given_up_in_time(dovecot):
    dovecot.pause()
    for flags in ([], ["--dovecot"]):
        assert log_in(*flags, "-t", "1", "-f", dovecot.directory / "run/submission", ALICE.user) == outage(
            "no answer within 1 s")


def test_without_a_socket_the_daemon_says_where_it_speaks_the_protocol(sasldb, start_postern_conf):
    start_postern_conf("[daemon]\nrun_directory = /run/postern\n" + LISTENERS)
    assert log_in("--dovecot", ALICE.user) == ACCEPTED


def test_without_a_socket_and_a_daemon_it_is_postfixs():
    assert log_in("--dovecot", ALICE.user) == outage(
        "cannot connect to /var/spool/postfix/private/auth: No such file or directory")


def test_the_password_is_not_in_the_log(postern):
    for mechanism in MECHANISMS:
        log_in("--mech", mechanism, "-f", postern.sockets["submission"], ALICE.user)
    log_in("--dovecot", "-f", postern.sockets["mux"], ALICE.user)
    assert ALICE.password not in postern.output
