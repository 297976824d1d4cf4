# SPDX-License-Identifier: BSD-2-Clause
"""Clients that give up, by both protocols and at every stage of a login: row 47 of the faults."""

import socket

from support.dovecot_auth import encoded, plain
from support.sasldb import ALICE, BOB
from support.wire import request

BOB_NAME = f"{BOB.user}@{BOB.realm}"
RIGHT = request(BOB.user, BOB.password, realm=BOB.realm)
WRONG = request(BOB.user, "looking-glass", realm=BOB.realm)

# What is sent by saslauthd's protocol before the connection is closed, without a look at what the server says.
CUT_SHORT = [b"", RIGHT[:1], RIGHT[:2], RIGHT[:5], RIGHT[:len(RIGHT) // 2], RIGHT[:-1],
             RIGHT, WRONG, request("nobody", "x"), RIGHT + b"behind it", request(ALICE.user, "x" * 1025), b"\xff\xff",
             b"\0\0\0\0"]

INTRODUCTION = "VERSION\t1\t0\nCPID\t4711\n"
SCRAM_FIRST = encoded(f"n,,n={BOB_NAME},r=abc")

# Logins that are given up while their connection goes on.
GIVEN_UP = [
    lambda i: f"AUTH\t{i}\tLOGIN\tservice=smtp\nCONT\t{i}\t{encoded(BOB_NAME)}\nCANCEL\t{i}\n",
    lambda i: f"AUTH\t{i}\tLOGIN\tservice=smtp\nCANCEL\t{i}\n",
    lambda i: f"AUTH\t{i}\tLOGIN\tservice=smtp\nCONT\t{i}\t!\n",
    lambda i: f"AUTH\t{i}\tCRAM-MD5\tservice=smtp\n",  # as Postfix does it: without a word
    lambda i: f"AUTH\t{i}\tPLAIN\tservice=smtp\tresp=\n",
    lambda i: f"AUTH\t{i}\tSCRAM-SHA-256\tservice=smtp\tresp={SCRAM_FIRST}\nCANCEL\t{i}\n",
    lambda i: f"AUTH\t{i}\tSCRAM-SHA-256\tservice=smtp\tresp={SCRAM_FIRST}\n",
    lambda i: f"AUTH\t{i}\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, 'x')}\nCANCEL\t{i}\n",
    lambda i: f"AUTH\t{i}\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, BOB.password)}\nCANCEL\t{i}\n",
    lambda i: f"AUTH\t{i}\tXOAUTH2\tservice=smtp\tresp=\n",
]

# And those that end with it.
LEFT = ["", INTRODUCTION[:7], INTRODUCTION, INTRODUCTION + "AUTH\t1\tLOGIN\tservice=sm",
        INTRODUCTION + "AUTH\t1\tLOGIN\tservice=smtp\n",
        INTRODUCTION + f"AUTH\t1\tLOGIN\tservice=smtp\nCONT\t1\t{encoded(BOB_NAME)}\n",
        INTRODUCTION + f"AUTH\t1\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, BOB.password)}\n",
        INTRODUCTION + f"AUTH\t1\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, 'x')}\n",
        INTRODUCTION + f"AUTH\t1\tSCRAM-SHA-256\tservice=smtp\tresp={SCRAM_FIRST}\n",
        INTRODUCTION + "NOOP\n"]

# A worker is asked about it, behind all the others: so no more requests wait than a round has.
LAST = f"AUTH\t999\tPLAIN\tservice=smtp\tresp={plain(BOB_NAME, 'looking-glass')}\n"
ALL_GIVEN_UP = (INTRODUCTION + "".join(give_up(i) for i, give_up in enumerate(GIVEN_UP, 1)) + LAST).encode()
IN_A_ROUND = len(CUT_SHORT) + len(GIVEN_UP) + len(LEFT)


def abort_logins(saslauthd_socket, dovecot_socket, count):
    """`count` logins that are given up, and some more."""
    for _ in range(0, count, IN_A_ROUND):
        for sent in CUT_SHORT:
            with connected(saslauthd_socket) as connection:
                send(connection, sent)
        for sent in LEFT:
            with connected(dovecot_socket) as connection:
                send(connection, sent.encode())
        with connected(dovecot_socket) as connection:
            connection.sendall(ALL_GIVEN_UP)
            wait_for(connection, b"FAIL\t999\t")


def connected(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(path))
    return connection


def send(connection, data):
    """What the server still takes."""
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def wait_for(connection, words):
    received = b""
    while words not in received:
        piece = connection.recv(65536)
        assert piece, f"the connection ended before {words}: {received}"
        received += piece
