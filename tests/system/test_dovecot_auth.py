# SPDX-License-Identifier: BSD-2-Clause
"""The listener that speaks the Dovecot protocol: faults of a client stay with that client, and a login with itself."""

import socket
from contextlib import ExitStack

import pytest

from support import control
from support.dovecot_auth import Client, Ended, encoded, plain
from support.eventually import eventually
from support.sasldb import ALICE, BOB, Account

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
BOB_NAME = f"{BOB.user}@{BOB.realm}"
LINE_BYTES_MAX = 16384

POSTERN_CONF = """
[daemon]
MORE

[listener mux]
socket = DIR/mux
deadline = DEADLINE

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = OFFERED
NAMES

[backend local]
type = BACKEND

[route]
default = local
failure_delay = 0
"""


@pytest.fixture
def start(start_postern_conf):
    """start(more, names="", backend="sasldb"): lines for [daemon] and for the listener."""
    def started(more="", names="", backend="sasldb", mechanisms=MECHANISMS, deadline="60s"):
        text = POSTERN_CONF.replace("MORE", more).replace("NAMES", names).replace("BACKEND", backend)
        text = text.replace("DEADLINE", deadline)
        return start_postern_conf(text.replace("OFFERED", " ".join(mechanisms)))
    return started


@pytest.fixture
def postern(sasldb, start):
    return start()


def submission(daemon, **how):
    return Client(daemon.sockets["submission"], **how)


def half_way(daemon):
    """A client whose login needs one more word."""
    client = submission(daemon)
    number = client.begin("LOGIN")
    assert client.reply().data == b"Username:"
    assert client.answer(number, BOB_NAME).data == b"Password:"
    return client, number


# One login

@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_right_password_is_accepted_and_another_one_is_not(postern, mechanism):
    with submission(postern) as client:
        right = client.log_in(mechanism, BOB_NAME, BOB.password)
        wrong = client.log_in(mechanism, BOB_NAME, BOB.password + "x")
        assert (right.word, right.user) == ("OK", BOB_NAME)
        assert (wrong.word, wrong.parameters) == ("FAIL", {"user": BOB_NAME})


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_an_unknown_user_and_a_wrong_password_look_alike(postern, mechanism):
    with submission(postern) as client:
        wrong = client.log_in(mechanism, BOB_NAME, "looking-glass")
        unknown = client.log_in(mechanism, "nobody@example.org", "looking-glass")
        assert (unknown.word, list(unknown.parameters)) == (wrong.word, list(wrong.parameters)) == ("FAIL", ["user"])


def test_nobody_acts_for_somebody_else(postern):
    """Row 22 of the faults: with the right password of his own, too."""
    with submission(postern) as client:
        def reply_to(mechanism, response):
            client.begin(mechanism, response)
            return client.reply()

        for acts_for in (ALICE.user, "root", BOB.user, BOB_NAME.upper(), BOB_NAME + " "):
            reply = reply_to("PLAIN", plain(BOB_NAME, BOB.password, acts_for))
            assert (reply.word, reply.parameters.get("code")) == ("FAIL", "authz_fail")
            reply = reply_to("SCRAM-SHA-256", encoded(f"n,a={acts_for},n={BOB_NAME},r=abc"))
            assert (reply.word, reply.parameters.get("code")) == ("FAIL", "authz_fail")
        assert reply_to("PLAIN", plain(BOB_NAME, BOB.password, BOB_NAME)).word == "OK"
        assert reply_to("SCRAM-SHA-256", encoded(f"n,a={BOB_NAME},n={BOB_NAME},r=abc")).word == "CONT"


NAMES = ("john", "John", "JOHN", "john@dom.example", "JOHN@Dom.Example")


def account_and_log_line(postern, name):
    with submission(postern) as client:
        refused = client.log_in("PLAIN", name, "looking-glass")
        assert refused.word == "FAIL"
        return client.log_in("PLAIN", name, "secret"), refused.user


