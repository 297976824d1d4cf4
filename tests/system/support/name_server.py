# SPDX-License-Identifier: BSD-2-Clause
"""A name server that knows nobody and remembers what it was asked: the host's only one while it runs.

    with NameServer() as names:
        …
        assert "_kerberos._udp.example.org" in names.asked
"""

import socket
import threading
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
HEADER_BYTES = 12
IS_RESPONSE, NO_SUCH_NAME = 0x80, 0x83  # the third and fourth byte of a reply


class NameServer:
    def __init__(self):
        self.asked = []  # names, in lower case, in this order

    def __enter__(self):
        self._before = RESOLV_CONF.read_text() if RESOLV_CONF.exists() else None
        RESOLV_CONF.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._serve, name="name server", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
        RESOLV_CONF.unlink() if self._before is None else RESOLV_CONF.write_text(self._before)

    def _serve(self):
        while True:
            question, client = self._socket.recvfrom(4096)
            if len(question) <= HEADER_BYTES:
                return
            name, end = _name_in(question)
            self.asked.append(name.lower())
            reply = question[:2] + bytes([IS_RESPONSE | question[2], NO_SUCH_NAME]) + question[4:6] + bytes(6)
            self._socket.sendto(reply + question[HEADER_BYTES:end + 4], client)


def _name_in(question):
    """RFC 1035, 4.1.2: the name that is asked for, and where it ends."""
    labels, at = [], HEADER_BYTES
    while length := question[at]:
        labels.append(question[at + 1:at + 1 + length].decode(errors="backslashreplace"))
        at += 1 + length
    return ".".join(labels), at + 1
