# SPDX-License-Identifier: BSD-2-Clause
"""What a client of the Dovecot protocol may say, case by case, and what two servers make of it.

A case is played to a server that knows ALICE and BOB. Its transcript is what the server said, a line a reply, with
blanks for TABs and the data of CONT and resp= decoded: "end" where it closed the connection, "nothing" where it did
neither. What no two connections have in common is left out: process ids, cookies, nonces, challenges, signatures.
"""

import base64
import hashlib
import hmac
import re
import socket
from dataclasses import dataclass
from typing import Callable

from support.dovecot_auth import encoded, plain
from support.sasldb import BOB

USER, PASSWORD = f"{BOB.user}@{BOB.realm}", BOB.password
SILENCE = 2.0  # seconds
INTRODUCTION = ("VERSION 1 0", "CPID 4711")
CHANGING = [(r"^(SPID|CUID|COOKIE) \w+$", r"\1 …"),
            (r"(\{r=abc)[^,]+,s=[^,]+,i=\d+", r"\1…,s=…,i=…"), (r"\{<[^>]+>\}", "{<…>}"),
            (r"\{v=[^}]+\}", "{v=…}"), (r"u{100,}", "u…"),
            (r"[\0-\x1f]", lambda byte: f"\\x{ord(byte[0]):02x}")]


def lines_of(texts):
    """Blanks for TABs, as people write a line; what is bytes goes as it is."""
    return b"".join(text if isinstance(text, bytes) else text.replace(" ", "\t").encode() + b"\n" for text in texts)


def readable(line):
    """As people read one."""
    text = line.decode(errors="backslashreplace").replace("\t", " ")
    text = re.sub(r"^(CONT \d+ )(\S*)$", _decoded, text)
    text = re.sub(r"( resp=)(\S+)", _decoded, text)
    for pattern, replacement in CHANGING:
        text = re.sub(pattern, replacement, text)
    return text


def _decoded(match):
    return match[1] + "{" + base64.b64decode(match[2]).decode(errors="backslashreplace") + "}"


