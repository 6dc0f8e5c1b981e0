"""`[native] zero_copy_send` between two machines: two network namespaces of the test's own, joined by a veth pair. Such a pair
copies what it carries, so every connection tries once and goes on by copy; what arrives is what was stored."""
import contextlib
import ctypes
import os
import random
import subprocess

import harness
import native_session as native
from native_session import Session, position

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
HERE, THERE = "10.223.0.1", "10.223.0.2"
SETTINGS = {"kinesis": {"https": "127.0.0.1:4567", "http": "127.0.0.1:4568"}, "admin": {"listen": "127.0.0.1:4570"},
            "native": {"listen": f"{HERE}:4569", "zero_copy_send": True}}


def ip(words):
    subprocess.run(["ip", *words.split()], check=True, stderr=subprocess.DEVNULL)


def own_network():
    """A descriptor of a new namespace, in which this process then is."""
    if LIBC.unshare(CLONE_NEWNET):
        harness.skip(f"a network namespace of its own: {os.strerror(ctypes.get_errno())}", optional=True)
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def within(network):
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert LIBC.setns(network, CLONE_NEWNET) == 0, ctypes.get_errno()
    try:
        yield
    finally:
        assert LIBC.setns(before, CLONE_NEWNET) == 0, ctypes.get_errno()
        os.close(before)


@contextlib.contextmanager
def two_machines():
    """This process is on the one where the server is; gives the other."""
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    networks = []
    try:
        networks.append(own_network())
        networks.append(own_network())
        there = networks[0]
        try:
            ip("link set lo up")
            ip(f"link add here type veth peer name there netns /proc/{os.getpid()}/fd/{there}")
        except (OSError, subprocess.CalledProcessError):
            harness.skip("veth pairs, and `ip` of iproute2", optional=True)
        ip(f"addr add {HERE}/24 dev here")
        ip("link set here up")
        with within(there):
            ip(f"addr add {THERE}/24 dev there")
            ip("link set there up")
        yield there
    finally:
        assert LIBC.setns(before, CLONE_NEWNET) == 0, ctypes.get_errno()
        for descriptor in (before, *networks):
            os.close(descriptor)


def test_sends_to_another_machine():
    with two_machines() as there, harness.scratch("zero_copy") as folder:
        daemon = harness.Daemon(folder / "data", settings=SETTINGS)
        daemon.port = 4567
        with daemon:
            def connect():
                return Session(daemon, tls=True, address=HERE)
            chance = random.Random(5)
            with within(there):
                writer, reader = connect(), connect()
            with writer, reader:
                writer.create("s", 1)
                lane = writer.opened("s", 0)
                sent = [(b"key", chance.randbytes(100_000)) for _ in range(80)]
                for first in range(0, len(sent), 8):
                    assert writer.put_wait(lane, sent[first:first + 8]).kind == native.PUT_DONE
                for delivery_bytes in (100_000, 400_000):
                    subscription, _ = reader.subscribe("s", 0, position("Horizon"), window=4 << 20,
                                                       delivery_bytes=delivery_bytes)
                    records, _ = reader.delivered(subscription, len(sent))
                    assert [(record.key, record.data) for record in records] == sent
                    reader.frame(native.RESET, subscription)
            tried = harness.eventually(lambda: daemon.metric("penstock_native_zero_copy_sends_total"), what="a send")
            copied = daemon.metric("penstock_native_zero_copy_copied_total")
            print(f"# {tried:.0f} sends without a copy, of which the kernel copied {copied:.0f}")
            assert 1 <= copied <= tried <= 16, (tried, copied)  # what was under way before the first notice

            # On this machine, by its own address that is none of loopback's: tried once, and copied.
            with connect() as session:
                found, _ = session.read("s", 0)
                assert [(record.key, record.data) for record in found] == sent
            assert daemon.metric("penstock_native_zero_copy_sends_total") <= tried + 8
            assert daemon.terminate() == 0


harness.run(globals())
