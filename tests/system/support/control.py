# SPDX-License-Identifier: BSD-2-Clause
"""The control socket, spoken raw: a JSON object a line."""

import json
import socket


def request(directory, command, seconds=60.0):
    """The daemon's answer to one command, as Python has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        connection.connect(str(directory / "control"))
        connection.sendall(json.dumps({"version": 1, "command": command}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            return json.loads(answers.readline())


def status(directory):
    return request(directory, "status")["status"]


def backend_status(directory, name):
    return next(backend for backend in status(directory)["backends"] if backend["name"] == name)


def reload(directory):
    """The problem; empty when the new configuration is in force."""
    answer = request(directory, "reload")
    assert answer["ok"] or answer["problem"], answer
    return answer.get("problem", "")
