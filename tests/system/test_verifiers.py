# SPDX-License-Identifier: BSD-2-Clause
"""What a mail user proves without saying it, the front never learns: neither passwords nor what is stored of them."""

import base64
import hashlib
import hmac

import pytest

from support.dovecot_auth import Client, encoded, plain
from support.eventually import eventually
from support.memory import found_in_memory
from support.planted import plant
from support.sasldb import Account, passwd

POSTERN_CONF = """
[daemon]
sessions_max = 16

[listener mux]
socket = DIR/mux

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256

[backend local]
type = sasldb
workers = 1
workers_max = 1

[route]
default = local
failure_delay = 0
"""

IN_CLEAR = Account("carol", "looking-glass-of-carol", "example.org")
AS_VERIFIER = Account("dave", "looking-glass-of-dave", "example.org")


@pytest.fixture
def accounts(sasldb):
    """One of whom the database has the password, and one of whom it has a verifier."""
    sasldb.add(IN_CLEAR)
    passwd(sasldb, name_of(AS_VERIFIER), AS_VERIFIER.password)


@pytest.fixture
def postern(accounts, start_postern_conf):
    return start_postern_conf(POSTERN_CONF)


def name_of(account):
    return f"{account.user}@{account.realm}"


def submission(daemon):
    return Client(daemon.sockets["submission"])


def spellings(what, raw):
    """How it may stand in memory, with a name for each."""
    texts = {"": raw, " in base64": base64.b64encode(raw),
             " in base64 without its end": base64.b64encode(raw).rstrip(b"="),
             " in hexadecimal": raw.hex().encode(), " in capital hexadecimal": raw.hex().upper().encode()}
    return {text: what + how for how, text in texts.items()}


def secrets_of(account, digest, challenge):
    """The needles, with their names, that belong to a challenge of SCRAM."""
    values = dict(entry.split("=", 1) for entry in challenge.split(","))
    salted = hashlib.pbkdf2_hmac(digest, account.password.encode(), base64.b64decode(values["s"]), int(values["i"]))
    client_key = hmac.digest(salted, b"Client Key", digest)
    return {**spellings("the password", account.password.encode()),
            **spellings("SaltedPassword", salted),
            **spellings("ClientKey", client_key),
            **spellings("StoredKey", hashlib.new(digest, client_key).digest()),
            **spellings("ServerKey", hmac.digest(salted, b"Server Key", digest))}


def names_in(process, needles):
    return {needles[text] for text in found_in_memory(process, needles, also_undumped=True)}


@pytest.mark.parametrize("mechanism, digest, account", [
    ("SCRAM-SHA-1", "sha1", IN_CLEAR), ("SCRAM-SHA-256", "sha256", IN_CLEAR), ("SCRAM-SHA-256", "sha256", AS_VERIFIER)])
def test_after_scram_the_front_holds_neither_password_nor_verifier(postern, mechanism, digest, account):
    with submission(postern) as client:
        for _ in range(10):
            assert client.log_in(mechanism, name_of(account), account.password).word == "OK"
            assert client.log_in(mechanism, name_of(account), account.password + "x").word == "FAIL"
        needles = secrets_of(account, digest, client.challenge)
        assert names_in(postern.front, needles) == set()


def test_after_cram_md5_the_front_does_not_hold_the_password(postern):
    with submission(postern) as client:
        for _ in range(10):
            assert client.log_in("CRAM-MD5", name_of(IN_CLEAR), IN_CLEAR.password).word == "OK"
            assert client.log_in("CRAM-MD5", name_of(IN_CLEAR), IN_CLEAR.password + "x").word == "FAIL"
        needles = {**spellings("the password", IN_CLEAR.password.encode()),
                   **spellings("its MD5", hashlib.md5(IN_CLEAR.password.encode()).digest())}
        assert names_in(postern.front, needles) == set()


def test_a_password_that_was_said_is_wiped_when_its_login_ends(postern):
    with submission(postern) as client:
        for account in (IN_CLEAR, AS_VERIFIER):
            for mechanism in ("PLAIN", "LOGIN"):
                assert client.log_in(mechanism, name_of(account), account.password).word == "OK"
                assert client.log_in(mechanism, name_of(account), account.password + "x").word == "FAIL"
            needles = {**spellings("the password", account.password.encode()),
                       plain(name_of(account), account.password).encode(): "the message of PLAIN"}
            assert names_in(postern.front, needles) == set()


# ---- positive controls

def test_a_password_that_is_half_said_is_found(postern):
    with submission(postern) as client:
        client.socket.sendall(f"AUTH\t1\tPLAIN\tservice=smtp\tresp={encoded('needle-of-a-password')}".encode())
        eventually(lambda: names_in(postern.front, spellings("it", b"needle-of-a-password")), "the front has read it")


def test_a_worker_that_told_the_front_too_much_is_caught(accounts, start_postern_conf, tmp_path):
    program = plant(tmp_path, "sasldb", "backends/sasldb.cpp",
                    "return signature ? accepted(std::move(*signature)) : wrong_proof();",
                    "return {Verdict::rejected, verifier->text() + ' ' + std::string{stored.bytes.view()}};")
    postern = start_postern_conf(POSTERN_CONF, program=program)
    with submission(postern) as client:
        assert client.log_in("SCRAM-SHA-256", name_of(IN_CLEAR), IN_CLEAR.password).word == "FAIL"
        found = names_in(postern.front, secrets_of(IN_CLEAR, "sha256", client.challenge))
    assert found >= {"the password", "StoredKey in base64", "ServerKey in base64"}
