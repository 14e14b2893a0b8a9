"""The driver's side of a FlowNet cluster: steps are performed by nodes, which `node.py` starts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import uuid
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sage.runtime.flownet import connect
from sage.runtime.flownet.runtime.actors.comm_bridge import call_actor_via_comm

from addresses import Address
from crossrun_engine import UnavailableError, Workload, WorkloadError
from steps import Item, Step

# The transport gives up on a connection that does not take a message within 3 s.
CHUNK_BYTES = 1 << 20
# How often a node whose answer is awaited is asked whether it still listens.
PROBE_SECONDS = 0.5
# Calls that a driver has under way; SAGE's own replicas are fewer.
SENDERS = 32


class NodeError(Exception):
    """A node is gone, or failed in something that is not the workload's."""


class Cluster:
    """A connection to nodes. It starts a server of its own, to which they reply."""

    def __init__(self, addresses: Sequence[Address], timeout: float, replicas: int) -> None:
        self.addresses, self._timeout = list(addresses), timeout
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(SENDERS, "crossrun-send"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="crossrun-cluster", daemon=True)
        self._thread.start()
        try:
            self._session = connect(
                entry_node=self.addresses[0].membership,
                owner="crossrun",
                local_address=_reachable_from(self.addresses[0]),
                comm_transport_mode="auto",
            )
            # The last slot that will be needed: a node that has it has those before it.
            slots = -(-replicas // len(self.addresses))
            for address in self.addresses:
                self.call(address, slots - 1, "ready")
        except (OSError, RuntimeError, NodeError) as error:
            self.close()
            raise UnavailableError(f"the FlowNet nodes cannot be used: {error}") from error

    def call(self, address: Address, slot: int, method: str, *arguments: Any) -> Any:
        """Calls a node and waits for its answer, as long as it lives and at most until the timeout."""
        return self._wait(self._call(address, slot, method, arguments))

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _call(self, address: Address, slot: int, method: str, arguments: Sequence[Any]) -> Any:
        target = {"address": str(address), "actor_id": f"slot-{slot}", "method": method}
        host = self._session.runtime_host
        request = asyncio.ensure_future(
            call_actor_via_comm(host.actor_api, host.comm_hub, target, *arguments, timeout=self._timeout)
        )
        try:
            while not (await asyncio.wait({request}, timeout=PROBE_SECONDS))[0]:
                await self._probe(address)
            reply = await request
        except TimeoutError as error:
            raise NodeError(f"node {address} did not answer within {self._timeout:g} s") from error
        except (OSError, RuntimeError, ValueError) as error:
            raise NodeError(f"node {address} is gone: {error}") from error
        finally:
            request.cancel()
        if "error_type" in reply:
            raise NodeError(f"node {address} failed: {reply['error_type']}: {reply['message']}")
        return reply["result"]

    async def _probe(self, address: Address) -> None:
        # A killed node refuses connections at once; FlowNet itself would wait for the whole timeout.
        connecting = asyncio.open_connection(address.host, address.port)
        with contextlib.suppress(asyncio.TimeoutError):
            _, writer = await asyncio.wait_for(connecting, PROBE_SECONDS)
            writer.close()

    def close(self) -> None:
        """Ends the connection. The nodes go on."""
        session = getattr(self, "_session", None)
        if session is not None:
            session.shutdown(wait=False)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)


class RemoteSite:
    """What `steps.Site` is, on nodes: a replica's steps are always performed by the same one."""

    def __init__(self, cluster: Cluster, workload: Workload) -> None:
        self._cluster = cluster
        self._run = uuid.uuid4().hex
        for address in cluster.addresses:
            self._send_library(address, workload)
            self._call(address, 0, "open", self._run, workload.sha256, workload.spec)

    def perform(self, steps: Sequence[Step], replica: int, item: Item) -> list[Item]:
        """Takes an item through steps, at the node that owns the replica."""
        slot, node = divmod(replica, len(self._cluster.addresses))
        made: list[Item] = self._call(self._cluster.addresses[node], slot, "perform", self._run, steps, replica, item)
        return made

    def close(self) -> dict[str, int]:
        """Frees what the nodes keep for the run, and tells how many calls each of them has served."""
        addresses = self._cluster.addresses
        return {str(address): self._call(address, 0, "close", self._run) for address in addresses}

    def _call(self, address: Address, slot: int, method: str, *arguments: Any) -> Any:
        answer = self._cluster.call(address, slot, method, *arguments)
        if isinstance(answer, dict):
            raise WorkloadError(answer["status"], f"{answer['message']} (on node {address})")
        return answer[0]

    def _send_library(self, address: Address, workload: Workload) -> None:
        """A node keeps libraries by their hash, so each travels to it once."""
        if self._call(address, 0, "has_library", workload.sha256):
            return
        with Path(workload.path).open("rb") as library:
            while chunk := library.read(CHUNK_BYTES):
                self._call(address, 0, "take_library", self._run, chunk)
        self._call(address, 0, "keep_library", self._run, workload.sha256)


def _reachable_from(node: Address) -> str:
    """An address of this machine to which the node can reply, with a port that is free."""
    family = socket.getaddrinfo(node.host, node.port, proto=socket.IPPROTO_TCP)[0][0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing: it only asks the system for the route.
        probe.connect((node.host, node.port))
        host = probe.getsockname()[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        return f"{host}:{listener.getsockname()[1]}"
