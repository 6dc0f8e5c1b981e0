"""File systems of their own for a daemon's data: a small ext4 in a file, and ext4 or XFS on a disk that forgets
what was not flushed when its power is cut (powercut/forgetful_disk.cc)."""
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess

import harness

FORGETFUL_DISK = harness.BUILD / "tests" / "system" / "powercut" / "forgetful_disk"


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout.strip()


def need_loop_devices():
    if os.geteuid() != 0:
        harness.skip("loop devices need root")
    if not os.path.exists("/dev/loop-control"):
        harness.skip("there is no /dev/loop-control here")


def make_file_system(kind, device):
    if kind == "xfs":
        run("mkfs.xfs", "-q", "-f", "-K", device)
    else:
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", device)


def attached(device):
    """Whether a loop device still stands on its file; a detached one that is mounted does."""
    return subprocess.run(["losetup", device], capture_output=True).returncode == 0


@contextlib.contextmanager
def small_ext4(folder, megabytes):
    """A mounted ext4 of that size."""
    need_loop_devices()
    image, place = folder / "small.img", folder / "mounted"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    make_file_system("ext4", image)
    device = run("losetup", "--find", "--show", "--direct-io=on", image)
    try:
        run("mount", device, place)
        yield place
    finally:
        subprocess.run(["umount", "-l", place], capture_output=True)
        subprocess.run(["losetup", "-d", device], capture_output=True)


class CutDisk:
    """A mounted file system on a forgetful disk; `cut` and `restore` are the power switch."""

    def __init__(self, folder, kind, megabytes=1024, seed=None):
        need_loop_devices()
        if not os.path.exists("/dev/fuse"):
            harness.skip("there is no /dev/fuse here")
        if not FORGETFUL_DISK.exists():
            harness.skip("forgetful_disk was not built: libfuse3-dev is missing")
        self.kind, self.device, self.process = kind, None, None
        self.exported, self.place = folder / "exported", folder / "mounted"
        self.image, self.bytes = folder / "disk.img", megabytes << 20
        self.seed = random.randrange(2**32) if seed is None else seed

    def __enter__(self):
        self.exported.mkdir()
        self.place.mkdir()
        print(f"# {self.kind} on a forgetful disk, seed {self.seed}")
        self.process = subprocess.Popen([FORGETFUL_DISK, self.image, str(self.bytes), str(self.seed), self.exported])
        try:
            harness.eventually(lambda: (self.exported / "disk").exists(), what="the FUSE mount")
            self._attach()
            make_file_system(self.kind, self.device)
            run("mount", self.device, self.place)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.place], capture_output=True)
        self._detach()
        subprocess.run(["umount", "-l", self.exported], capture_output=True)
        self.process.terminate()
        self.process.wait(20)
        for image in (self.image, self.image.with_name(self.image.name + ".now")):
            image.unlink(missing_ok=True)

    def _attach(self):
        self.device = run("losetup", "--find", "--show", "--direct-io=on", self.exported / "disk")

    def _detach(self):
        if self.device:
            subprocess.run(["losetup", "-d", self.device], capture_output=True)
            self.device = None

    def state(self):
        """Counters `writes`, `flushes`, `cuts`, `lost`."""
        text = (self.exported / "state").read_text()
        return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", text)}

    def cut(self):
        """Power off, within the next writes: what was not flushed is partly gone, every operation fails."""
        cuts = self.state()["cuts"]
        self.process.send_signal(signal.SIGUSR1)
        harness.eventually(lambda: self.state()["cuts"] > cuts, what="the cut")

    def restore(self):
        """Power on: the file system is taken down, as a reboot would, and mounted again."""
        # Wholly down: the kernel ends a killed process's ring behind its back, and until then the old mount lives.
        device = self.device
        run("umount", "-l", self.place)
        self._detach()
        harness.eventually(lambda: not attached(device), what=f"the end of {device}")
        self.process.send_signal(signal.SIGUSR2)
        harness.eventually(lambda: "power on" in (self.exported / "state").read_text(), what="power")
        self._attach()
        run("mount", self.device, self.place)
