# SPDX-License-Identifier: BSD-2-Clause
"""What shows only in great numbers: one wrong verdict among many, a login that is lost, some bytes that are not freed.

The logins of the first part go on while passwords change, processes are killed and the configuration is read again;
what is checked afterwards says support/endurance.py.
"""

import pytest

from support import control, endurance
from support.aborted import abort_logins
from support.endurance import (ACCEPTED, CUT, FRONT, GARBLED, LOST, REFUSED, UNAVAILABLE, WORKER, Attempt, Change,
                               Events, History, Kill, Span, endure, password, problems)
from support.eventually import eventually
from support.load import Expected, right_and_wrong, wrong_answers
from support.memory import resident_bytes
from support.planted import plant, plant_in_daemon
from support.sasldb import ALICE, BOB


@pytest.fixture
def start_with_accounts(sasldb, start_postern_conf):
    endurance.fill(sasldb)
    return lambda **kind: start_postern_conf(endurance.POSTERN_CONF, **kind)


# no login is lost, and none has a wrong verdict

SHORT = {"count": 15_000, "at_least": {"changes": 200, "reloads": 5, "fronts": 4, "workers": 8}}
LONG = {"count": 200_000, "at_least": {"changes": 2000, "reloads": 50, "fronts": 40, "workers": 80}}


