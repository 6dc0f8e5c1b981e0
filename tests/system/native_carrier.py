"""The carrier of the native protocol for its tests' client: bytes over TCP, plain or in TLS 1.3."""
import contextlib
import select
import socket
import time


class Carrier:
    """A TCP connection, plain or in TLS 1.3. While it sends it receives, so that neither side waits for the other."""

    def __init__(self, port, ca=None, alpn=(b"pwp/1",), address="127.0.0.1"):
        self.socket = self.stream = socket.create_connection((address, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.channel, self.incoming, self.ended = bytes(32), bytearray(), False
        self.wants_read, self.wants_write = (BlockingIOError,), (BlockingIOError,)
        self.gone = (ConnectionError,)
        self.socket.setblocking(False)
        self.readable, self.usable = select.poll(), select.poll()  # unlike select(), whatever the socket's number
        self.readable.register(self.socket, select.POLLIN)
        self.usable.register(self.socket, select.POLLIN | select.POLLOUT)
        if ca:
            self._secure(ca, alpn)

    def _secure(self, ca, alpn):
        from OpenSSL import SSL  # the standard library's module has no exporter
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.load_verify_locations(ca)
        context.set_verify(SSL.VERIFY_PEER, lambda *arguments: bool(arguments[-1]))
        if alpn:
            context.set_alpn_protos(list(alpn))
        self.stream = SSL.Connection(context, self.socket)
        self.stream.set_connect_state()
        self.wants_read, self.wants_write = (SSL.WantReadError,), (SSL.WantWriteError,)
        self.gone = (SSL.ZeroReturnError, SSL.SysCallError, SSL.Error, ConnectionError)
        end = time.monotonic() + 10
        while True:
            try:
                self.stream.do_handshake()
                break
            except SSL.WantReadError:
                assert self._comes(end - time.monotonic()), "TLS: no handshake"
        assert self.stream.get_alpn_proto_negotiated() == b"pwp/1", self.stream.get_alpn_proto_negotiated()
        assert self.stream.get_protocol_version_name() == "TLSv1.3"
        self.channel = self.stream.export_keying_material(b"EXPORTER-penstock-pwp1", 32)

    def _comes(self, seconds):
        return bool(self.readable.poll(max(0, seconds) * 1000))

    def receive(self, seconds):
        """Takes what comes within the time; False where nothing did."""
        if self.ended:
            return False
        pending = self.stream is not self.socket and self.stream.pending()
        if not pending and not self._comes(seconds):
            return False
        try:
            data = self.stream.recv(1 << 20)
        except self.wants_read:
            return True
        except self.gone:
            data = b""
        self.ended = not data
        self.incoming += data
        return True

    def send(self, data, seconds=30):
        """False where the server has closed, which is found out by receiving."""
        rest, end = memoryview(bytes(data)), time.monotonic() + seconds
        while rest:
            try:
                rest = rest[self.stream.send(rest[:1 << 20] if self.stream is self.socket else bytes(rest[:16384])):]
                continue
            except self.wants_read + self.wants_write:
                pass
            except self.gone:
                return False
            assert time.monotonic() < end, "the server takes no bytes"
            self.usable.poll(1000)
            self.receive(0)
        return True

    def end(self):
        """Tells the server that nothing more comes."""
        with contextlib.suppress(OSError):  # the server was faster
            self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()
