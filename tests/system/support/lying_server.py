# SPDX-License-Identifier: BSD-2-Clause
"""A server that stands before a real one and changes some of its replies: what the conformance suite must catch."""

import socket
import threading


class LyingServer:
    """Passes bytes on both ways; `lie(request, reply)` says what the client gets. A context manager."""

    def __init__(self, path, honest_path, lie=lambda request, reply: reply):
        self.socket = path
        self.honest_path = honest_path
        self.lie = lie
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self):
        self.listener.bind(str(self.socket))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client):
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as honest:
            honest.connect(str(self.honest_path))
            seen = bytearray()
            listening = threading.Thread(target=_pump, args=(client, honest, seen), daemon=True)
            listening.start()
            reply = b""
            while piece := honest.recv(65536):
                reply += piece
            client.sendall(self.lie(bytes(seen), reply))
            client.shutdown(socket.SHUT_WR)
            listening.join(5)


def _pump(source, target, seen):
    try:
        while piece := source.recv(65536):
            seen += piece
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
