"""What TCP on loopback alone does, between a process on the server's CPU and one on the client's, neither of which does
anything else. Both wait in the kernel, as a server that is not polling does.
"""
import contextlib
import os
import socket
import struct
import time

HEAD = struct.Struct("<II")  # bytes of the request behind it, bytes of the answer
PIECE = 256 << 10


def exactly(connection, view):
    while view:
        count = connection.recv_into(view, len(view), socket.MSG_WAITALL)
        if count == 0:
            return False
        view = view[count:]
    return True


def answer(connection):
    head, body = memoryview(bytearray(HEAD.size)), memoryview(bytearray(16 << 20))
    while exactly(connection, head):
        request_bytes, answer_bytes = HEAD.unpack(head)
        exactly(connection, body[:request_bytes])
        connection.sendall(body[:answer_bytes])


def stream(connection):
    piece = bytes(PIECE)
    with contextlib.suppress(ConnectionError):
        while True:
            connection.sendall(piece)


@contextlib.contextmanager
def peer(serve, server_cpu, client_cpu):
    """A connection to a process that serves it on server_cpu; what is in the block runs on client_cpu."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = os.fork()
        if child == 0:
            try:
                os.sched_setaffinity(0, {server_cpu})
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                serve(connection)
            finally:
                os._exit(0)
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {client_cpu})
        try:
            with socket.create_connection(listener.getsockname()) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield connection
        finally:
            os.sched_setaffinity(0, mine)
            os.waitpid(child, 0)


def round_trip(request_bytes, answer_bytes, seconds, server_cpu, client_cpu):
    """{p50_us, p99_us} of a request of so many bytes and its answer, one at a time: the null round trip."""
    with peer(answer, server_cpu, client_cpu) as connection:
        request = HEAD.pack(request_bytes, answer_bytes) + bytes(request_bytes)
        view, took = memoryview(bytearray(answer_bytes)), []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(took) < 100:
            begin = time.perf_counter_ns()
            connection.sendall(request)
            exactly(connection, view)
            took.append(time.perf_counter_ns() - begin)
    took.sort()
    return {"p50_us": took[len(took) // 2] / 1e3, "p99_us": took[len(took) * 99 // 100] / 1e3, "count": len(took)}


def throughput(seconds, server_cpu, client_cpu):
    """{bytes_per_s} from the server to the client, over one connection."""
    with peer(stream, server_cpu, client_cpu) as connection:
        view, count, begin = memoryview(bytearray(PIECE)), 0, time.monotonic()
        while time.monotonic() < begin + seconds:
            count += connection.recv_into(view)
        return {"bytes_per_s": count / (time.monotonic() - begin)}
