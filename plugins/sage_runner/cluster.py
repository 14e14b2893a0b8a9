"""The driver's side of a FlowNet cluster: operators work on nodes, which `node.py` starts. An address is `host:port`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sage.runtime.flownet import connect
from sage.runtime.flownet.runtime.actors.comm_bridge import call_actor_via_comm

from crossrun_engine import RemoteReplicas, UnavailableError, Workload
from crossrun_engine.failure import as_raised
from crossrun_engine.network import free_address, is_private, listens, split_address
from crossrun_engine.remote import version_warnings
from crossrun_engine.startup import closing_after_failure

# What the speed of a node depends on, beside its machine and its Python.
PACKAGES = ("isage",)
# Seconds between two questions to a node whose answer is awaited: whether it still listens.
PROBE_SECONDS = 0.5
# How many calls a driver may wait for at once. SAGE's own replicas are fewer.
SENDERS = 32


def parse_addresses(text: str, allow_public: bool) -> list[str]:
    """Reads `host:port[,host:port...]`. It raises ValueError for anything else, and for what is not private.

    Anyone who can reach a node can make it run code.
    """
    addresses = [part.strip() for part in text.split(",")]
    for address in addresses:
        if not allow_public and not is_private(address):
            raise ValueError(
                f"{address} is not on a private network, and FlowNet has neither encryption nor passwords;"
                " set sage_allow_public=true if the network is protected otherwise"
            )
    if len(set(addresses)) < len(addresses):
        raise ValueError(f"{text!r} names a node twice")
    return addresses


def membership(address: str) -> str:
    """Where the node that takes calls at this address takes part in the cluster: at the next port."""
    host, port = split_address(address)
    return f"{host}:{port + 1}"


class NodeError(Exception):
    """A node is gone, or failed in something that is not the workload's."""


class Cluster:
    """A connection to nodes. It starts a server of its own, to which they reply."""

    def __init__(self, addresses: Sequence[str], timeout: float, replicas: int) -> None:
        self.addresses, self._timeout = list(addresses), timeout
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(SENDERS, "crossrun-send"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="crossrun-cluster", daemon=True)
        self._thread.start()
        self._session: Any = None
        with closing_after_failure(self.close):
            try:
                self._connect(replicas)
            except (OSError, RuntimeError, NodeError) as error:
                raise UnavailableError(f"the FlowNet nodes cannot be used: {error}") from error

    def _connect(self, replicas: int) -> None:
        self.reply_address = free_address(self.addresses[0])
        self._session = connect(
            entry_node=membership(self.addresses[0]),
            owner="crossrun",
            local_address=self.reply_address,
            comm_transport_mode="auto",
        )
        # The last slot that will be needed: a node that has it has those before it.
        slots = -(-replicas // len(self.addresses))
        ready = [self.call(address, slots - 1, "ready") for address in self.addresses]
        # Of each run of the session.
        self.warnings = version_warnings(ready, PACKAGES)

    def call(self, address: str, slot: int, method: str, *arguments: Any) -> Any:
        """Calls a method of a node's `Server`, and waits while the node listens, at most until the timeout.

        It raises WorkloadError or UnsupportedError for what is refused there, and NodeError for anything else that fails.
        """
        answer = asyncio.run_coroutine_threadsafe(self._call(address, slot, method, arguments), self._loop).result()
        if isinstance(answer, dict):
            raise as_raised(answer["status"], f"{answer['message']} (on node {address})")
        return answer[0]

    async def _call(self, address: str, slot: int, method: str, arguments: Sequence[Any]) -> Any:
        target = {"address": address, "actor_id": f"slot-{slot}", "method": "call"}
        host = self._session.runtime_host
        request = asyncio.ensure_future(
            call_actor_via_comm(host.actor_api, host.comm_hub, target, method, *arguments, timeout=self._timeout)
        )
        try:
            while not (await asyncio.wait({request}, timeout=PROBE_SECONDS))[0]:
                # FlowNet itself would wait for the whole timeout.
                if not await asyncio.to_thread(listens, address, PROBE_SECONDS):
                    raise NodeError(f"node {address} is gone: it does not listen any more")
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

    def replicas(self, workload: Workload) -> RemoteReplicas:
        """The replicas of a new run, on all nodes."""
        return RemoteReplicas(workload, self.addresses, self.call, self.reply_address)

    def close(self) -> None:
        """Ends the connection. The nodes go on."""
        try:
            if self._session is not None:
                self._session.shutdown(wait=False)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
