"""One node of a FlowNet cluster, on which operators of drivers work.

    python -B node.py HOST:PORT [--join HOST:PORT] [--slots COUNT] [--allow-public]

Takes calls at PORT and membership messages at PORT + 1, until it gets a signal. Whoever can connect to it can
make it run code: FlowNet is pickle over TCP without passwords. Bind it to loopback or to a private network.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from sage.runtime.flownet import bootstrap_node_runtime

from cluster import PACKAGES, membership, parse_addresses
from crossrun_engine import ReplicaServer, UnsupportedError, WorkloadError


class Server(ReplicaServer):
    """What drivers call: one method, which calls the others."""

    def call(self, method: str, *arguments: Any) -> list[Any] | dict[str, Any]:
        """`[value]`, or what is refused here as a dictionary: of other errors FlowNet hands over only the text."""
        try:
            return [getattr(self, method)(*arguments)]
        except (UnsupportedError, WorkloadError) as error:
            return {"status": error.status, "message": error.message}


def serve(address: str, seeds: list[str], slots: int, folder: Path) -> None:
    """Runs a node until the process gets a signal."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    node = bootstrap_node_runtime(
        node_id=f"crossrun-{address}",
        bind_address=membership(address),
        seeds=seeds,
        local_address=address,
        comm_transport_mode="auto",
    )
    server = Server(folder, PACKAGES)
    # An actor serves one call at a time, so each slot is an actor of its own.
    for slot in range(slots):
        node.runtime_host.actor_api.register_local_actor(server, actor_id=f"slot-{slot}")
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
        seeds = [membership(options.join)] if options.join else []
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
