# SPDX-License-Identifier: BSD-2-Clause
"""Users whose passwords a remote IMAP server knows: a real Dovecot, behind a network that breaks on order."""

import base64
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import control, daemon, differences, wire
from support.conformance import SERVER_CASES, accounts_of_a_server, complaints, converse, rows_about
from support.dovecot import Dovecot
from support.eventually import eventually
from support.places import POSTERN, SASLAUTHD
from support.planted import plant
from support.postfix import RUN_DIRECTORY, Postfix
from support.proxy import Proxy
from support.sasldb import ALICE, Account

BERTA = Account("berta", 'a "quoted" back\\slash 8 € #!')
GREETING_END = b"ready.\r\n"


@pytest.fixture(scope="module")
def dovecot():
    with Dovecot([ALICE, BERTA]) as running:
        yield running


@pytest.fixture
def proxy(dovecot):
    with Proxy(dovecot.port) as between:
        yield between


@pytest.fixture
def start_rimap(start_postern):
    """start_rimap(port, *flags): with one worker that asks at that port of localhost."""
    return lambda port, *flags, **kind: start_postern("--rimap-host", f"localhost/{port}", *flags,
                                                      **{"backend": "rimap", "workers": 1, **kind})


def answers(server):
    """Of the right, a wrong, and a stranger's password."""
    return [server.ask(ALICE.user, ALICE.password), server.ask(BERTA.user, BERTA.password),
            server.ask(ALICE.user, "looking-glass"), server.ask("nobody-there", ALICE.password)]


def lines_of(connection):
    """What the server was told, without the tags."""
    return [line.partition(b" ")[2] for line in connection.to_server.split(b"\r\n") if line]


def sent_to_a_plain_server(proxy):
    """Everything that was said to the server on any connection."""
    return b"".join(connection.to_server for connection in proxy.connections)


# beside Debian's saslauthd


ROWS = differences.of_section("On the wire, rimap")


@pytest.fixture(scope="module")
def on_dovecot():
    """Debian's server and ours, by their flags, on one Dovecot."""
    started = daemon.Daemons()
    with Dovecot(accounts_of_a_server()) as dovecot:
        at = ("-O", f"127.0.0.1/{dovecot.port}")
        yield {flags: tuple(started.start(program(*at, *flags, backend="rimap"))
                            for program in (daemon.saslauthd, daemon.posternd)) for flags in ((), ("-r",))}
        started.close()


@pytest.mark.parametrize("case", SERVER_CASES, ids=str)
def test_both_answer_alike_about_users_of_a_server(case, on_dovecot):
    theirs, ours = (converse(server.socket, case) for server in on_dovecot[case.flags])
    assert not complaints(case.name, theirs, ours, ROWS)


def test_a_row_about_rimap_that_is_not_needed_is_caught(on_dovecot):
    sent = {case.name: converse(on_dovecot[case.flags][0].socket, case) for case in SERVER_CASES}
    for row in ROWS:
        about = [name for name, reply in sent.items() if row in rows_about(name, reply, ROWS)]
        assert about, f"no case needs {row}"
        for name in about:
            assert complaints(name, sent[name], sent[name], ROWS)


def test_both_answer_alike(dovecot, start_postern, start_saslauthd):
    at = ("-O", f"127.0.0.1/{dovecot.port}")
    theirs, ours = (start(*at, backend="rimap") for start in (start_saslauthd, start_postern))
    assert [reply.raw for reply in answers(ours)] == [reply.raw for reply in answers(theirs)]
    assert [reply.text for reply in answers(ours)] == [
        "OK remote authentication successful", "OK remote authentication successful",
        "NO remote server rejected your credentials", "NO remote server rejected your credentials"]


def test_a_line_break_in_a_password_is_no_command(dovecot, proxy, start_rimap, start_saslauthd):
    """What saslauthd sends lets the server see a command of the user's own."""
    injected = f"x\r\nsaslauthd LOGIN {ALICE.user} {ALICE.password}\r\n"
    theirs = start_saslauthd("-O", f"127.0.0.1/{proxy.port}", backend="rimap")
    before = len(dovecot.logins)
    theirs.ask("mallory", injected)
    eventually(lambda: len(dovecot.logins) > before, "saslauthd's server lets somebody in")
    theirs.stop()

    before = dovecot.logins
    ours = start_rimap(proxy.port)
    for user, password in (("mallory", injected), ("mallory\r\nx LOGIN alice x", "x"), ("mallory", "x\r\n"),
                           (ALICE.user, f"{ALICE.password}\r\n"), (ALICE.user, f"\r\n{ALICE.password}")):
        assert ours.ask(user, password).is_refused
        assert commands_of(proxy, user, password) == ["AUTHENTICATE", "LOGOUT"]
    assert ours.ask(BERTA.user, BERTA.password).is_accepted
    assert logins_up_to(BERTA, dovecot, before) == [BERTA.user]


