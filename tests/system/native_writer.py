"""A writer of load.Fleet that puts by the C++ library: an idempotent producer in a process of its own
(native_load/native_load.cc), which may be killed, too."""
import random
import subprocess
import threading
import time

import checker
import harness

PROGRAM = harness.BUILD / "tests" / "system" / "native_load" / "native_load"


def start(endpoint, daemon, stream, path, batch_bytes):
    return subprocess.Popen([PROGRAM, endpoint, stream, path, str(batch_bytes)], stdin=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=daemon.client_environment())


class NativeWriter(threading.Thread):
    """Puts its devices' messages in order, each once: what has no result when the process is killed is left so.
    Where it is not killed, everything must be stored, however often the daemon is.

    Of two neighbours one speaks TLS and one plain TCP, one makes small batches and one the usual ones.
    """

    def __init__(self, name, daemon, stream, messages, journal, pause=0.02):
        super().__init__(name=name, daemon=True)
        self.stream, self.journal, self.pause = stream, journal, pause
        self.server, self.folder = daemon, daemon.log_path.parent
        odd = int(name[1:]) % 2
        self.endpoint = f"{'tls' if odd else 'tcp'}://localhost:{daemon.port + 2}"
        self.batch_bytes = 4096 if odd else 65536
        self.chance = random.Random(name)
        self.stopping = threading.Event()
        self.error = self.process = None
        self.lives, self.kills, self.killed = 0, 0, threading.Event()
        self.messages = checker.endless_records(name, messages)

    def successor(self):
        """A thread that goes on where this one has stopped."""
        new = NativeWriter(self.name, self.server, self.stream, [], self.journal, self.pause)
        new.messages, new.chance, new.lives, new.kills = self.messages, self.chance, self.lives, self.kills
        return new

    def kill(self):
        """Ends the process as it is; the thread starts another."""
        process = harness.eventually(lambda: self.error or (not self.killed.is_set() and self.process),
                                     what="the process's successor")
        if not self.error:
            self.killed.set()
            self.kills += 1
            process.kill()

    def run(self):
        try:
            while not self.stopping.is_set():
                self._life()
        except Exception as error:
            self.error = error

    def _life(self):
        self.lives += 1
        producer = f"{self.name}-{self.lives}"
        written = checker.JournalFile(self.folder / f"{producer}.journal", self.journal, producer)
        self.process = process = start(self.endpoint, self.server, self.stream, written.path, self.batch_bytes)
        try:
            self._feed(process, written)
        except BrokenPipeError:
            pass  # its status says why
        end = time.monotonic() + 50
        while process.poll() is None and time.monotonic() < end:
            written.take()
            time.sleep(0.01)
        ended = process.poll() is not None
        process.kill()
        said = process.stderr.read().decode()
        process.wait()
        written.take()
        self.process = None
        if self.killed.is_set():
            return self.killed.clear()
        assert ended, f"{producer} does not end: {len(written.open)} records have no result"
        assert process.returncode == 0, f"{producer} ended with {process.returncode}: {said}"
        undecided = len(written.open) + written.refused + written.unknown
        assert not undecided, (f"{producer} ended, and {undecided} records have no result that says where they are: "
                               f"{written.refused} are refused, {written.unknown} unknown; {said}")
        print(f"# {producer}: {said.strip()}", flush=True)

    def _feed(self, process, written):
        with process.stdin:
            while not self.stopping.is_set() and process.poll() is None:
                records = (next(self.messages) for _ in range(self.chance.randint(1, 60)))
                process.stdin.write(b"".join(b"%s\t%s\t%s\n" % (identity.encode(), device.encode(), data)
                                             for identity, data, device in records))
                process.stdin.flush()
                written.take()
                self.stopping.wait(self.pause * self.chance.random())