class Conversation:
    """One connection to one server, and what the server said on it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SILENCE)
        self.socket.connect(str(path))
        self.said = []
        self._arrived = b""
        self._is_over = False
        self.handshake = []
        while self.handshake[-1:] != ["DONE"]:
            self.handshake.append(readable(self._line()))

    def say(self, *texts):
        try:
            self.socket.sendall(lines_of(texts))
        except OSError:
            pass  # it has ended, and says so below

    def hear(self):
        """The next reply; its data, if it has some."""
        if self._is_over:
            return b""
        try:
            line = self._line()
        except TimeoutError:
            line = None
        self._is_over = not line
        self.said.append(readable(line) if line else "end" if line == b"" else "nothing")
        return base64.b64decode(line.split(b"\t")[2]) if line and line.startswith(b"CONT\t") else b""

    def ask(self, *texts):
        self.say(*texts)
        return self.hear()

    def _line(self):
        while b"\n" not in self._arrived:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return b""
            self._arrived += piece
        line, _, self._arrived = self._arrived.partition(b"\n")
        return line


@dataclass(frozen=True)
class Case:
    name: str
    play: Callable
    introduction: tuple = INTRODUCTION

    def __str__(self):
        return self.name


def transcript(path, case):
    """What the server at `path` says in that case, in one line."""
    conversation = Conversation(path)
    with conversation.socket:
        conversation.say(*case.introduction)
        case.play(conversation)
    return " / ".join(conversation.said)


# ---- the mechanisms, as a client plays them


def cram_md5(talk, user=USER, password=PASSWORD, mechanism="CRAM-MD5"):
    challenge = talk.ask(f"AUTH 1 {mechanism} service=smtp")
    talk.ask(f"CONT 1 {encoded(user + ' ' + hmac.new(password.encode(), challenge, 'md5').hexdigest())}")


def login(talk, user=USER, password=PASSWORD):
    talk.ask("AUTH 1 LOGIN service=smtp")
    if talk.ask(f"CONT 1 {encoded(user)}"):
        talk.ask(f"CONT 1 {encoded(password)}")


def iterations(talk):
    """Those that a client is asked to compute, which all other cases leave out."""
    server_first = talk.ask(f"AUTH 1 SCRAM-SHA-256 service=smtp resp={encoded(f'n,,n={USER},r=abc')}")
    talk.said = [server_first.decode().rpartition(",")[2]]


def scram(talk, digest="sha256", user=USER, password=PASSWORD, header="n,,", more="", spoil=lambda final: final,
          acknowledges=True):
    mechanism = {"sha1": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256"}[digest]
    bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r=abc"
    server_first = talk.ask(f"AUTH 1 {mechanism} service=smtp{more} resp={encoded(header + bare)}").decode()
    if not server_first:
        return
    values = dict(entry.split("=", 1) for entry in server_first.split(","))
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(values["s"]), int(values["i"]))
    final = spoil(f"c={encoded(header)},r={values['r']}")
    transcript_ = f"{bare},{server_first},{final}".encode()
    key = hmac.digest(salted, b"Client Key", digest)
    proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.new(digest, key).digest(), transcript_, digest)))
    server_final = talk.ask(f"CONT 1 {encoded(f'{final},p={encoded(proof)}')}")
    if server_final:
        server_key = hmac.digest(salted, b"Server Key", digest)
        assert server_final == b"v=" + base64.b64encode(hmac.digest(server_key, transcript_, digest))
        talk.ask("CONT 1 " if acknowledges else f"CONT 1 {encoded('more')}")


# ---- the cases


def _says(name, *texts, introduction=INTRODUCTION):
    """One that says all of it and hears one reply."""
    return Case(name, lambda talk: talk.ask(*texts), introduction)


def _auth(mechanism, message=None, more=""):
    return f"AUTH 1 {mechanism} service=smtp{more}" + ("" if message is None else f" resp={encoded(message)}")


def _does(name, play, introduction=INTRODUCTION, **how):
    return Case(name, lambda talk: play(talk, **how), introduction)


def _each(*deeds):
    """One that hears a reply to each of the things it says."""
    return lambda talk: [talk.ask(*([deed] if isinstance(deed, (str, bytes)) else deed)) for deed in deeds]


RIGHT, WRONG = f"\0{USER}\0{PASSWORD}", f"\0{USER}\0looking-glass"
LONG = "u" * 1025

MECHANISMS = [
    _says("plain-right", _auth("PLAIN", RIGHT)),
    _says("plain-wrong", _auth("PLAIN", WRONG)),
    _says("plain-unknown-user", _auth("PLAIN", "\0nobody@example.org\0x")),
    _says("plain-empty-password", _auth("PLAIN", f"\0{USER}\0")),
    _says("plain-empty-user", _auth("PLAIN", "\0\0x")),
    _says("plain-own-authzid", _auth("PLAIN", USER + RIGHT)),
    _says("plain-other-authzid", _auth("PLAIN", "alice" + RIGHT)),
    _says("plain-one-nul", _auth("PLAIN", f"\0{USER}")),
    _says("plain-three-nuls", _auth("PLAIN", RIGHT + "\0more")),
    _says("plain-no-text", _auth("PLAIN", "")),
    _says("plain-control-byte", _auth("PLAIN", "\0bo\tb\0x")),
    _says("plain-latin-1", _auth("PLAIN", b"\0j\xfcrgen\0x")),
    _says("plain-upper-case", _auth("PLAIN", f"\0{USER.upper()}\0{PASSWORD}")),
    _says("plain-long-user", _auth("PLAIN", f"\0{LONG}\0x")),
    _says("plain-two-ats", _auth("PLAIN", f"\0a@{USER}\0x")),
    Case("plain-in-two-steps", _each(_auth("PLAIN"), f"CONT 1 {encoded(RIGHT)}")),
    Case("plain-in-two-steps-wrong", _each(_auth("PLAIN"), f"CONT 1 {encoded(WRONG)}")),
    Case("plain-second-step-empty", _each(_auth("PLAIN"), "CONT 1 ")),
    _does("login-right", login),
    _does("login-wrong", login, password="looking-glass"),
    _does("login-unknown-user", login, user="nobody@example.org"),
    _does("login-empty-user", login, user=""),
    _does("login-empty-password", login, password=""),
    Case("login-initial-response", _each(_auth("LOGIN", USER), f"CONT 1 {encoded(PASSWORD)}")),
    _does("cram-right", cram_md5),
    _does("cram-wrong", cram_md5, password="looking-glass"),
    _does("cram-unknown-user", cram_md5, user="nobody@example.org"),
    Case("cram-malformed", _each(_auth("CRAM-MD5"), f"CONT 1 {encoded('bob')}")),
    Case("cram-digits", _each(_auth("CRAM-MD5"), f"CONT 1 {encoded(USER + ' ' + 'g' * 32)}")),
    _says("cram-initial-response", _auth("CRAM-MD5", "bob 0123456789abcdef0123456789abcdef")),
    *(case for digest in ("sha1", "sha256") for case in (
        _does(f"scram-{digest}-right", scram, digest=digest),
        _does(f"scram-{digest}-wrong", scram, digest=digest, password="looking-glass"),
        _does(f"scram-{digest}-unknown-user", scram, digest=digest, user="nobody@example.org"),
        _does(f"scram-{digest}-final-resp-ok", scram, digest=digest, more=" final-resp-ok"),
        _does(f"scram-{digest}-binding-y", scram, digest=digest, header="y,,"),
        _does(f"scram-{digest}-binding-p", scram, digest=digest, header="p=tls-unique,,"),
        _does(f"scram-{digest}-own-authzid", scram, digest=digest, header=f"n,a={USER},"),
        _does(f"scram-{digest}-other-authzid", scram, digest=digest, header="n,a=alice,"),
        _does(f"scram-{digest}-other-nonce", scram, digest=digest, spoil=lambda final: final + "x"),
        _does(f"scram-{digest}-other-binding", scram, digest=digest, spoil=lambda final: "c=eSws" + final[6:]),
        _does(f"scram-{digest}-no-acknowledgement", scram, digest=digest, acknowledges=False),
    )),
    _does("scram-iterations", iterations),
    _says("scram-malformed", _auth("SCRAM-SHA-256", "n,,x=bob")),
    Case("scram-in-two-steps", _each(_auth("SCRAM-SHA-256"), f"CONT 1 {encoded('n,,n=' + USER + ',r=abc')}")),
]

REQUESTS = [
    _says("unknown-mechanism", "AUTH 1 FOO service=smtp"),
    _says("mechanism-in-lower-case", f"AUTH 1 plain service=smtp resp={plain(USER, PASSWORD)}"),
    _says("no-mechanism", "AUTH 1"),
    _says("no-service", f"AUTH 1 PLAIN resp={plain(USER, PASSWORD)}"),
    _says("id-zero", "AUTH 0 LOGIN service=smtp"),
    _says("id-of-32-bits", "AUTH 4294967295 LOGIN service=smtp"),
    _says("id-of-33-bits", "AUTH 4294967296 LOGIN service=smtp"),
    _says("id-no-number", "AUTH x LOGIN service=smtp"),
    _says("no-id", "AUTH"),
    Case("duplicate-id", _each("AUTH 1 LOGIN service=smtp", "AUTH 1 LOGIN service=smtp")),
    Case("id-used-again", _each(_auth("PLAIN", RIGHT), _auth("PLAIN", WRONG))),
    _says("behind-the-response", f"AUTH 1 PLAIN service=smtp resp={plain(USER, PASSWORD)} secured"),
    _says("no-base64", "AUTH 1 PLAIN service=smtp resp=!"),
    Case("no-base64-later", _each(_auth("LOGIN"), "CONT 1 !")),
    _says("response-of-one-equals-sign", "AUTH 1 PLAIN service=smtp resp=="),
    _says("empty-response-of-minor-0", "AUTH 1 LOGIN service=smtp resp="),
    _says("empty-response-of-minor-2", "AUTH 1 LOGIN service=smtp resp=", introduction=("VERSION 1 2", "CPID 1")),
    _says("as-postfix", _auth("PLAIN", RIGHT, " nologin lip=192.0.2.1 rip=2001:db8::1 secured")),
    _says("as-exim", _auth("PLAIN", RIGHT, " secured valid-client-cert rip=192.0.2.1 lip=192.0.2.1 nologin")),
    _says("as-exim-without-response", "AUTH 1 PLAIN service=smtp rip=192.0.2.1 lip=192.0.2.1 nologin resp="),
    _says("odd-parameters", _auth("PLAIN", RIGHT, " rip= lip=nowhere rport=99999 nothing-known")),
    _says("escaped-service", b"AUTH\t1\tPLAIN\tservice=sm\1ttp\tresp=" + plain(USER, PASSWORD).encode() + b"\n"),
    _says("half-an-escape", b"AUTH\t1\tPLAIN\tservice=smtp\1\tresp=" + plain(USER, PASSWORD).encode() + b"\n"),
    _says("cont-for-nobody", "CONT 7 "),
    _says("cont-without-response", "CONT 7"),
    Case("cont-behind-the-end", _each(_auth("PLAIN", RIGHT), "CONT 1 ")),
    Case("cancel", _each("AUTH 1 LOGIN service=smtp", ("CANCEL 1", "CONT 1 " + encoded(USER)))),
    _says("cancel-for-nobody", "CANCEL 7", _auth("PLAIN", RIGHT)),
    _says("cancel-without-id", "CANCEL"),
    _says("unknown-command", "NOOP"),
    _says("command-in-lower-case", _auth("PLAIN", RIGHT).replace("AUTH", "auth")),
    _says("empty-line", ""),
    _says("carriage-return", _auth("PLAIN", RIGHT).replace(" ", "\t").encode() + b"\r\n"),
    _says("line-of-16383", b"AUTH\t1\tLOGIN\tservice=smtp\tx=" + b"x" * (16383 - 28) + b"\n"),
    _says("line-of-20000", b"AUTH\t1\tLOGIN\tservice=smtp\tx=" + b"x" * 20000 + b"\n"),
]

INTRODUCTIONS = [
    _says("no-version", "CPID 1", _auth("LOGIN"), introduction=()),
    _says("no-cpid", "VERSION 1 0", _auth("LOGIN"), introduction=()),
    _says("cpid-first", "CPID 1", "VERSION 1 0", _auth("LOGIN"), introduction=()),
    _says("cpid-zero", "VERSION 1 0", "CPID 0", _auth("LOGIN"), introduction=()),
    _says("major-2", "VERSION 2 0", "CPID 1", _auth("LOGIN"), introduction=()),
    _says("minor-9", "VERSION 1 9", "CPID 1", _auth("LOGIN"), introduction=()),
    _says("version-without-minor", "VERSION 1", "CPID 1", _auth("LOGIN"), introduction=()),
    _says("version-and-more", "VERSION 1 0 7", "CPID 1", _auth("LOGIN"), introduction=()),
    Case("handshake", lambda talk: talk.said.extend(talk.handshake), ()),
]

CASES = MECHANISMS + REQUESTS + INTRODUCTIONS


def complaints(name, theirs, ours, rows):
    """What is wrong with our transcript beside theirs, as the table has it."""
    about = [row for row in rows if row.case == name]
    if len(about) > 1:
        return [f"{name}: {len(about)} rows speak of it"]
    if not about:
        return [] if theirs == ours else [f"{name}: `{theirs}` became `{ours}`, and no row says so"]
    if theirs == ours:
        return [f"{name}: no longer differs ({ours}), but has a row"]
    problems = [f"{name}: the row says `{said}` of {who}, which said `{heard}`"
                for who, said, heard in (("Dovecot", about[0].saslauthd, theirs), ("Postern", about[0].postern, ours))
                if said != heard]
    if (" OK " in f" {theirs} ") != (" OK " in f" {ours} ") and about[0].kind != "defect":
        problems.append(f"{name}: who is let in differs; only a row of kind 'defect' may say so")
    return problems