def test_every_spelling_of_a_name_is_one_account(sasldb, start):
    """Row 38 of the faults: whoever counts tries by the name in the log counts all of them together."""
    sasldb.add(Account("john", "secret", "dom.example"))
    postern = start(names="fold_case = yes\ndefault_realm = dom.example")
    for name in NAMES:
        accepted, refused_user = account_and_log_line(postern, name)
        assert (accepted.word, accepted.user, refused_user) == ("OK", "john@dom.example", "john@dom.example")
    lines = [line for line in postern.output.splitlines() if "auth failure:" in line]
    assert len(lines) == len(NAMES)
    assert all("[user=john] [service=smtp] [realm=dom.example]" in line for line in lines)


def test_without_these_rules_each_spelling_is_an_account_of_its_own(sasldb, start):
    sasldb.add(Account("john", "secret", "dom.example"))
    postern = start()
    for name in NAMES:
        accepted, refused_user = account_and_log_line(postern, name)
        assert refused_user == name
        assert accepted.word == ("OK" if name == "john@dom.example" else "FAIL")


# Faults of a client

ENDING = {
    "an unknown command": b"NOOP\n",
    "an empty line": b"\n",
    "no base64, and no line": b"AUTH\t1\tPLAIN\tservice=smtp\tresp=!\0\n",
    "an id that is none": b"AUTH\t0\tPLAIN\tservice=smtp\n",
    "an id of 33 bits": b"AUTH\t4294967296\tPLAIN\tservice=smtp\n",
    "an id of 64 bits and one more": b"AUTH\t18446744073709551617\tPLAIN\tservice=smtp\n",
    "no service": b"AUTH\t9\tPLAIN\n",
    "a live id": b"AUTH\t1\tLOGIN\tservice=smtp\n",
    "words behind the response": b"AUTH\t9\tPLAIN\tservice=smtp\tresp=\tmore\n",
    "a line without an end": b"x" * LINE_BYTES_MAX,
    "half of an escape": b"AUTH\t9\tPLAIN\tservice=smtp\1\n",
}

FAILING = {
    "no base64": b"AUTH\t9\tPLAIN\tservice=smtp\tresp=!\n",
    "base64 without its end": b"AUTH\t9\tPLAIN\tservice=smtp\tresp=AAAAA\n",
    "a mechanism that is not offered": b"AUTH\t9\tXOAUTH2\tservice=smtp\tresp=\n",
    "no message of PLAIN": b"AUTH\t9\tPLAIN\tservice=smtp\tresp=AAAA\n",
    "no message of SCRAM": b"AUTH\t9\tSCRAM-SHA-256\tservice=smtp\tresp=AAAA\n",
    "a word for nobody": b"CONT\t9\t\n",
}


@pytest.fixture
def others(postern):
    """A hundred clients, each half-way through a login."""
    with ExitStack() as all_of_them:
        opened = [half_way(postern) for _ in range(100)]
        for client, _ in opened:
            all_of_them.enter_context(client)
        yield opened


def test_a_malformed_request_ends_its_own_connection_alone(postern, others):
    """Row 23 of the faults."""
    for fault, text in ENDING.items():
        client, _ = half_way(postern)
        with client:
            client.socket.sendall(text)
            assert client.is_ended(), fault
    for number, (client, login) in enumerate(others):
        is_right = number % 2 == 0
        reply = client.answer(login, BOB.password if is_right else "looking-glass")
        assert (reply.word, reply.user) == ("OK" if is_right else "FAIL", BOB_NAME)


@pytest.mark.parametrize("fault", FAILING)
def test_a_malformed_response_fails_its_own_login_alone(postern, fault):
    """The same on one connection, as far as the protocol allows it."""
    with submission(postern) as client:
        numbers = [client.begin("LOGIN") for _ in range(5)]
        assert [client.reply().id for _ in numbers] == numbers
        for number in numbers:
            assert client.answer(number, BOB_NAME).data == b"Password:"
        client.socket.sendall(FAILING[fault])
        failed = client.reply()
        assert (failed.word, failed.id) == ("FAIL", 9)
        for number in numbers:
            reply = client.answer(number, BOB.password)
            assert (reply.word, reply.id, reply.user) == ("OK", number, BOB_NAME)


