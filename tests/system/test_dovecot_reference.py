# SPDX-License-Identifier: BSD-2-Clause
"""Dovecot's own auth service and posternd, side by side: what one says, the other says, or docs/differences.md has a
row about it."""

import pytest

from support import differences, dovecot_cases
from support.dovecot import Dovecot
from support.dovecot_cases import CASES, complaints, transcript
from support.eventually import eventually
from support.sasldb import BOB, BY_SASLDB, Account

MECHANISMS = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256"
ROWS = differences.of_section("Beside Dovecot's auth service")

AUTH_SERVICE = f"""
auth_mechanisms = {MECHANISMS.lower()}
service auth {{
  client_limit = 1000
}}
"""

POSTERN_CONF = f"""
[listener mux]
socket = DIR/mux

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = {MECHANISMS}
""" + BY_SASLDB


@pytest.fixture(scope="module")
def dovecot():
    with Dovecot([Account(dovecot_cases.USER, BOB.password)], AUTH_SERVICE) as server:
        yield server


@pytest.fixture
def theirs(dovecot):
    """Its socket for programs that want to have a login checked."""
    return dovecot.directory / "run/auth-client"


@pytest.fixture
def ours(sasldb, start_postern_conf):
    return start_postern_conf(POSTERN_CONF).sockets["submission"]


def test_names_of_cases_are_unique_and_every_row_has_its_case():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {row.case for row in ROWS} <= set(names) | {"outage"}


def test_both_say_the_same_but_for_what_is_listed(theirs, ours):
    found = [complaint for case in CASES
             for complaint in complaints(case.name, transcript(theirs, case), transcript(ours, case), ROWS)]
    assert not found, "\n".join(found)


def test_an_outage_is_the_end_and_not_a_wrong_password(dovecot, theirs, ours, sasldb):
    case = next(case for case in CASES if case.name == "plain-right")
    users = dovecot.directory / "users"
    text = users.read_text()
    users.unlink()
    sasldb.take_away()
    try:
        said = eventually(lambda: next((text for text in [transcript(theirs, case)] if "OK" not in text), ""),
                          "Dovecot notices")  # it looks once a second
        assert complaints("outage", said, transcript(ours, case), ROWS) == []
    finally:
        users.write_text(text)
        sasldb.put_back()
    assert transcript(theirs, case) == transcript(ours, case) == f"OK 1 user={dovecot_cases.USER}"


# ---- positive controls

def test_a_row_that_no_longer_differs_is_caught(theirs):
    for case in CASES:
        if any(row.case == case.name for row in ROWS):
            said = transcript(theirs, case)
            assert complaints(case.name, said, said, ROWS), case


def test_a_difference_without_a_row_is_caught():
    assert complaints("plain-wrong", f"FAIL 1 user={dovecot_cases.USER}", f"OK 1 user={dovecot_cases.USER}", [])
    assert complaints("plain-wrong", "FAIL 1", "FAIL 1", []) == []
