# SPDX-License-Identifier: BSD-2-Clause
"""A client of the Dovecot authentication protocol, as programs that speak it are: Postfix, Exim and others."""

import base64
import hashlib
import hmac
import socket
from dataclasses import dataclass, field


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def plain(user, password, acts_for=""):
    """The one message of PLAIN, in base64."""
    return encoded(f"{acts_for}\0{user}\0{password}")


@dataclass
class Reply:
    """A line of the server: "OK", "FAIL" or "CONT", the id, and its parameters. `data` is what a CONT carries."""

    word: str
    id: int
    parameters: dict = field(default_factory=dict)
    data: bytes = b""

    @property
    def user(self):
        return self.parameters.get("user")


class Ended(Exception):
    """The server has closed the connection."""


class Client:
    """One connection. `handshake` has the server's lines up to DONE, without their LF."""

    def __init__(self, path, seconds=15.0, introduces_itself=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self._received = b""
        self._next_id = 1
        self.handshake = []
        while self.handshake[-1:] != ["DONE"]:
            self.handshake.append(self.line())
        if introduces_itself:
            self.send("VERSION\t1\t0", "CPID\t4711")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    @property
    def mechanisms(self):
        return [line.split("\t")[1] for line in self.handshake if line.startswith("MECH\t")]

    def send(self, *lines):
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def line(self):
        while b"\n" not in self._received:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Ended
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def reply(self):
        word, number, *rest = self.line().split("\t")
        if word == "CONT":
            return Reply(word, int(number), data=base64.b64decode(rest[0]))
        return Reply(word, int(number), dict(entry.partition("=")[::2] for entry in rest))

    def is_ended(self):
        """Whether nothing more comes, not even a byte."""
        try:
            self.line()
        except Ended:
            return True
        return False

    # logins

    def begin(self, mechanism, response=None, service="smtp", **parameters):
        """Sends an AUTH, as Postfix writes it, and returns its id."""
        number, self._next_id = self._next_id, self._next_id + 1
        words = [f"AUTH\t{number}\t{mechanism}\tservice={service}\tnologin",
                 *(name if value is True else f"{name}={value}" for name, value in parameters.items())]
        self.send("\t".join(words + ([] if response is None else [f"resp={response}"])))
        return number

    def log_in(self, mechanism, user, password, **parameters):
        """A whole login; returns the last reply."""
        return getattr(self, "_" + mechanism.lower().replace("-", "_"))(mechanism, user, password, parameters)

    def answer(self, number, data):
        self.send(f"CONT\t{number}\t{encoded(data)}")
        return self.reply()

    def _plain(self, mechanism, user, password, parameters):
        self.begin(mechanism, plain(user, password), **parameters)
        return self.reply()

    def _login(self, mechanism, user, password, parameters):
        number = self.begin(mechanism, **parameters)
        assert self.reply().data == b"Username:"
        reply = self.answer(number, user)
        return self.answer(number, password) if reply.word == "CONT" else reply

    def _cram_md5(self, mechanism, user, password, parameters):
        number = self.begin(mechanism, **parameters)
        challenge = self.reply().data
        digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
        return self.answer(number, f"{user} {digest}")

    def _scram_sha_1(self, *login):
        return self._scram("sha1", *login)

    def _scram_sha_256(self, *login):
        return self._scram("sha256", *login)

    def _scram(self, digest, mechanism, user, password, parameters):
        """RFC 5802, and checks the server's signature."""
        name = user.replace("=", "=3D").replace(",", "=2C")
        first_bare = f"n={name},r=rOprNGfwEbeRWgbNEkqO"
        number = self.begin(mechanism, encoded("n,," + first_bare), **parameters)
        server_first = self.reply()
        if server_first.word != "CONT":
            return server_first
        self.challenge = server_first.data.decode()
        values = dict(entry.split("=", 1) for entry in self.challenge.split(","))
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(values["s"]), int(values["i"]))
        final_bare = f"c={encoded('n,,')},r={values['r']}"
        transcript = f"{first_bare},{self.challenge},{final_bare}".encode()
        client_key = hmac.digest(salted, b"Client Key", digest)
        signature = hmac.digest(hashlib.new(digest, client_key).digest(), transcript, digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        reply = self.answer(number, f"{final_bare},p={encoded(proof)}")
        if reply.word != "CONT":
            return reply
        expected = hmac.digest(hmac.digest(salted, b"Server Key", digest), transcript, digest)
        assert reply.data == b"v=" + base64.b64encode(expected), "the server does not know the password"
        self.send(f"CONT\t{number}\t")
        return self.reply()