@pytest.mark.parametrize("user", ["bob\tuser=root", "bob\nOK\t1\tuser=root", "bob\0root", "bob\x7f", "bob\r"])
def test_a_name_with_control_bytes_is_refused_and_not_repeated(postern, user):
    """Row 25 of the faults: nothing that is typed becomes a field of its own."""
    with submission(postern) as client:
        client.begin("LOGIN", encoded(user))
        assert client.line() == "FAIL\t1"
        number = client.begin("CRAM-MD5")
        client.reply()
        client.send(f"CONT\t{number}\t{encoded(user + ' ' + '0' * 32)}")
        assert client.line() == f"FAIL\t{number}"
        assert client.log_in("PLAIN", BOB_NAME, BOB.password).user == BOB_NAME


def test_what_looks_like_fields_is_text(postern):
    """A worker is asked about bytes with a length, and the log escapes what it shows."""
    with submission(postern) as client:
        for user in ("bob user=root", "user=root", "resp=", "bob@example.org code=temp_fail", "%s%n", "*)(uid=*"):
            reply = client.log_in("PLAIN", user, "password=x resp=y")
            assert (reply.word, reply.user) == ("FAIL", user)
        reply = client.log_in("PLAIN", BOB_NAME, BOB.password, session="a\1tuser=root\1nb")
        assert (reply.word, reply.parameters) == ("OK", {"user": BOB_NAME})
        client.begin("PLAIN", plain(BOB_NAME, BOB.password), service="sm\1ttp] [user=root\1nx")
        assert client.reply().parameters == {"user": BOB_NAME}
    eventually(lambda: postern.output.count("auth success:") >= 2, "the log has it")
    assert r"[service=sm\x09tp\x5d [user=root\x0ax]" in postern.output
    assert not [line for line in postern.output.splitlines() if line.startswith("x]")]


# Where a line ends

@pytest.mark.parametrize("size", [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1])
def test_the_longest_line_is_taken_and_one_byte_more_is_not(postern, size):
    """Rows 28 and 29 of the faults."""
    beginning = b"AUTH\t1\tLOGIN\tservice=smtp\tsession="
    line = beginning + b"x" * (size - len(beginning) - 1) + b"\n"
    with submission(postern) as client:
        client.socket.sendall(line)
        if size <= LINE_BYTES_MAX:
            assert client.reply().data == b"Username:"
        else:
            assert client.is_ended()


@pytest.mark.parametrize("size", [1023, 1024, 1025])
def test_a_password_of_the_longest_size_is_looked_at_and_a_longer_one_is_not(sasldb, start, size):
    long = Account("long", "p" * size, "example.org")
    sasldb.add_key(long)
    with submission(start()) as client:
        reply = client.log_in("PLAIN", "long@example.org", long.password)
        assert reply.word == ("OK" if size <= 1024 else "FAIL")


WORDS = ("VERSION\t1\t0\nCPID\t1\n"
         f"AUTH\t1\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, BOB.password)}\n").encode()


def test_requests_are_answered_alike_in_single_bytes_and_all_at_once(postern):
    """Row 30 of the faults."""
    for pieces in ([WORDS], [WORDS[i:i + 1] for i in range(len(WORDS))], [WORDS[:30], WORDS[30:]]):
        with submission(postern, introduces_itself=False) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            for piece in pieces:
                client.socket.sendall(piece)
            assert client.line() == f"OK\t1\tuser={BOB_NAME}"
    with submission(postern) as client:
        client.send(*(f"AUTH\t{n}\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, BOB.password)}" for n in range(1, 101)))
        assert sorted(client.reply().id for _ in range(100)) == list(range(1, 101))


def idle_workers(daemon):
    return [worker["state"] for worker in control.backend_status(daemon.directory, "local")["workers"]].count("idle")


