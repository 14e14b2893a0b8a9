"""A node of a cluster on this machine, for as long as a session is open.

Ray takes a program only on a machine that is a node, and looks for the node among the processes that it sees. A session
sees its own processes only. So it brings a node of its own, with `ray start` as anybody would: the machine need not be
one of the cluster's.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

from crossrun_engine import UnavailableError

# Bytes of shared memory for what passes through this machine: libraries, and what the driver waits for.
OBJECT_STORE = 256 << 20

# Seconds that a cluster has to answer. Ray itself waits for minutes.
ANSWERING = 5.0

# Seconds that the node has to start, and to leave.
STARTING = 60.0
LEAVING = 10.0

# What `ray start` says when the node is there.
STARTED = "Ray runtime started"

OPTIONS = "--block --disable-usage-stats --num-gpus=0 --include-log-monitor=false --log-style=record --log-color=false"


class Member:
    """A node without processors, so that no work comes to it."""

    def __init__(self, address: str, folder: Path) -> None:
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=ANSWERING).close()
            self._start(folder)
        except OSError as error:
            raise self.unusable(str(error)) from error

    def _start(self, folder: Path) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", f"--address={self._address}", *OPTIONS.split()]
        command += ["--num-cpus=0", f"--object-store-memory={OBJECT_STORE}", f"--temp-dir={folder}"]
        output = folder / "ray-start.log"
        with output.open("wb") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        deadline = time.monotonic() + STARTING
        while STARTED not in (text := output.read_text(errors="replace")):
            if self._process.poll() is not None:
                raise self.unusable(text.strip().rpartition("\n")[2] or "ray start ended without a word")
            if time.monotonic() > deadline:
                raise self.unusable(f"no node could join it within {STARTING:.0f} s")
            time.sleep(0.05)

    def unusable(self, reason: str) -> UnavailableError:
        """That the cluster cannot be used, and why."""
        reason = " ".join(reason.split())
        return UnavailableError(f"the Ray cluster at {self._address} cannot be used: {reason}")

    def close(self) -> None:
        """Leaves the cluster: the node tells it so, and ends what it started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