def logins_up_to(account, dovecot, before):
    """Who was let in behind those of `before`: Dovecot writes its log when it likes, but that login will be there."""
    return eventually(lambda: account.user in dovecot.logins[len(before):] and dovecot.logins[len(before):],
                      "Dovecot tells of the last login")


def commands_of(proxy, user, password):
    """The commands on the connection on which that user logged in; that it was with that password is checked."""
    response = base64.b64encode(f"\0{user}\0{password}".encode())
    used = eventually(lambda: [connection for connection in proxy.connections if response in connection.to_server
                               and b"LOGOUT" in connection.to_server], "the server was asked, and told of the end")
    return [line.split()[0].decode() for line in lines_of(used[-1])]


def test_a_server_that_knows_LOGIN_alone_sees_one_command_too(dovecot, proxy, start_rimap):
    """The real greeting becomes the text behind one that offers nothing."""
    proxy.to_client.inject_at(0, b"* OK [CAPABILITY IMAP4rev1] ")
    server = start_rimap(proxy.port)
    before = dovecot.logins
    assert server.ask(ALICE.user, ALICE.password).is_accepted
    assert server.ask(ALICE.user, "looking-glass").is_refused
    assert server.ask(ALICE.user, f"x\r\na LOGIN {ALICE.user} {ALICE.password}\r\n").is_refused
    assert server.ask(f"{ALICE.user}\r\n", "x").is_refused
    assert server.ask(BERTA.user, BERTA.password).is_accepted
    assert logins_up_to(BERTA, dovecot, before) == [ALICE.user, BERTA.user]
    told = sent_to_a_plain_server(proxy)
    assert b'LOGIN "alice" "' in told and b"LOGIN {5}\r\n" in told and b"AUTHENTICATE" not in told


# TLS


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_passwords_travel_under_tls(dovecot, start_postern_conf, tls):
    with Proxy(dovecot.tls_port if tls == "implicit" else dovecot.port) as proxy:
        server = start_postern_conf(f"""
[listener mux]
socket = DIR/mux

[backend mail]
type          = rimap
workers       = 1
rimap_host    = localhost/{proxy.port}
rimap_tls     = {tls}
rimap_ca_file = {dovecot.ca_file}

[route]
default = mail
failure_delay = 0
""")
        assert [reply.is_accepted for reply in answers(server)] == [True, True, False, False]
        told = sent_to_a_plain_server(proxy)
        assert b"\x16\x03" in told and b"AUTHENTICATE" not in told and b"LOGIN" not in told
        assert (b"STARTTLS" in told) == (tls == "starttls")


@pytest.mark.parametrize("problem", ["a stranger's certificate", "another name"])
def test_a_server_that_cannot_prove_who_it_is_gets_no_password(dovecot, start_postern, syslog, problem):
    trust = ["--rimap-ca-file", str(dovecot.ca_file)] if problem == "another name" else []
    host = "127.0.0.1" if problem == "another name" else "localhost"
    server = start_postern("--rimap-host", f"{host}/{dovecot.tls_port}", "--rimap-tls", "implicit", *trust,
                           backend="rimap", workers=1)
    assert server.ask(ALICE.user, ALICE.password).is_unavailable
    assert "the certificate was refused" in syslog.wait_for("auth unavailable:").text


def test_what_is_said_before_tls_is_no_answer(dovecot, proxy, start_rimap):
    """An attacker on the way puts the answers to later commands in front of the handshake."""
    proxy.to_client.inject_at(b"Begin TLS negotiation now.\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nx OK\r\n")
    server = start_rimap(proxy.port, "--rimap-tls", "starttls", "--rimap-ca-file", str(dovecot.ca_file))
    assert server.ask(ALICE.user, ALICE.password).is_unavailable
    told = sent_to_a_plain_server(proxy)
    assert b"STARTTLS" in told and b"AUTHENTICATE" not in told
    assert base64.b64encode(f"\0{ALICE.user}\0{ALICE.password}".encode()) not in told


