# SPDX-License-Identifier: BSD-2-Clause
"""A TCP proxy before a real server: a network that is far away, breaks, hangs, or lies, on order.

    with Proxy(server_port) as proxy:                   # the client connects to proxy.address
        proxy.to_client.delay = 0.02                    # seconds on the way, however many bytes are under way
        proxy.to_server.stall(); proxy.to_server.resume()
        proxy.to_client.inject(b"* BYE\r\n")            # now, on every open connection
        proxy.to_client.inject_at(b"OK begin\r\n", b"x")  # after those bytes, or after that many, on each connection
        proxy.to_client.cut_at(10, reset=True)          # the same for an end
        proxy.cut()                                     # now, all of them
        proxy.refuse(); proxy.admit()                   # nobody listens, as on a host whose server is down
        proxy.stop_accepting(); proxy.accept_again()    # connected by the kernel, and never heard of
        proxy.stall(); proxy.resume()                   # all that hangs: accepts and forwards nothing
        proxy.accepted, proxy.open_connections, proxy.to_server.bytes, proxy.connections[-1].to_server
        proxy.to_client.bytes_unread                    # under way, or not read yet by whom they are for

Runs in a thread of its own. What a method orders is done when it returns.
"""

import asyncio
import collections
import socket
import struct
import threading
from pathlib import Path

RECORDED_BYTES_MAX = 65536  # of each direction of a connection
RECORDED_CONNECTIONS_MAX = 1000
BACKLOG = 128
PIECE_BYTES_MAX = 65536
END = None  # in the place of a piece: the sender has finished


class Proxy:
    def __init__(self, server, host="127.0.0.1"):
        """`server`: a port on the loopback interface, or an address."""
        self.server = server if isinstance(server, tuple) else ("127.0.0.1", server)
        self.to_server = Direction(self, "to_server")
        self.to_client = Direction(self, "to_client")
        self.accepted = 0
        self._recorded = collections.deque(maxlen=RECORDED_CONNECTIONS_MAX)
        self._open = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener = None
        self._port_holder = _bound(host, 0)  # keeps the port while nobody listens there
        self.address = self._port_holder.getsockname()[:2]

    @property
    def port(self):
        return self.address[1]

    @property
    def connections(self):
        """As they are known now, the oldest first; also ended ones."""
        return list(self._recorded)

    def forget_connections(self):
        self._recorded.clear()

    @property
    def open_connections(self):
        return len(self._open)

    def __enter__(self):
        self._thread.start()
        self.admit()
        return self

    def __exit__(self, *_):
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._port_holder.close()

    # orders

    def cut(self, reset=False):
        """Ends all connections, on both sides. What is under way is lost."""
        self._run(self._cut, reset)

    def refuse(self):
        """Nobody listens any more; connections that are open stay."""
        self._run(self._stop_listening)

    def admit(self):
        self._run(self._listen)

    def stop_accepting(self):
        """The kernel still completes connections, as it does for a server that was stopped."""
        self._run(self._watch_listener, False)

    def accept_again(self):
        self._run(self._watch_listener, True)

    def stall(self):
        self.stop_accepting()
        self.to_server.stall()
        self.to_client.stall()

    def resume(self):
        self.to_client.resume()
        self.to_server.resume()
        self.accept_again()

    # in the thread of the proxy

    def _run(self, function, *arguments):
        async def run():
            done = function(*arguments)
            return await done if asyncio.iscoroutine(done) else done

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def _listen(self):
        if self._listener is None:
            self._listener = _bound(*self.address)
            self._listener.listen(BACKLOG)
            self._watch_listener(True)

    def _stop_listening(self):
        if self._listener is not None:
            self._watch_listener(False)
            self._listener.close()
            self._listener = None

    def _watch_listener(self, accepting):
        if accepting:
            self._loop.add_reader(self._listener, self._accept)
        else:
            self._loop.remove_reader(self._listener)

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        self.accepted += 1
        connection = Connection(self, client)
        self._recorded.append(connection)
        self._open.add(connection)
        connection.task = self._loop.create_task(connection.serve())

    async def _cut(self, reset):
        ending = list(self._open)
        for connection in ending:
            connection.resets = reset
            connection.task.cancel()
        await asyncio.gather(*(connection.task for connection in ending), return_exceptions=True)
        for connection in ending:
            connection.close()  # one that was cancelled before it began


class Direction:
    """One way through the proxy. `delay` holds for what comes in from now on."""

    def __init__(self, proxy, name):
        self.proxy = proxy
        self.name = name
        self.delay = 0.0
        self.bytes = 0  # that arrived, of all connections; without those injected
        self.orders = []  # (point, what to inject or None, how to end or None)
        self.is_stalled = False

    @property
    def bytes_under_way(self):
        return sum(pipe.bytes_under_way for pipe in self._pipes())

    @property
    def bytes_unread(self):
        """Of the connections that are open: also what waits in the kernel for whom it is for."""
        return sum(pipe.bytes_under_way + _unread(pipe.target) for pipe in self._pipes())

    def stall(self):
        self._run(self._set_stalled, True)

    def resume(self):
        self._run(self._set_stalled, False)

    def inject(self, data):
        """After what is under way."""
        self._run(lambda: [pipe.put(data, is_genuine=False) for pipe in self._pipes()])

    def inject_at(self, point, data):
        """Once on each connection that begins from now on, and in one piece with the bytes before the point.

        A point is a number of bytes, or the bytes that end there.
        """
        self.orders.append((point, data, None))

    def cut_at(self, point, reset=False):
        self.orders.append((point, None, "reset" if reset else "close"))

    def forget_orders(self):
        self.orders.clear()

    def _run(self, function, *arguments):
        self.proxy._run(function, *arguments)

    def _pipes(self):
        return [connection.pipes[self.name] for connection in list(self.proxy._open)]

    def _set_stalled(self, is_stalled):
        self.is_stalled = is_stalled
        for pipe in self._pipes():
            pipe.wake()


