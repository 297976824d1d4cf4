# SPDX-License-Identifier: BSD-2-Clause
"""The saslauthd protocol from a client's side, as raw bytes: what is sent, in which pieces, and what came back."""

import fcntl
import select
import socket
import struct
import termios
import time
from dataclasses import dataclass

from support.eventually import eventually


def counted(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def request(login, password, service="imap", realm="", client_address=None):
    """The bytes of a request: four counted strings, or five."""
    fields = [login, password, service, realm] + ([] if client_address is None else [client_address])
    return b"".join(counted(field) for field in fields)


@dataclass(frozen=True)
class Reply:
    """Everything a server sent until it ended the connection."""

    raw: bytes
    ending: str  # "eof", "reset", or "open": the server had not ended it in time

    @property
    def text(self):
        """What the one counted string says; nothing when that is not what was sent."""
        if len(self.raw) < 2 or len(self.raw) != 2 + struct.unpack(">H", self.raw[:2])[0]:
            return None
        return self.raw[2:].decode("latin-1")

    @property
    def is_accepted(self):
        return self.text is not None and self.text.startswith("OK")

    @property
    def is_refused(self):
        return self.text is not None and self.text.startswith("NO")

    @property
    def is_unavailable(self):
        return self.raw == b"\0\0"

    def __str__(self):
        shown = "none" if not self.raw else f'"{self.text}"' if self.text is not None else repr(self.raw)
        return shown if self.ending == "eof" else f"{shown} ({self.ending})"


class Connection:
    """One connection to a saslauthd socket. A context manager."""

    def __init__(self, path, seconds=15.0):
        self.seconds = seconds
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Sends what the server still takes; one that has already answered may have gone."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def send_and_be_read(self, data):
        """Sends, and returns when the server has read all of it: what follows is another read of its own."""
        self.send(data)
        eventually(lambda: self._unread() == 0, f"the server reads {data!r}", self.seconds)
        return self

    def finish_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self

    def reply(self, seconds=None):
        """Reads until the server ends the connection, or until nothing more came in time."""
        end = time.monotonic() + (self.seconds if seconds is None else seconds)
        raw = b""
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                return Reply(raw, "reset")
            except TimeoutError:
                return Reply(raw, "open")
            if not piece:
                return Reply(raw, "eof")
            raw += piece

    def has_something(self):
        """Whether the server has said something, or ended the connection, by now."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def _unread(self):
        """How many bytes wait in the server's end (a UNIX socket counts them at the sender: SIOCOUTQ)."""
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


def ask(path, login, password, service="imap", realm="", seconds=15.0):
    """One login, in one piece, as libsasl2 sends it."""
    with Connection(path, seconds) as connection:
        return connection.send(request(login, password, service, realm)).reply()