def test_without_starttls_nothing_is_sent_where_it_is_required(start_rimap, dovecot):
    with Dovecot([ALICE], "ssl = no") as plain, Proxy(plain.port) as proxy:
        server = start_rimap(proxy.port, "--rimap-tls", "starttls", "--rimap-ca-file", str(dovecot.ca_file))
        assert server.ask(ALICE.user, ALICE.password).is_unavailable
        told = sent_to_a_plain_server(proxy)
        assert b"STARTTLS" in told and b"AUTHENTICATE" not in told and b"LOGIN" not in told
        assert start_rimap(proxy.port).ask(ALICE.user, ALICE.password).is_accepted, "the control"


# a server that lies, breaks or hangs


@pytest.mark.parametrize("said", [
    b"x" * 1_000_000, b"* " + b"y" * 1_000_000, bytes(range(256)) * 20, b"\0" * 100, b"\r\n", b"* BYE\r\n",
    b"* PREAUTH\r\n", b"220 mail ESMTP\r\n", b"a1 OK\r\n", b"+ \r\n", b"* NO\r\n",
], ids=lambda said: repr(said[:16]))
def test_a_greeting_that_is_none_is_an_outage(proxy, start_rimap, said):
    proxy.to_client.inject_at(0, said)
    assert start_rimap(proxy.port).ask(ALICE.user, ALICE.password).is_unavailable


@pytest.mark.parametrize("said", [
    b"a1 OK\r\n", b"A01 OKAY\r\n", b"saslauthd OK\r\n", b"OK\r\n", b"+ go on\r\n", b"* BYE\r\n", b"* BAD\r\n",
    b"* ID {5}\r\n",
], ids=repr)
def test_nobody_is_let_in_by_words_that_are_no_answer(proxy, start_rimap, said):
    proxy.to_client.inject_at(GREETING_END, said)
    server = start_rimap(proxy.port)
    assert server.ask(ALICE.user, "looking-glass").is_unavailable
    assert server.ask(ALICE.user, ALICE.password).is_unavailable


def test_untagged_lines_are_skipped(proxy, start_rimap):
    proxy.to_client.inject_at(GREETING_END, b"* OK [ALERT] really\r\n* 5 EXISTS\r\n* NO " + b"x" * 20_000 + b"\r\n")
    server = start_rimap(proxy.port)
    assert server.ask(ALICE.user, ALICE.password).is_accepted
    assert server.ask(ALICE.user, "looking-glass").is_refused


@pytest.mark.parametrize("point", [0, 3, GREETING_END], ids=repr)
@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_ends_is_an_outage(proxy, start_rimap, point, reset):
    proxy.to_client.cut_at(point, reset)
    assert start_rimap(proxy.port).ask(ALICE.user, ALICE.password).is_unavailable


@pytest.mark.parametrize("point", [b"] Log", b"] Logged in", b"] Logged in\r"], ids=repr)
def test_half_an_answer_is_an_outage(proxy, start_rimap, start_saslauthd, point):
    """And no wrong password, as which saslauthd tells it."""
    proxy.to_client.cut_at(point)
    theirs = start_saslauthd("-O", f"127.0.0.1/{proxy.port}", backend="rimap").ask(ALICE.user, ALICE.password)
    assert theirs.text.startswith("NO [ALERT] ")
    server = start_rimap(proxy.port)
    assert server.ask(ALICE.user, ALICE.password).is_unavailable
    proxy.to_client.forget_orders()
    eventually(lambda: server.ask(ALICE.user, ALICE.password).is_accepted, "the control")