class Connection:
    """What went through it is in `to_server` and `to_client`, up to RECORDED_BYTES_MAX each."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.loop = asyncio.get_running_loop()
        self.client = client
        self.server = socket.socket(socket.AF_INET6 if ":" in proxy.server[0] else socket.AF_INET)
        for end in (self.client, self.server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipes = {
            "to_server": Pipe(self, proxy.to_server, self.client, self.server),
            "to_client": Pipe(self, proxy.to_client, self.server, self.client),
        }
        self.task = None
        self.resets = False  # when it ends

    @property
    def is_open(self):
        return self in self.proxy._open

    @property
    def to_server(self):
        return bytes(self.pipes["to_server"].recorded)

    @property
    def to_client(self):
        return bytes(self.pipes["to_client"].recorded)

    async def serve(self):
        try:
            await self._pass_on()
        except* OSError:  # one side has broken it off: so do we
            self.resets = True
        except* Cut as cut:
            self.resets = cut.exceptions[0].resets
        finally:
            self.close()

    async def _pass_on(self):
        await self.loop.sock_connect(self.server, self.proxy.server)
        async with asyncio.TaskGroup() as group:
            for pipe in self.pipes.values():
                group.create_task(pipe.fill())
                group.create_task(pipe.drain())

    def close(self):
        self.proxy._open.discard(self)
        for end in (self.client, self.server):
            if self.resets and end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()


class Cut(Exception):
    def __init__(self, resets):
        self.resets = resets


class Pipe:
    """One way of one connection: fill() takes bytes in, drain() lets them out when their time has come."""

    def __init__(self, connection, direction, source, target):
        self.connection = connection
        self.direction = direction
        self.source = source
        self.target = target
        self.orders = list(direction.orders)
        self.recorded = bytearray()
        self.bytes = 0
        self.tail = b""  # what an order may look for, already gone
        self.bytes_under_way = 0
        self.queue = collections.deque()  # (when, piece, whether it came from the source)
        self.changed = asyncio.Event()

    def wake(self):
        self.changed.set()

    def put(self, piece, is_genuine=True):
        self.queue.append((self.connection.loop.time() + self.direction.delay, piece, is_genuine))
        self.bytes_under_way += len(piece or b"")
        self.wake()

    async def fill(self):
        while piece := await self.connection.loop.sock_recv(self.source, PIECE_BYTES_MAX):
            self.put(piece)
        self.put(END)

    async def drain(self):
        await self._pass_on(b"")
        while True:
            await self._wait_for_piece()
            _, piece, is_genuine = self.queue.popleft()
            if piece is END:
                self.target.shutdown(socket.SHUT_WR)
                return
            if is_genuine:
                await self._pass_on(piece)
            else:
                await self._send(piece)
            self.bytes_under_way -= len(piece)

    async def _wait_for_piece(self):
        while True:
            self.changed.clear()
            wait = self.queue[0][0] - self.connection.loop.time() if self.queue else None
            if wait is not None and wait <= 0 and not self.direction.is_stalled:
                return
            try:
                await asyncio.wait_for(self.changed.wait(), None if self.direction.is_stalled else wait)
            except asyncio.TimeoutError:
                pass

    async def _pass_on(self, piece):
        while due := self._first_order_in(piece):
            end, order = due
            self.orders.remove(order)
            _, data, ending = order
            self._count(piece[:end])
            if ending:
                await self._send(piece[:end])
                raise Cut(ending == "reset")
            rest = piece[end:]
            await self._send(piece[:end] + data)
            piece = rest
        self._count(piece)
        await self._send(piece)

    def _first_order_in(self, piece):
        """The order whose point lies in the piece, and where: None, or (end, order)."""
        points = [(self._end_of(order[0], piece), number, order) for number, order in enumerate(self.orders)]
        due = [(end, number, order) for end, number, order in points if end is not None]
        return (min(due)[0], min(due)[2]) if due else None

    def _end_of(self, point, piece):
        if isinstance(point, int):
            end = point - self.bytes
        else:
            found = (self.tail + piece).find(point)
            end = found + len(point) - len(self.tail) if found >= 0 else -1
        return end if 0 <= end <= len(piece) else None

    def _count(self, piece):
        self.bytes += len(piece)
        self.direction.bytes += len(piece)
        self.recorded += piece[:RECORDED_BYTES_MAX - len(self.recorded)]
        longest = max((len(point) for point, *_ in self.orders if isinstance(point, bytes)), default=0)
        self.tail = (self.tail + piece)[-longest:] if longest else b""

    async def _send(self, data):
        if data:
            await self.connection.loop.sock_sendall(self.target, data)


def _unread(sender):
    """What waits at the other end of a connection, whose kernel is this one: rx_queue of proc(5)."""
    try:
        ports = [sender.getpeername()[1], sender.getsockname()[1]]
    except OSError:
        return 0  # it has ended
    sockets = [line.split()[1:5] for table in ("/proc/net/tcp", "/proc/net/tcp6")
               for line in Path(table).read_text().splitlines()[1:]]
    return sum(_behind_colon(queues) for *addresses, _, queues in sockets if [*map(_behind_colon, addresses)] == ports)


def _behind_colon(words):
    return int(words.partition(":")[2], 16)


def _bound(host, port):
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.setblocking(False)
    return bound
