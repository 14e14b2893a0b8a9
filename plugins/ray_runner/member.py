"""A node of a cluster on this machine, for as long as a session is open.

Ray takes a program only on a machine that is a node, and looks for the node among the processes that it sees. A session
sees its own processes only. So it brings a node of its own, with `ray start` as anybody would: the machine need not be
one of the cluster's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from crossrun_engine import UnavailableError
from crossrun_engine.network import reach
from crossrun_engine.program import Program

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
        command = [str(Path(sys.executable).with_name("ray")), "start", f"--address={address}", *OPTIONS.split()]
        command += ["--num-cpus=0", f"--object-store-memory={OBJECT_STORE}", f"--temp-dir={folder}"]
        try:
            reach(address, ANSWERING)
            self._program = Program(command, folder / "ray-start.log", STARTED, STARTING)
        except (OSError, ValueError) as error:
            raise self.unusable(str(error)) from error

    def unusable(self, reason: str) -> UnavailableError:
        """That the cluster cannot be used, and why."""
        return UnavailableError(f"the Ray cluster at {self._address} cannot be used: {' '.join(reason.split())}")

    def close(self) -> None:
        """Leaves the cluster: the node tells it so, and ends what it started."""
        self._program.close(LEAVING)