def test_a_silent_server_is_an_outage_and_no_trouble_of_others(proxy, start_postern_conf, sasldb):
    server = start_postern_conf(f"""
[listener mux]
socket = DIR/mux
deadline = 4s

[listener local]
socket = DIR/local
route = local

[backend mail]
type       = rimap
rimap_host = localhost/{proxy.port}

[backend local]
type = sasldb

[route]
default = mail
failure_delay = 0

[route local]
default = local
failure_delay = 0
""")
    assert server.ask(ALICE.user, ALICE.password, listener="mux").is_accepted
    proxy.stall()
    with server.connect(listener="mux") as waiting:
        waiting.send(wire.request(ALICE.user, ALICE.password))
        assert server.ask(ALICE.user, ALICE.password, listener="local").is_accepted
        assert not waiting.has_something(), "who logs in elsewhere does not wait for the silent server"
        assert waiting.reply().is_unavailable
    proxy.cut()
    proxy.resume()
    eventually(lambda: server.ask(ALICE.user, ALICE.password, listener="mux").is_accepted, "the server is asked again")


# one of two servers


DURING = 20  # logins while the first server stands still
NAMED = [Account(name, ALICE.password) for name in
         ("who-finds-out", "at-last", *(f"{when}-{number}" for when in ("early", "later") for number in range(DURING)))]
WORKERS = 4
UP = ["up", "up"]


@pytest.fixture(scope="module")
def two_dovecots():
    """Each knows who logs in here: a login is told from others by its name."""
    with Dovecot([ALICE, *NAMED]) as first, Dovecot([ALICE, *NAMED]) as second:
        yield first, second


@pytest.fixture
def pair(two_dovecots):
    """The first and the second, each behind a proxy that sees who asks."""
    with Proxy(two_dovecots[0].port) as first, Proxy(two_dovecots[1].port) as second:
        yield [(two_dovecots[0], first), (two_dovecots[1], second)]
        for dovecot in two_dovecots:
            dovecot.resume()


@pytest.fixture
def start_on_pair(pair, start_postern):
    """One step may take a second, a login a minute; the client gives up after fifteen seconds."""
    def start(*flags, workers=WORKERS, **kind):
        hosts = " ".join(f"localhost/{proxy.port}" for _, proxy in pair)
        server = start_postern("--rimap-host", hosts, "--rimap-timeout", "1s", "--rimap-connect-timeout", "1s",
                               "--deadline", "60s", *flags, backend="rimap", workers=workers, **kind)
        eventually(lambda: are_prepared(server, workers), "each worker has a connection")
        return server
    return start


def are_prepared(server, count=1):
    """Its workers have done what they can do ahead of time."""
    workers = control.backend_status(server.directory, "rimap")["workers"]
    return [worker["state"] for worker in workers] == ["idle"] * count


def servers(server):
    return control.backend_status(server.directory, "rimap")["servers"]


def states(server):
    return [each["state"] for each in servers(server)]


