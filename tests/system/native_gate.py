"""A gate between the C++ library and the daemon: a TCP proxy on loopback that passes so many bytes on and no more, keeps
answers back, and lets nobody in while it is shut. It passes bytes, so TLS goes through it as well."""
import contextlib
import selectors
import socket
import threading

CHUNK = 1 << 18


class Gate(threading.Thread):
    """One client at a time. What is set holds from the next bytes on."""

    def __init__(self, port):
        super().__init__(name="gate", daemon=True)
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.passed = 0    # bytes to the daemon, of all connections
        self.limit = None  # of `passed`; none: no limit
        self.mute = None   # from so many `passed` on nothing goes back to the client
        self.shut = False  # who comes waits
        self.stopping = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join(30)
        self.listener.close()

    def run(self):
        self.listener.settimeout(0.05)
        while not self.stopping.is_set():
            if self.shut:
                self.stopping.wait(0.01)
                continue
            with contextlib.suppress(TimeoutError, ConnectionError):
                client, _ = self.listener.accept()
                with client:
                    self._serve(client)

    def _serve(self, client):
        with socket.create_connection(self.target, 10) as server, selectors.DefaultSelector() as ready:
            for end in (client, server):
                end.settimeout(30)
                ready.register(end, selectors.EVENT_READ)
            while not self.stopping.is_set():
                ends = [key.fileobj for key, _ in ready.select(0.05)]
                room = CHUNK if self.limit is None else min(CHUNK, self.limit - self.passed)
                if client in ends and room:
                    data = client.recv(room)
                    if not data:
                        return
                    server.sendall(data)
                    self.passed += len(data)
                if server in ends:
                    data = server.recv(CHUNK)
                    if not data:
                        return
                    if self.mute is None or self.passed < self.mute:
                        client.sendall(data)
                if client in ends and not room:
                    self.stopping.wait(0.005)  # they stay readable