def test_a_client_that_leaves_anywhere_leaves_no_trace(postern):
    with submission(postern) as client:
        assert client.log_in("PLAIN", BOB_NAME, BOB.password).word == "OK"
    eventually(lambda: idle_workers(postern) == 5, "all workers are there")
    eventually(lambda: control.status(postern.directory)["sessions"] == 0, "nobody is there")
    before, log = len(postern.front.descriptors), postern.output
    for end in range(len(WORDS)):
        with submission(postern, introduces_itself=False) as client:
            client.socket.sendall(WORDS[:end])
    eventually(lambda: control.status(postern.directory)["sessions"] == 0, "all sessions have ended")
    eventually(lambda: len(postern.front.descriptors) <= before, "none of their descriptors is left")
    assert postern.output == log


# One login after the other

@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_refused_login_leaves_nothing_for_the_next_one(postern, mechanism):
    """Row 50 of the faults."""
    with submission(postern) as client:
        for _ in range(50):
            refused = client.log_in(mechanism, ALICE.user, BOB.password)
            assert (refused.word, refused.user) == ("FAIL", ALICE.user)
            accepted = client.log_in(mechanism, BOB_NAME, BOB.password)
            assert (accepted.word, accepted.user) == ("OK", BOB_NAME)


def test_two_logins_step_by_step_on_one_connection_do_not_mix(postern):
    with submission(postern) as client:
        for _ in range(50):
            numbers = [client.begin("LOGIN"), client.begin("LOGIN")]
            for user, number in zip((ALICE.user, BOB_NAME), numbers):
                client.reply()
            for user, number in zip((ALICE.user, BOB_NAME), numbers):
                assert client.answer(number, user).data == b"Password:"
            client.send(*(f"CONT\t{number}\t{encoded(BOB.password)}" for number in numbers))
            replies = {reply.id: (reply.word, reply.user) for reply in (client.reply(), client.reply())}
            assert replies == {numbers[0]: ("FAIL", ALICE.user), numbers[1]: ("OK", BOB_NAME)}


# Floods

def idle_clients(daemon, count):
    clients = [submission(daemon) for _ in range(count)]
    for client in clients:
        assert client.log_in("PLAIN", BOB_NAME, BOB.password).word == "OK"
    return clients


def test_a_flood_of_silent_saslauthd_clients_displaces_no_client_of_the_other_listener(sasldb, start):
    postern = start("sessions_max = 20")
    clients = idle_clients(postern, 5)
    silent = [postern.connect() for _ in range(60)]
    assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
    assert control.status(postern.directory)["sessions_displaced"] > 0
    for client in clients:
        with client:
            assert client.log_in("PLAIN", BOB_NAME, BOB.password).word == "OK"
    for connection in silent:
        connection.socket.close()


def test_a_flood_of_idle_clients_displaces_no_saslauthd_client(sasldb, start):
    postern = start("sessions_max = 20")
    begun = [postern.connect().send(b"\0\3b") for _ in range(5)]
    eventually(lambda: control.status(postern.directory)["sessions"] == 5, "they are there")
    flood = [submission(postern) for _ in range(60)]
    assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted  # one of the flood makes room
    assert control.status(postern.directory)["sessions_displaced"] > 0
    for connection in begun:
        connection.send(b"ob\0\7builder\0\4imap\0\13example.org")
        assert connection.reply(10).is_accepted
    for client in flood:
        client.close()


def test_a_flood_of_logins_that_hang_displaces_no_client_of_the_other_listener(start):
    postern = start("sessions_max = 20", mechanisms=["PLAIN"], deadline="4s",
                    backend="fault\nfault_password = good\nworkers = 2\nworkers_max = 2")
    clients = [submission(postern) for _ in range(5)]
    eventually(lambda: control.status(postern.directory)["sessions"] == 5, "they are there")
    hanging = b"\0\5sleep\0\4good\0\4imap\0\0"
    flood = [postern.connect().send_and_be_read(hanging) for _ in range(15)]
    flood += [postern.connect().send(hanging) for _ in range(25)]
    eventually(lambda: control.status(postern.directory)["sessions"] == 20, "there is room for no more")
    for connection in flood[:20]:
        assert connection.reply(30).is_unavailable  # and others take their places
    for client in clients:
        with client:
            client.begin("XOAUTH2")
            assert client.reply().word == "FAIL"
    assert control.status(postern.directory)["sessions_displaced"] == 0
    for connection in flood:
        connection.socket.close()