@pytest.mark.parametrize("size", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_changed_passwords_reloads_and_kills_make_no_verdict_wrong_and_lose_no_login(size, start_with_accounts, sasldb):
    postern = start_with_accounts()
    eventually(lambda: len(postern.workers("local")) == 3, "all workers are there")
    descriptors = len(postern.supervisor.descriptors)
    events = endure(postern, sasldb, **size)
    print(events.summary())
    assert problems(events) == []
    assert_says_something(events, size["count"])
    last = [Expected(f"user{account}", changes[-1].password, endurance.REALM, True)
            for account, changes in History(events.changes).changes.items() if changes]
    assert wrong_answers(postern.ask, last) == []
    eventually(lambda: len(postern.fronts) == 1, "the old fronts have ended")
    eventually(lambda: len(postern.supervisor.descriptors) <= descriptors, "nothing is left of them")


def assert_says_something(events, count):
    """Or the test above shows nothing."""
    assert events.count(ACCEPTED, REFUSED) >= count
    assert events.count(REFUSED) >= count // 4
    assert events.hits > count // 1000
    history = History(events.changes)
    certain = [attempt for attempt in events.attempts if len(history.valid(attempt.account, attempt.span)) == 1]
    assert len(certain) > len(events.attempts) // 2
    print(f"{len(certain)} of {len(events.attempts)} attempts while nothing changed, {events.hits} hits")
    assert [attempt for attempt in certain if attempt.outcome == REFUSED and was_right_before(attempt, history)]


def was_right_before(attempt, history):
    return attempt.password in history.valid(attempt.account, Span(0, attempt.span.began))


FAULTS = {
    "swaps two answers": ("daemon/authenticator.cpp", "void Authenticator::leave(Login& login)\n{\n", """
void Authenticator::leave(Login& login)
{
    static int together = 0;
    if (!delayed_.empty() && !login.on_challenge && ++together % 5 == 0)
        std::swap(login.verdict, (*delayed_.begin())->verdict);
"""),
    "remembers too long": ("daemon/login_cache.cpp", "clock_.now() >= entry->ends || entry->changes != changes",
                           "clock_.now() >= entry->ends"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_build_with_a_fault_is_caught(fault, start_with_accounts, sasldb, tmp_path):
    postern = start_with_accounts(program=plant_in_daemon(tmp_path, *FAULTS[fault]))
    events = endure(postern, sasldb, 3000, {"changes": 50, "reloads": 1, "fronts": 0, "workers": 0})
    found = problems(events)
    assert [problem for problem in found if problem.startswith("wrong verdict:")] == found != []


def span(began, ended):
    return Span(float(began), float(ended))


OLD, NEW = password(7, 0), password(7, 1)
CHANGE = Change(7, NEW, span(10, 20))


@pytest.mark.parametrize("secret, when, outcome, is_fine", [
    (OLD, span(1, 2), ACCEPTED, True),
    (OLD, span(1, 2), REFUSED, False),
    (NEW, span(1, 9), ACCEPTED, False),
    (NEW, span(1, 9), REFUSED, True),
    *((secret, when, outcome, True) for secret in (OLD, NEW) for outcome in (ACCEPTED, REFUSED)
      for when in (span(1, 11), span(11, 12), span(19, 30), span(1, 30))),
    ("looking-glass", span(11, 12), ACCEPTED, False),
    ("looking-glass", span(11, 12), REFUSED, True),
    (OLD, span(21, 22), ACCEPTED, False),
    (NEW, span(21, 22), REFUSED, False),
    (OLD, span(21, 22), REFUSED, True),
    (NEW, span(21, 22), ACCEPTED, True),
])
def test_the_judge_knows_which_passwords_counted_when(secret, when, outcome, is_fine):
    events = Events([Attempt("saslauthd", 7, secret, when, outcome)], [Change(8, "another", span(1, 30)), CHANGE])
    assert (problems(events) == []) == is_fine


@pytest.mark.parametrize("protocol, outcome, killed, is_fine", [
    ("saslauthd", CUT, [], False),
    ("saslauthd", CUT, [Kill(FRONT, span(12, 13))], True),
    ("saslauthd", CUT, [Kill(FRONT, span(1, 9)), Kill(FRONT, span(16, 17))], False),
    ("saslauthd", CUT, [Kill(WORKER, span(12, 13))], False),
    ("PLAIN", CUT, [Kill(WORKER, span(12, 13))], True),
    ("PLAIN", CUT, [], False),
    ("saslauthd", UNAVAILABLE, [Kill(WORKER, span(12, 16))], True),
    ("saslauthd", UNAVAILABLE, [Kill(FRONT, span(12, 13))], False),
    ("saslauthd", UNAVAILABLE, [], False),
    ("saslauthd", LOST, [Kill(FRONT, span(12, 13)), Kill(WORKER, span(12, 13))], False),
    ("saslauthd", GARBLED, [Kill(FRONT, span(12, 13)), Kill(WORKER, span(12, 13))], False),
])
def test_the_judge_takes_no_end_without_its_cause(protocol, outcome, killed, is_fine):
    events = Events([Attempt(protocol, 7, OLD, span(10, 15), outcome)], kills=killed)
    assert (problems(events) == []) == is_fine


def test_the_judge_takes_one_outage_from_each_kill_of_a_worker():
    outage = Attempt("saslauthd", 7, OLD, span(10, 15), UNAVAILABLE)
    assert problems(Events([outage] * 2, kills=[Kill(WORKER, span(12, 13))] * 2)) == []
    assert problems(Events([outage] * 3, kills=[Kill(WORKER, span(12, 13))] * 2)) != []


def test_the_judge_takes_no_reload_without_an_end():
    assert problems(Events(reloads=[(span(10, 15), "")])) == []
    assert problems(Events(reloads=[(span(10, 15), "no answer")])) != []
    assert problems(Events(reloads=[(span(10, 15), "no answer")], kills=[Kill(FRONT, span(12, 13))])) == []


# requests that are given up

ABORTING_CONF = """
[cache]

[listener mux]
socket = DIR/mux

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256

[backend local]
type = sasldb
workers = 2
workers_max = 2
worker_requests_max = 1000000000

[route]
default = local
failure_delay = 0
"""

WARM_UP = 50_000
BYTES_MAX = 2_000_000


def bytes_grown(postern, count):
    """By how much all its processes together, while so many requests are given up. No process is replaced meanwhile."""
    eventually(lambda: len(postern.workers("local")) == 2, "both workers are there")
    abort(postern, WARM_UP)
    before = {process: resident_bytes(process) for process in postern.processes()}
    abort(postern, count)
    after = {process: resident_bytes(process) for process in postern.processes()}
    assert set(after) == set(before)
    print({process.command_line: size - before[process] for process, size in after.items()})
    return sum(after.values()) - sum(before.values())


def abort(postern, count):
    abort_logins(postern.sockets["mux"], postern.sockets["submission"], count)
    eventually(lambda: control.status(postern.directory)["sessions"] == 0, "all sessions have ended")


@pytest.mark.parametrize("count", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_requests_that_are_given_up_take_no_memory_along(count, sasldb, start_postern_conf):
    """Row 47 of the faults."""
    postern = start_postern_conf(ABORTING_CONF)
    assert abs(bytes_grown(postern, count)) <= BYTES_MAX
    assert wrong_answers(postern.ask, right_and_wrong(ALICE) + right_and_wrong(BOB)) == []


def leaking(size, code):
    return f"static char* volatile leaked = nullptr; leaked = new char[{size}]; static_cast<void>(leaked); {code}"


@pytest.mark.parametrize("plant_leak", [
    lambda directory: plant_in_daemon(directory, "daemon/listener_sessions.cpp", "sessions_.erase(session);",
                                      leaking(100, "sessions_.erase(session);")),
    lambda directory: plant(directory, "sasldb", "backends/sasldb.cpp", "std::string host;\n        return reader_",
                            leaking(500, "std::string host;\n        return reader_")),
], ids=["a session", "a worker"])
def test_a_build_that_leaks_some_bytes_of_each_request_is_caught(plant_leak, sasldb, start_postern_conf, tmp_path):
    postern = start_postern_conf(ABORTING_CONF, program=plant_leak(tmp_path))
    assert bytes_grown(postern, 50_000) > BYTES_MAX