def shown_status(server):
    """By `postern status`."""
    return subprocess.run([POSTERN, "status", "-m", server.directory], text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def is_let_in(server, name):
    return server.ask(name, ALICE.password).is_accepted


def log_in_together(server, names, at_a_time=WORKERS):
    with ThreadPoolExecutor(at_a_time) as pool:
        return all(pool.map(lambda name: is_let_in(server, name), names))


def who_asked(proxy):
    """The users whose credentials went that way."""
    tokens = re.findall(rb"AUTHENTICATE PLAIN (\S+)\r\n", sent_to_a_plain_server(proxy))
    return [base64.b64decode(token).split(b"\0")[1].decode() for token in tokens]


def who_waits_for_one_that_stands_still(pair, server):
    """It accepts connections, and answers never come. Says who was sent there, of many who log in."""
    (first, on_first), (_, on_second) = pair
    first.pause()
    assert is_let_in(server, "who-finds-out")
    later = [f"later-{number}" for number in range(DURING)]
    assert log_in_together(server, later)
    eventually(lambda: states(server)[0] != "up", "its probe has failed as well")
    assert servers(server)[1]["failures"] == 0
    assert sorted(who_asked(on_second)) == sorted(["who-finds-out", *later])
    return who_asked(on_first)


def test_nobody_waits_twice_for_a_server_that_stands_still(pair, start_on_pair):
    (first, on_first), (_, on_second) = pair
    server = start_on_pair()
    assert on_first.open_connections == WORKERS and on_second.accepted == 0
    assert who_waits_for_one_that_stands_still(pair, server) == ["who-finds-out"]
    assert "localhost/%d: no answer in time" % on_first.port in shown_status(server)

    first.resume()
    eventually(lambda: states(server) == UP, "the first server is asked again", 60)
    assert is_let_in(server, "at-last")
    assert who_asked(on_first)[-1] == "at-last" and "at-last" not in who_asked(on_second)


def test_a_build_in_which_each_worker_waits_is_caught(pair, start_on_pair, tmp_path):
    program = plant(tmp_path, "rimap", "backends/server_round.cpp", "left_alone_{servers.left_alone()}", "left_alone_{}")
    assert len(who_waits_for_one_that_stands_still(pair, start_on_pair(program=program))) > 1


def test_a_server_that_ended_is_left_alone_until_it_is_back(pair, start_on_pair):
    (first, on_first), (_, on_second) = pair
    server = start_on_pair()
    first.stop()
    names = [f"early-{number}" for number in range(DURING)]
    assert log_in_together(server, names)
    assert sorted(who_asked(on_second)) == sorted(names) and who_asked(on_first) == []
    first.start()
    eventually(lambda: states(server) == UP, "the first server is asked again", 60)
    assert is_let_in(server, "at-last")
    assert who_asked(on_first) == ["at-last"]


def test_both_stopped_is_an_outage_and_heals(pair, start_on_pair, syslog):
    server = start_on_pair()
    assert is_let_in(server, "early-0")
    for dovecot, _ in pair:
        dovecot.pause()
    for password in (ALICE.password, "looking-glass"):
        assert server.ask(ALICE.user, password).is_unavailable
    eventually(lambda: "up" not in states(server), "a probe of the last one has failed as well")
    syslog.wait_for("auth unavailable: [user=alice]")
    for dovecot, _ in pair:
        dovecot.resume()
    eventually(lambda: is_let_in(server, "at-last"), "they are asked again", 60)
    assert server.ask(ALICE.user, "looking-glass").is_refused


def test_the_guesses_of_a_stranger_end_nobodys_logins(start_postern):
    """Where a refusal waits for longer than a step may take, the servers are not down."""
    slow = "auth_failure_delay = 1 hours"
    with Dovecot([ALICE], slow) as first, Dovecot([ALICE], slow) as second:
        server = start_postern("--rimap-host", f"localhost/{first.port},localhost/{second.port}", "--rimap-timeout",
                               "1s", "--deadline", "60s", backend="rimap", workers=WORKERS)
        for _ in range(3):
            assert server.ask(ALICE.user, "looking-glass").is_unavailable
            assert server.ask(ALICE.user, ALICE.password).is_accepted
        eventually(lambda: states(server) == UP, "both have passed their probes")


# starts and outages


def is_prepared(server):
    """Its one worker has done what it can do ahead of time."""
    return are_prepared(server)


def test_a_start_without_the_server_heals_by_itself(start_rimap, start_saslauthd):
    with Dovecot([ALICE]) as dovecot:
        dovecot.stop()
        server = start_rimap(dovecot.port)
        assert server.ask(ALICE.user, ALICE.password).is_unavailable
        dovecot.start()
        eventually(lambda: server.ask(ALICE.user, ALICE.password).is_accepted, "the server is asked again")


def test_a_start_without_its_name_heals_by_itself(dovecot, start_postern):
    """saslauthd asks for the name when it starts, and then ends."""
    host, hosts = "imap.postern.test", Path("/etc/hosts")
    done = subprocess.run([SASLAUTHD, "-a", "rimap", "-O", f"{host}/{dovecot.port}"], capture_output=True, timeout=60)
    assert done.returncode == 1
    server = start_postern("--rimap-host", f"{host}/{dovecot.port}", backend="rimap", workers=1)
    assert server.ask(ALICE.user, ALICE.password).is_unavailable
    before = hosts.read_text()
    hosts.write_text(before + f"127.0.0.1 {host}\n")
    try:
        eventually(lambda: server.ask(ALICE.user, ALICE.password).is_accepted, "the name is found")
    finally:
        hosts.write_text(before)


def test_a_connection_waits_for_the_next_login(proxy, start_rimap):
    server = start_rimap(proxy.port)
    for logins in range(3):
        eventually(lambda: is_prepared(server), "a connection waits")
        assert proxy.accepted == logins + 1
        assert is_new(proxy.connections[-1])
        assert server.ask(ALICE.user, ALICE.password).is_accepted


def is_new(connection):
    """The server has greeted there, and was told nothing."""
    return connection.to_server == b"" and GREETING_END in connection.to_client


def were_given_up(connections, count):
    """So many, without anything but a farewell."""
    return [lines_of(connection) for connection in connections] == [[b"LOGOUT"]] * count


def those_used(proxy):
    """Numbers of the connections on which somebody logged in."""
    return [number for number, connection in enumerate(proxy.connections) if b"AUTHENTICATE" in connection.to_server]


def test_a_waiting_connection_is_renewed_before_its_server_ends_it(proxy, start_rimap):
    server = start_rimap(proxy.port, "--rimap-renew", "300ms")
    eventually(lambda: were_given_up(proxy.connections[:3], 3), "nobody logs in, and three have been renewed")
    eventually(lambda: proxy.open_connections == 1, "one waits at a time")
    assert server.ask(ALICE.user, ALICE.password).is_accepted
    used = those_used(proxy)
    assert len(used) == 1 and used[0] >= 3
    eventually(lambda: were_given_up(proxy.connections[:used[0]], used[0]), "all those before have been renewed")


def test_a_server_that_ends_waiting_connections_is_not_missed(proxy, start_rimap):
    """It allows less time than it takes until they are renewed. Nobody waits, and the server is not down."""
    server = start_rimap(proxy.port, "--rimap-renew", "1m")
    for _ in range(3):
        eventually(lambda: is_prepared(server) and is_new(proxy.connections[-1]), "a connection waits")
        proxy.cut()
        assert server.ask(ALICE.user, ALICE.password).is_accepted
    assert [each["failures"] for each in servers(server)] == [0]


def test_nothing_is_renewed_for_users_who_are_gone(dovecot, proxy, start_rimap):
    """A connection is given up when there is a new one: so there is always one, for as long as they are renewed. Those
    of a second daemon show that there was time for more."""
    server = start_rimap(proxy.port, "--rimap-renew", "100ms", "--rimap-keep-ready", "4s")
    eventually(lambda: proxy.accepted >= 2, "it is renewed at first")
    eventually(lambda: proxy.open_connections == 0, "no connection is kept any more", 60)
    accepted = proxy.accepted
    with Proxy(dovecot.port) as beside:
        start_rimap(beside.port, "--rimap-renew", "100ms")
        eventually(lambda: beside.accepted >= 5, "those of the second daemon are renewed", 60)
    assert (proxy.accepted, proxy.open_connections) == (accepted, 0)
    assert is_prepared(server)

    assert server.ask(ALICE.user, ALICE.password).is_accepted
    assert those_used(proxy) == [accepted]
    eventually(lambda: proxy.accepted >= accepted + 3, "after a login they are kept ready and renewed again")


def test_a_waiting_connection_that_was_cut_is_replaced(proxy, start_rimap):
    server = start_rimap(proxy.port)
    for reset in (False, True):
        eventually(lambda: is_prepared(server) and proxy.open_connections == 1, "a connection waits")
        proxy.cut(reset)
        assert server.ask(ALICE.user, ALICE.password).is_accepted


def test_the_password_is_nowhere_in_the_log(proxy, start_postern, start_saslauthd, syslog):
    secret = "a-password-of-its-own"
    assert start_saslauthd("-V", "-O", f"127.0.0.1/{proxy.port}", backend="rimap").ask(ALICE.user, secret).is_refused
    assert secret in syslog.wait_for("auth_rimap: sending").text
    syslog.clear()

    server = start_postern("-V", "--rimap-host", f"localhost/{proxy.port}", backend="rimap", workers=1)
    assert server.ask(ALICE.user, secret).is_refused
    proxy.refuse()
    proxy.cut()
    assert server.ask(ALICE.user, secret).is_unavailable
    syslog.wait_for("auth unavailable:")
    for text in (*syslog.texts(), server.output):
        assert secret not in text and base64.b64encode(secret.encode()).decode()[:-4] not in text


def test_postfix_says_try_again_later_when_the_server_is_down(dovecot, start_rimap, syslog):
    postfix = Postfix().start()
    try:
        with Proxy(dovecot.port) as proxy:
            start_rimap(proxy.port, directory=RUN_DIRECTORY)
            assert [postfix.log_in(ALICE.user, password).code for password in (ALICE.password, "x")] == [235, 535]
            proxy.refuse()
            proxy.cut()
            assert postfix.log_in(ALICE.user, ALICE.password).code == 454
    finally:
        postfix.stop()
