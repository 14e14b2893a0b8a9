"""One node of a FlowNet cluster that performs steps for drivers.

    python node.py HOST:PORT [--join HOST:PORT] [--slots COUNT] [--allow-public]

Takes calls at PORT and membership messages at PORT + 1, until it gets a signal. Whoever can connect to it can
make it run code: FlowNet is pickle over TCP without passwords. Bind it to loopback or to a private network.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sage.runtime.flownet import bootstrap_node_runtime

from addresses import Address, parse_addresses
from crossrun_engine import Workload, WorkloadError
from steps import Item, Site, Step

# Drivers that died do not close their runs: the oldest go when there are more than so many.
MAX_RUNS = 16


@dataclass
class Run:
    """What a node keeps for one run."""

    site: Site
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        """One more call was served."""
        with self.lock:
            self.calls += 1


class Worker:
    """What drivers call.

    An answer is `[value]`, or the workload's error as a dictionary: of an exception FlowNet hands over only the text.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def ready(self) -> list[int]:
        """Tells that the node works, and its process."""
        return [os.getpid()]

    def has_library(self, sha256: str) -> list[bool]:
        """Whether the library with this hash is here."""
        return [self._library(sha256).exists()]

    def take_library(self, run: str, chunk: bytes) -> list[None]:
        """Takes the next piece of a library that `run` sends."""
        with (self._folder / f"{run}.partial").open("ab") as partial:
            partial.write(chunk)
        return [None]

    def keep_library(self, run: str, sha256: str) -> list[None]:
        """Keeps the library that `run` has sent, if it is the one that was meant."""
        partial = self._folder / f"{run}.partial"
        with partial.open("rb") as sent:
            found = hashlib.file_digest(sent, "sha256").hexdigest()
        if found != sha256:
            partial.unlink()
            raise ValueError(f"the library that arrived has the hash {found}, not {sha256}")
        partial.rename(self._library(sha256))
        return [None]

    def open(self, run: str, sha256: str, spec: str) -> list[None] | dict[str, Any]:
        """Opens a workload for a run."""
        return _answer(lambda: self._open(run, sha256, spec))

    def perform(self, run: str, steps: Sequence[Step], replica: int, item: Item) -> list[list[Item]] | dict[str, Any]:
        """Takes an item through steps."""
        here = self._runs[run]
        here.count()
        return _answer(lambda: here.site.perform(steps, replica, item))

    def close(self, run: str) -> list[int]:
        """Frees what a run has, and tells how many calls it made."""
        with self._lock:
            here = self._runs.pop(run)
        here.site.close()
        return [here.calls]

    def _open(self, run: str, sha256: str, spec: str) -> None:
        site = Site(Workload(str(self._library(sha256)), sha256, spec))
        with self._lock:
            self._runs[run] = Run(site)
            while len(self._runs) > MAX_RUNS:
                self._runs.pop(next(iter(self._runs)))

    def _library(self, sha256: str) -> Path:
        if not (len(sha256) == 64 and sha256.isalnum()):
            raise ValueError("this is no SHA-256")
        return self._folder / f"{sha256}.so"


def _answer(work: Callable[[], Any]) -> list[Any] | dict[str, Any]:
    try:
        return [work()]
    except WorkloadError as error:
        return {"status": error.status, "message": error.message}


def serve(address: Address, seeds: list[str], slots: int, folder: Path) -> None:
    """Runs a node until the process gets a signal."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    node = bootstrap_node_runtime(
        node_id=f"crossrun-{address}",
        bind_address=address.membership,
        seeds=seeds,
        local_address=str(address),
        comm_transport_mode="auto",
    )
    worker = Worker(folder)
    # An actor serves one call at a time, so each slot is an actor of its own.
    for slot in range(slots):
        node.runtime_host.actor_api.register_local_actor(worker, actor_id=f"slot-{slot}")
    print(f"ready {address} {os.getpid()}", flush=True)
    stop.wait()
    node.shutdown(wait=False)


def main(arguments: list[str]) -> int:
    """Reads the arguments and serves."""
    parser = argparse.ArgumentParser(description="A FlowNet node for crossrun.")
    parser.add_argument("address", help="host:port for calls; port + 1 is for membership")
    parser.add_argument("--join", default="", metavar="HOST:PORT", help="a node that is already there")
    parser.add_argument("--slots", type=int, default=64, help="replicas that can work here (default 64)")
    parser.add_argument("--allow-public", action="store_true", help="bind to an address that is not private")
    options = parser.parse_args(arguments)
    logging.disable(logging.INFO)
    try:
        address = parse_addresses(options.address, options.allow_public)[0]
        seeds = [Address.parse(options.join).membership] if options.join else []
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="crossrun-node-") as folder:
        try:
            serve(address, seeds, options.slots, Path(folder))
        except OSError as error:
            parser.error(f"{address} cannot be used: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
