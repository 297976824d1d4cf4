# SPDX-License-Identifier: BSD-2-Clause
"""The proxy that other tests trust: it does delay, cut, stall, inject, refuse, count and record."""

import socket
import threading
import time

import pytest

from support.eventually import eventually
from support.proxy import RECORDED_BYTES_MAX, Proxy

NOTHING_COMES = 0.2  # seconds; what does not come now never comes, however slow the machine is


@pytest.fixture
def echo_port():
    """The port of a server that sends back what it gets, and ends a connection when its client has finished."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)

    def serve(connection):
        with connection:
            try:
                while piece := connection.recv(65536):
                    connection.sendall(piece)
            except OSError:
                pass

    def accept():
        try:
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo_port):
    with Proxy(echo_port) as running:
        yield running


def connected(proxy):
    return socket.create_connection(proxy.address, timeout=60)


def received(connection, count):
    data = b""
    while len(data) < count and (piece := connection.recv(count - len(data))):
        data += piece
    return data


def echo(connection, data):
    connection.sendall(data)
    return received(connection, len(data))


def is_silent(connection):
    connection.settimeout(NOTHING_COMES)
    try:
        return connection.recv(1) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(60)


def test_it_passes_on_every_byte_both_ways_and_the_end(proxy):
    data = bytes(range(256)) * 8192
    with connected(proxy) as connection:
        threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR))).start()
        assert received(connection, len(data)) == data
        assert connection.recv(1) == b""
    assert proxy.accepted == 1
    assert proxy.to_server.bytes == proxy.to_client.bytes == len(data)
    assert proxy.connections[0].to_server == data[:RECORDED_BYTES_MAX]
    eventually(lambda: proxy.open_connections == 0, "the connection has ended")


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_it_delays(proxy, direction):
    with connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"
        getattr(proxy, direction).delay = 0.5
        began = time.monotonic()
        assert echo(connection, b"b") == b"b"
        assert time.monotonic() - began >= 0.5


def test_a_delay_is_no_throttle(proxy):
    proxy.to_server.delay = proxy.to_client.delay = 0.5
    with connected(proxy) as connection:
        began = time.monotonic()
        for count in range(1, 101):  # one after the other they would take 100 s
            connection.sendall(b"x")
            eventually(lambda: proxy.to_server.bytes + proxy.to_server.bytes_under_way == count, "one more under way")
        assert received(connection, 100) == b"x" * 100
        assert 1.0 <= time.monotonic() - began < 50


def test_bytes_under_way_keep_their_delay_and_their_order(proxy):
    proxy.to_server.delay = 0.5
    with connected(proxy) as connection:
        began = time.monotonic()
        connection.sendall(b"slow")
        eventually(lambda: proxy.to_server.bytes + proxy.to_server.bytes_under_way == 4, "slow is under way")
        proxy.to_server.delay = 0
        connection.sendall(b"fast")
        assert received(connection, 8) == b"slowfast"
        assert time.monotonic() - began >= 0.5


def test_it_cuts_all_connections(proxy):
    with connected(proxy) as one, connected(proxy) as other:
        assert echo(one, b"a") == echo(other, b"a") == b"a"
        proxy.cut()
        assert proxy.open_connections == 0
        assert one.recv(1) == other.recv(1) == b""
    with connected(proxy) as next_one:
        assert echo(next_one, b"a") == b"a"


def test_it_resets_them(proxy):
    with connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"
        proxy.cut(reset=True)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


@pytest.mark.parametrize("point", [4, b"cat,"])
def test_it_cuts_after_so_many_bytes_or_after_those(proxy, point):
    proxy.to_client.cut_at(point)
    for _ in range(2):
        with connected(proxy) as connection:
            connection.sendall(b"cat,dog")
            assert received(connection, 7) == b"cat,"


def test_it_resets_before_the_first_byte(proxy):
    proxy.to_server.cut_at(0, reset=True)
    with pytest.raises(ConnectionResetError), connected(proxy) as connection:  # by then it may be reset already
        connection.recv(1)
    assert proxy.to_server.bytes == 0


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_it_stalls_and_resumes(proxy, direction):
    with connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"
        getattr(proxy, direction).stall()
        connection.sendall(b"b")
        eventually(lambda: getattr(proxy, direction).bytes_under_way == 1, "it is held back")
        assert is_silent(connection)
        getattr(proxy, direction).resume()
        assert received(connection, 1) == b"b"


def test_whoever_comes_while_it_stalls_waits_too(proxy):
    with connected(proxy) as old:
        assert echo(old, b"a") == b"a"
        proxy.stall()
        with connected(proxy) as new:
            for connection in (old, new):
                connection.sendall(b"b")
                assert is_silent(connection)
            assert proxy.accepted == 1
            proxy.resume()
            assert received(old, 1) == received(new, 1) == b"b"


def test_it_refuses_and_admits_again_on_the_same_port(proxy):
    with connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
        assert echo(connection, b"b") == b"b"
    proxy.admit()
    with connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"


def test_it_injects_now(proxy):
    with connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"
        proxy.to_client.inject(b"from nobody")
        assert received(connection, 11) == b"from nobody"
        proxy.to_server.inject(b"from nobody")
        assert received(connection, 11) == b"from nobody"  # the server has sent it back
        assert (proxy.to_server.bytes, proxy.to_client.bytes) == (1, 12)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_knows_what_was_not_read(echo_port, host):
    with Proxy(echo_port, host) as proxy, connected(proxy) as connection:
        assert echo(connection, b"a") == b"a"
        eventually(lambda: proxy.to_client.bytes_unread == 0, "all of it was read")
        proxy.to_client.stall()
        connection.sendall(b"bcd")
        eventually(lambda: proxy.to_client.bytes_unread == 3, "they are under way")
        proxy.to_client.resume()
        eventually(lambda: proxy.to_client.bytes_under_way == 0, "they arrive")
        assert proxy.to_client.bytes_unread == 3
        for unread in (2, 1, 0):
            received(connection, 1)
            assert proxy.to_client.bytes_unread == unread
        connection.sendall(b"e")
        eventually(lambda: proxy.to_client.bytes_unread == 1, "it is sent back")
        proxy.cut()
        assert proxy.to_client.bytes_unread == 0


@pytest.mark.parametrize("point", [0, 3, 7, b"g", b"cat-", b"cat-dog"])
def test_it_injects_at_a_point_of_each_connection(proxy, point):
    proxy.to_server.inject_at(point, b"<!>")
    end = point if isinstance(point, int) else b"cat-dog".find(point) + len(point)
    for _ in range(2):
        with connected(proxy) as connection:
            for piece in (b"c", b"at-", b"dog"):
                connection.sendall(piece)
            assert received(connection, 10) == b"cat-dog"[:end] + b"<!>" + b"cat-dog"[end:]


def test_what_is_injected_comes_in_one_piece_with_the_bytes_before_it(proxy):
    """As an attacker would have it who writes to a client before its TLS has begun."""
    proxy.to_client.inject_at(b"begin\r\n", b"* PREAUTH\r\n")
    with connected(proxy) as connection:
        connection.sendall(b"OK begin\r\n")
        assert connection.recv(1000) == b"OK begin\r\n* PREAUTH\r\n"


def test_a_server_that_is_down_ends_the_connection(proxy):
    proxy.server = ("127.0.0.1", 1)
    with pytest.raises(ConnectionResetError), connected(proxy) as connection:
        connection.recv(1)
