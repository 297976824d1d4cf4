# SPDX-License-Identifier: BSD-2-Clause
"""Users whose passwords a remote IMAP server knows: a real Dovecot, behind a network that breaks on order."""

import base64
import subprocess
from pathlib import Path

import pytest

from support import control, wire
from support.dovecot import Dovecot
from support.eventually import eventually
from support.places import SASLAUTHD
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

    before = len(dovecot.logins)
    ours = start_rimap(proxy.port)
    for user, password in (("mallory", injected), ("mallory\r\nx LOGIN alice x", "x"), ("mallory", "x\r\n"),
                           (ALICE.user, f"{ALICE.password}\r\n"), (ALICE.user, f"\r\n{ALICE.password}")):
        assert ours.ask(user, password).is_refused
        assert commands_of(proxy, user, password) == ["AUTHENTICATE", "LOGOUT"]
    assert len(dovecot.logins) == before


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
    before = len(dovecot.logins)
    assert [reply.is_accepted for reply in answers(server)] == [True, True, False, False]
    assert server.ask(ALICE.user, f"x\r\na LOGIN {ALICE.user} {ALICE.password}\r\n").is_refused
    assert server.ask(f"{ALICE.user}\r\n", "x").is_refused
    assert len(dovecot.logins) == before + 2
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
        assert waiting.reply().is_unavailable
    proxy.cut()
    proxy.resume()
    eventually(lambda: server.ask(ALICE.user, ALICE.password, listener="mux").is_accepted, "the server is asked again")


# starts and outages


def is_prepared(server):
    """Its one worker has done what it can do ahead of time."""
    workers = control.backend_status(server.directory, "rimap")["workers"]
    return [worker["state"] for worker in workers] == ["idle"]


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
        assert proxy.connections[-1].to_server == b"" and GREETING_END in proxy.connections[-1].to_client
        assert server.ask(ALICE.user, ALICE.password).is_accepted


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
