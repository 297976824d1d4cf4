# SPDX-License-Identifier: BSD-2-Clause
"""posternd and Debian's saslauthd answer alike, byte for byte, but for the rows of docs/differences.md."""

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from support import daemon, differences
from support.conformance import (CASES, EVERY_CASE, HIDDEN, HOST_CASES, LONG, RIGHT, WRONG, Case, complaints, converse,
                                 rows_about, write_accounts, write_host_accounts)
from support.eventually import eventually
from support.host_accounts import PASSWD, SHADOW, HostAccounts
from support.lying_server import LyingServer
from support.sasldb import ALICE, BOB, Sasldb
from support.wire import Reply, counted

ROWS = differences.of_section("On the wire")


@pytest.fixture(scope="module")
def database():
    return write_accounts(Sasldb())


@pytest.fixture(scope="module")
def servers(database):
    """Debian's and ours, by their flags, on one database."""
    started = daemon.Daemons()
    yield {flags: (started.start(daemon.saslauthd(*flags)), started.start(daemon.posternd(*flags)))
           for flags in ((), ("-r",))}
    started.close()


@pytest.fixture
def incumbent(servers):
    return servers[()][0]


@pytest.fixture
def candidate(servers):
    return servers[()][1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_answer_alike(case, servers):
    theirs, ours = (converse(server.socket, case) for server in servers[case.flags])
    assert not complaints(case.name, theirs, ours, ROWS)


# ---- the same with the host's accounts: another place to ask, the same protocol


def rows_of(backend):
    return (differences.of_section("On the wire, pam, shadow and getpwent") +
            differences.of_section(f"On the wire, {backend}"))


@pytest.fixture(scope="module", params=["pam", "shadow", "getpwent"])
def on_host(request):
    """The backend's name, and Debian's server and ours, by their flags, on the same /etc."""
    host, started, backend = HostAccounts(), daemon.Daemons(), request.param
    write_host_accounts(host, with_hash_in_passwd=backend == "getpwent")
    host.ask_files_alone()
    host.write_stack("outage", "auth required pam_debug.so auth=authinfo_unavail\naccount required pam_permit.so\n")
    yield backend, {flags: (started.start(daemon.saslauthd(*flags, backend=backend)),
                            started.start(daemon.posternd(*flags, backend=backend))) for flags in ((), ("-r",))}
    started.close()
    host.put_back()


@pytest.mark.parametrize("case", HOST_CASES, ids=str)
def test_both_answer_alike_about_accounts_of_the_host(case, on_host):
    backend, servers = on_host
    theirs, ours = (converse(server.socket, case) for server in servers[case.flags])
    assert not complaints(case.name, theirs, ours, rows_of(backend))


def test_a_row_about_the_host_that_is_not_needed_is_caught(on_host):
    backend, servers = on_host
    rows = rows_of(backend)
    sent = {case.name: converse(servers[case.flags][0].socket, case) for case in HOST_CASES}
    for row in (row for row in rows if not row.case.startswith("outage-")):
        about = [name for name, reply in sent.items() if row in rows_about(name, reply, rows)]
        assert about, f"no case needs {row}"
        for name in about:
            assert complaints(name, sent[name], sent[name], rows)


def test_an_outage_of_what_the_host_asks_is_not_a_wrong_password(on_host):
    backend, servers = on_host

    def compare(name, user, service="imap"):
        theirs, ours = (server.ask(user, ALICE.password, service) for server in servers[()])
        assert not complaints(name, theirs, ours, rows_of(backend))
        assert ours.is_unavailable

    def compare_without(file, name):
        aside = file.rename(file.with_suffix(".aside"))
        try:
            compare(name, ALICE.user)
        finally:
            aside.rename(file)

    if backend == "pam":
        compare("outage-of-a-module", ALICE.user, "outage")
    if backend == "shadow":
        compare("outage-hidden-by-nis", HIDDEN)
        compare_without(SHADOW, "outage-no-shadow-file")
    if backend == "getpwent":
        compare_without(PASSWD, "outage-no-passwd-file")
    assert all(server.ask(ALICE.user, ALICE.password).is_accepted for server in servers[()])


# ---- outages: the only place where NO may become the empty reply


@pytest.fixture(params=["outage-missing-database", "outage-damaged-database"])
def outage(request, database):
    database.take_away() if request.param == "outage-missing-database" else database.damage()
    yield request.param
    database.put_back()


def test_an_outage_is_not_a_wrong_password(outage, incumbent, candidate, database):
    theirs, ours = (server.ask(ALICE.user, ALICE.password) for server in (incumbent, candidate))
    assert not complaints(outage, theirs, ours, ROWS)
    assert candidate.ask(ALICE.user, "looking-glass").is_unavailable
    assert candidate.ask("nobody", "x").is_unavailable

    database.put_back()
    eventually(lambda: candidate.ask(ALICE.user, ALICE.password).is_accepted, "posternd asks the database again")
    assert str(candidate.ask(ALICE.user, "looking-glass")) == '"NO"'


# ---- the incumbent's defects that are not kept


def test_a_field_with_a_nul_is_refused(incumbent, candidate):
    """saslauthd compares what stands before the NUL, so that one account has any number of names."""
    mallory = Case("", (counted("alice\0mallory") + counted(ALICE.password) + counted("imap") + counted(""),))
    assert converse(incumbent.socket, mallory).is_accepted
    assert str(converse(candidate.socket, mallory)) == '"NO "'
    assert candidate.ask(ALICE.user, ALICE.password).is_accepted


@pytest.mark.parametrize("length", [257, 1024])
def test_a_long_password_is_compared_to_its_last_byte(length, candidate):
    account = LONG[length]
    assert candidate.ask(account.user, account.password).is_accepted
    assert candidate.ask(account.user, account.password[:-1]).is_refused
    assert candidate.ask(account.user, account.password[:-1] + "q").is_refused


def test_a_long_service_does_not_refuse_a_right_password(candidate):
    assert candidate.ask(ALICE.user, ALICE.password, service="s" * 1024).is_accepted
    assert candidate.ask(ALICE.user, "looking-glass", service="s" * 1024).is_refused


def test_the_field_limit_can_be_the_incumbents(database, incumbent, start_postern):
    strict = start_postern("--field-bytes-max", "256")
    for case in (case for case in CASES if case.name.startswith(("long-", "announced-"))):
        assert converse(strict.socket, case) == converse(incumbent.socket, case), case


# ---- what waits, on either side


def test_an_unfinished_request_is_ended_at_the_deadline(database, incumbent, start_postern):
    """saslauthd gives one of its five processes to whoever connects, for as long as he likes."""
    quick = start_postern("--deadline", "1s")
    for start, end in {b"": "none", RIGHT[:1]: '""', RIGHT[:9]: '""', RIGHT[:-1]: '""'}.items():
        with quick.connect() as ours, incumbent.connect() as theirs:
            assert str(ours.send(start).reply(seconds=5)) == end
            assert theirs.send(start).reply(seconds=0.1) == Reply(b"", "open")


# ---- positive controls: a lie is caught

SOME = [case for case in CASES if case.name in ("right", "wrong", "unknown-user", "empty-login", "end-at-once",
                                                "half-closed-right", "split-at-3-wrong")]


def _complaints_about(server, incumbent, rows=()):
    return [complaint for case in SOME
            for complaint in complaints(case.name, converse(incumbent.socket, case), converse(server.socket, case), rows)]


def _when(asked, said):
    return lambda request, reply: said if request == asked else reply


LIES = {
    "a wrong password is accepted": ("wrong", _when(WRONG, counted("OK"))),
    "a right password is refused": ("right", _when(RIGHT, counted("NO"))),
    "a wrong password is an outage": ("wrong", _when(WRONG, counted(""))),
    "a wrong password gets another text": ("wrong", _when(WRONG, counted("NO wrong password"))),
    "a wrong password gets no reply": ("wrong", _when(WRONG, b"")),
    "a right password gets a byte too many": ("right", _when(RIGHT, counted("OK") + b"\0")),
    "a broken request gets a reply": ("end-at-once", _when(b"", counted("NO"))),
}


@pytest.mark.parametrize("about, lie", LIES.values(), ids=LIES)
def test_a_server_that_lies_once_is_caught(about, lie, incumbent, tmp_path):
    with LyingServer(tmp_path / "mux", incumbent.socket, lie) as liar:
        found = _complaints_about(liar, incumbent)
    assert found and any(complaint.startswith(about + ":") for complaint in found)


def test_a_server_that_only_passes_on_is_not_complained_about(incumbent, tmp_path):
    with LyingServer(tmp_path / "mux", incumbent.socket) as honest:
        assert _complaints_about(honest, incumbent) == []


@pytest.mark.parametrize("row", [row for row in ROWS if not row.case.startswith("outage-")], ids=lambda row: row.case)
def test_a_row_that_no_longer_differs_is_caught(row, servers):
    cases = [case for case in CASES if fnmatchcase(case.name, row.case)]
    assert cases, f"no case is called {row.case}"
    for case in cases:
        reply = converse(servers[case.flags][0].socket, case)
        assert complaints(case.name, reply, reply, ROWS)


def test_a_row_cannot_allow_what_it_does_not_say():
    yes, no, outage = Reply(counted("OK"), "eof"), Reply(counted("NO"), "eof"), Reply(b"\0\0", "eof")

    def row(kind, saslauthd='"NO"', postern='"OK"', test="test_it"):
        return [differences.Row("On the wire", "x", saslauthd, postern, "promise 5", kind, test)]

    assert complaints("x", no, yes, row("defect")) == []
    assert complaints("x", no, yes, row("text"))
    assert complaints("x", no, yes, row("defect", test=""))
    assert complaints("x", yes, no, row("defect"))
    assert complaints("x", no, outage, row("outage", postern='""')) == []
    assert complaints("x", no, outage, row("text", postern='""'))
    assert complaints("x", yes, outage, row("outage", '"OK"', '""'))
    assert complaints("x", no, yes, row("defect") + row("defect"))
    assert complaints("x", no, yes, [replace(some, case=EVERY_CASE) for some in row("defect")])
