"""The workload library, called through ctypes.

A call costs about two microseconds. It releases the interpreter's lock, so that operators run in parallel in threads.

A batch is `bytes`: a number of items, with the layout that ABI.md describes under "Batches". Stages are numbered from
0, the source, to `len(plan) - 1`, the sink. Of a range `a..b` of items or stages, `a` is a part and `b` is not.

Any call of `Workload` and `State` raises WorkloadError, with the library's message, if the library refuses it or fails.
The call that opens the workload raises UnavailableError if the library cannot be loaded, or is not the one that the
host hashed, and UnsupportedError if it is an open loop that was started by the clock of another machine.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import os
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from ctypes import addressof, c_char, c_int32, c_size_t, c_uint32, c_uint64, c_void_p, string_at
from dataclasses import dataclass
from typing import Any

from .failure import STATUS_ARGUMENT, STATUS_MALFORMED, UnavailableError, UnsupportedError, WorkloadError

_ABI_MAJOR = 1

# How many workloads stay open in a process after their last use. An engine that pickles its tasks asks for the workload
# in each of them, and opening it may take as long as a run.
_KEPT_OPEN = 4

# `string_at` takes its length as a C int. A batch may be longer: its items alone have up to 2**31 - 1 bytes.
_STRING_AT_MOST = 2**31 - 1

_CHAIN = frozenset(("map", "filter", "flat_map"))

# Pointers are passed as plain addresses, and batches as `bytes`: `c_void_p` takes both without a copy.
_SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    "abi_version": ([], c_uint32),
    "open": ([c_void_p, c_size_t, c_void_p, c_void_p], c_int32),
    "close": ([c_void_p], None),
    "plan": ([c_void_p, c_void_p], c_int32),
    "source": ([c_void_p, c_uint64, c_uint64, c_uint32, c_void_p], c_int32),
    "run_stages": ([c_void_p, c_uint32, c_uint32, c_void_p, c_size_t, c_void_p], c_int32),
    "split": ([c_void_p, c_uint32, c_void_p, c_size_t, c_uint32, c_void_p, c_void_p], c_int32),
    "state_new": ([c_void_p, c_uint32, c_void_p, c_void_p], c_int32),
    "state_fold": ([c_void_p, c_void_p, c_size_t, c_void_p], c_int32),
    "state_merge": ([c_void_p, c_void_p, c_size_t, c_void_p], c_int32),
    "state_encode": ([c_void_p, c_void_p], c_int32),
    "state_emit": ([c_void_p, c_uint64, c_void_p], c_int32),
    "state_free": ([c_void_p], None),
    "outcome": ([c_void_p, c_void_p, c_size_t, c_void_p], c_int32),
    "buffer_free": ([c_void_p], None),
}

# What a library of an earlier version lacks.
_LATER_SIGNATURES: dict[str, tuple[list[Any], Any]] = {
    "describe": ([c_void_p, c_uint32, c_void_p, c_size_t, c_void_p], c_int32),
    "start": ([c_void_p, c_uint64, c_void_p], c_int32),
    "graph_edges": ([c_void_p, c_uint32, c_uint32, c_uint32, c_void_p], c_int32),
    "graph_task": (
        [c_void_p, c_uint32, c_uint32, c_size_t, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p],
        c_int32,
    ),
    "watermark": ([c_void_p, c_uint64, c_void_p, c_void_p], c_int32),
    "state_close": ([c_void_p, c_uint64, c_uint64, c_void_p, c_void_p], c_int32),
    "keys": ([c_void_p, c_uint32, c_void_p, c_size_t, c_void_p], c_int32),
}


def item_count(batch: bytes) -> int:
    """How many items a batch has. It reads the first four bytes and does not check the rest."""
    return int.from_bytes(batch[:4], "little")


def _copied(buffer: _RawBuffer) -> bytes:
    """A copy of what the library left in a buffer."""
    data, length = buffer.data, buffer.length
    if length <= _STRING_AT_MOST:
        return string_at(data, length) if length else b""
    return bytes((c_char * length).from_address(data).raw)


@dataclass(frozen=True)
class Stage:
    """One stage of a plan. Its number is its index in the plan."""

    kind: str
    """`source`, `map`, `filter`, `flat_map`, `keyed_reduce` or `sink`."""
    name: str


class _RawBuffer(ctypes.Structure):
    """Bytes that the library allocated. Zero at first; only the library frees them."""

    _fields_ = [("data", c_void_p), ("length", c_size_t), ("capacity", c_size_t)]


class _Scratch:
    """The buffers of one thread. What a call leaves in them is copied out before the next call."""

    def __init__(self, buffer_free: Any) -> None:
        self._buffer_free = buffer_free
        self.buffer = _RawBuffer()
        self.address = addressof(self.buffer)
        self.parts: Any = ()

    def take(self) -> bytes:
        """A copy of what the last call left."""
        return _copied(self.buffer)

    def error(self, status: int) -> WorkloadError:
        """The exception for a status other than 0, with the message that the call left."""
        message = self.take().decode(errors="replace")
        return WorkloadError(status, message or f"the workload library answered with status {status}")

    def parts_for(self, partitions: int) -> Any:
        """An array of `partitions` buffers, which is kept for the next split."""
        if len(self.parts) != partitions:
            self._free_parts()
            self.parts = (_RawBuffer * partitions)()
        return self.parts

    def _free_parts(self) -> None:
        for part in self.parts:
            self._buffer_free(addressof(part))

    def __del__(self) -> None:
        self._free_parts()
        self._buffer_free(self.address)


class _Library(threading.local):
    """The functions of a loaded library, and the buffers of the calling thread.

    Each thread gets buffers of its own when it first uses this object, as `threading.local` runs `__init__` again.
    """

    def __init__(self, functions: _Functions) -> None:
        self.functions = functions
        self.scratch = _Scratch(functions.buffer_free)


class _Functions:
    """The library's functions, by their names without the prefix `crossrun_workload_`. Later ones are `None` if it lacks them."""

    abi_version: Any
    open: Any
    close: Any
    plan: Any
    source: Any
    run_stages: Any
    split: Any
    state_new: Any
    state_fold: Any
    state_merge: Any
    state_encode: Any
    state_emit: Any
    state_free: Any
    outcome: Any
    buffer_free: Any
    describe: Any
    start: Any
    graph_edges: Any
    graph_task: Any
    watermark: Any
    state_close: Any
    keys: Any

    def __init__(self, path: str) -> None:
        try:
            loaded = ctypes.CDLL(path)
            # Another major version may have other functions.
            version: int = _function(loaded, "abi_version", _SIGNATURES["abi_version"])()
            if version >> 16 != _ABI_MAJOR:
                found = f"{version >> 16}.{version & 0xFFFF}"
                raise UnavailableError(f"{path} has the workload ABI {found}, but {_ABI_MAJOR}.x is needed")
            for name, signature in _SIGNATURES.items():
                setattr(self, name, _function(loaded, name, signature))
        except (OSError, AttributeError) as error:
            raise UnavailableError(f"the workload library cannot be opened: {error}") from error
        for name, signature in _LATER_SIGNATURES.items():
            setattr(self, name, _optional_function(loaded, name, signature))


def _function(loaded: ctypes.CDLL, name: str, signature: tuple[list[Any], Any]) -> Any:
    function = loaded[f"crossrun_workload_{name}"]
    function.argtypes, function.restype = signature
    return function


def _optional_function(loaded: ctypes.CDLL, name: str, signature: tuple[list[Any], Any]) -> Any:
    """The function, or None if the library is of a version that lacks it."""
    try:
        return _function(loaded, name, signature)
    except AttributeError:
        return None


def _there(function: Any, what: str) -> Any:
    """A function that a library may lack: its workloads have no `what` then."""
    if function is None:
        raise WorkloadError(STATUS_ARGUMENT, f"this library of workloads has no {what}")
    return function


def _items_of(batch: bytes) -> list[bytes]:
    """The items of a batch that the library made."""
    count = item_count(batch)
    items = batch[12 + 4 * count :]
    ends = struct.unpack_from(f"<{count + 1}i", batch, 8)
    return [items[start:end] for start, end in zip(ends, ends[1:])]


def _row_of(encoded: bytes) -> tuple[int, list[list[int]]]:
    """The first point of a row, and the inputs of each, from the library's answer. Raises WorkloadError for any other bytes."""
    if len(encoded) >= 12 and len(encoded) % 4 == 0:
        first, width, *words = struct.unpack(f"<{len(encoded) // 4}I", encoded)
        offsets, inputs = words[: width + 1], words[width + 1 :]
        # A row without tasks would never be done.
        is_whole = width > 0 and len(offsets) == width + 1 and offsets[0] == 0 and offsets[-1] == len(inputs)
        if is_whole and offsets == sorted(offsets):
            return first, [inputs[start:end] for start, end in zip(offsets, offsets[1:])]
    raise WorkloadError(STATUS_MALFORMED, "the edges of a graph are not those of a row")


class _Opened:
    """An open workload. It is closed when nothing refers to it any more."""

    def __init__(self, library: _Library, spec: bytes, start: int | None) -> None:
        handle = c_void_p()
        self._start = start
        functions, scratch = library.functions, library.scratch
        status = functions.open(spec, len(spec), addressof(handle), scratch.address)
        if status:
            raise scratch.error(status)
        self.library = library
        self.handle = handle.value
        self._close = functions.close
        status = functions.plan(self.handle, scratch.address)
        if status:
            raise scratch.error(status)
        plan = json.loads(scratch.take())
        self.plan = [Stage(stage["kind"], stage["name"]) for stage in plan["stages"]]
        self.open_loop = bool(plan.get("open_loop", False))
        self.graph: dict[str, int] | None = plan.get("graph")

    def starts_at(self, nanos: int | None) -> bool:
        """Sets when an open loop starts. Whether it starts then: a library of API 1.0 cannot be told when it is open."""
        if nanos is None or nanos == self._start:
            return True
        library = self.library
        if library.functions.start is None:
            return False
        status = library.functions.start(self.handle, nanos, library.scratch.address)
        if status:
            raise library.scratch.error(status)
        self._start = nanos
        return True

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None:
            self._close(handle)


# The path and the hash of a library, and a spec without the time at which an open loop starts.
_Key = tuple[str, str, str]


class _Process:
    """The libraries and workloads that are open in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.libraries: dict[tuple[str, str], _Library] = {}
        self.hashes: dict[tuple[str, int, int, int, int], str] = {}
        self.opened: OrderedDict[_Key, _Opened] = OrderedDict()
        self.late_opens = 0

    def prepare(self, key: _Key, spec: str, start: int | None) -> _Opened:
        """The same, with all other workloads closed before. It is not counted."""
        with self.lock:
            for other in self.opened.keys() - {key}:
                del self.opened[other]
        opened = self.open(key, spec, start)
        self.late_opens = 0
        return opened

    def open(self, key: _Key, spec: str, start: int | None) -> _Opened:
        """The workload, which is opened unless it is open."""
        with self.lock:
            opened = self.opened.get(key)
            if opened is None or not opened.starts_at(start):
                self.late_opens += 1
                opened = self.opened[key] = _Opened(self._library(*key[:2]), spec.encode(), start)
                while len(self.opened) > _KEPT_OPEN:
                    self.opened.popitem(last=False)
            self.opened.move_to_end(key)
            return opened

    def _library(self, path: str, sha256: str) -> _Library:
        library = self.libraries.get((path, sha256))
        if library is None:
            self._check(path, sha256)
            library = self.libraries[path, sha256] = _Library(_Functions(path))
        return library

    def _check(self, path: str, sha256: str) -> None:
        """Raises unless the file is the one that the host hashed: another build may compute other results."""
        try:
            facts = os.stat(path)
            identity = (path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
            if identity not in self.hashes:
                self.hashes[identity] = _sha256(path)
        except OSError as error:
            raise UnavailableError(f"the workload library cannot be read: {error}") from error
        if self.hashes[identity] != sha256:
            raise UnavailableError(f"{path} is not the library that the host read: its hash differs")

    def after_fork(self) -> None:
        """Replaces the lock, which a thread of the parent may have held. Libraries survive a fork: they stay open."""
        self.lock = threading.Lock()


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.after_fork)


def late_opens() -> int:
    """How many workloads this process has opened since it prepared one or was asked this: the time of a run has them."""
    with _process.lock:
        number, _process.late_opens = _process.late_opens, 0
        return number


@functools.cache
def _boot_id() -> str:
    """Names this machine and its last start, as its monotonic clock counts from there. Empty if the system does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


class State:
    """The state of a keyed reduction or of the sink.

    States of one stage merge, so that each worker can own one. Threads may share a state: its calls run one after the
    other, as the library does not allow two at once. A state belongs to the process that made it, and not to its forks.
    """

    __slots__ = ("_handle", "_library", "_lock", "_next_end")

    def __init__(self, library: _Library, handle: int | None) -> None:
        self._library = library
        self._handle = handle
        # ctypes releases the interpreter's lock during a call, so that lock does not keep threads apart.
        self._lock = threading.Lock()
        self._next_end = 0

    def fold(self, batch: bytes) -> None:
        """Adds the items of a batch: for a keyed reduction one partition of a split, for the sink any batch."""
        library = self._library
        scratch = library.scratch
        with self._lock:
            self._next_end = 0
            status = library.functions.state_fold(self._handle, batch, len(batch), scratch.address)
        if status:
            raise scratch.error(status)

    def merge(self, encoded: bytes) -> None:
        """Adds all that another state of the same stage holds; `encoded` comes from its `encode`."""
        library = self._library
        scratch = library.scratch
        with self._lock:
            self._next_end = 0
            status = library.functions.state_merge(self._handle, encoded, len(encoded), scratch.address)
        if status:
            raise scratch.error(status)

    def encode(self) -> bytes:
        """The state as bytes, for `merge` and `outcome` in any process that has the same file of the library."""
        library = self._library
        scratch = library.scratch
        with self._lock:
            status = library.functions.state_encode(self._handle, scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def emit(self, limit: int) -> bytes:
        """Removes up to `limit` keys from the state of a keyed reduction, and returns a batch of their items.

        The batch is empty when no key is left. The state of a sink has no keys: the call raises WorkloadError.
        """
        library = self._library
        scratch = library.scratch
        with self._lock:
            status = library.functions.state_emit(self._handle, limit, scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def emit_ended(self, time: int, limit: int) -> bytes:
        """Removes what ended at `time` or before from up to `limit` keys of a keyed reduction. Returns a batch of their items.

        The batch is empty when nothing more has ended. From now on the state refuses what ended by then. The workload must have
        been opened with the word `watermarks`.
        """
        library = self._library
        scratch, next_end = library.scratch, c_uint64()
        state_close = _there(library.functions.state_close, "watermarks")
        with self._lock:
            status = state_close(self._handle, time, limit, addressof(next_end), scratch.address)
            if not status:
                self._next_end = next_end.value
        if status:
            raise scratch.error(status)
        return scratch.take()

    @property
    def next_end(self) -> int:
        """Before this time nothing that the state holds ends: `emit_ended` with an earlier one gives an empty batch.

        It is known from a call of `emit_ended` to the next `fold` or `merge`, and 0 otherwise; 2**64 - 1 where nothing ends
        before the input does.
        """
        return self._next_end

    def close(self) -> None:
        """Frees the state. Any call after it raises WorkloadError, but another `close` does nothing."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._library.functions.state_free(handle)

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Workload:
    """A workload: its source, its operators and its states. Any number of threads may use it at once.

    It is opened when it is first used in a process. It can be pickled: what is sent is the path and the hash of the
    library, the spec, and which machine has the clock by which an open loop starts.
    """

    __slots__ = ("_boot", "_key", "_opened", "_spec", "_start")

    def __init__(self, path: str, sha256: str, spec: str, boot: str | None = None) -> None:
        """`boot` is that of the same workload in the process that made it first; without it, the workload is of this machine."""
        self._spec, self._start = spec, None
        self._boot = _boot_id() if boot is None else boot
        if '"start_nanos"' in spec:
            # An open loop that is open before its run has another start then, and is the same workload.
            fields = json.loads(spec)
            self._start = fields.pop("start_nanos", None)
            spec = json.dumps(fields, sort_keys=True)
        self._key = (path, sha256, spec)
        self._opened: _Opened | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Workload, (self.path, self.sha256, self._spec, self._boot)

    def _check_clock(self) -> None:
        """Refuses to start by the clock of another machine: by that of this one the start may be days ahead, and `source` would wait."""
        if self._start is not None and self._boot and _boot_id() not in ("", self._boot):
            message = "items of an open loop are due by the clock of the machine that crossrun runs on"
            raise UnsupportedError(f"{message}, and this worker is on another one")

    def _open(self) -> _Opened:
        self._check_clock()
        self._opened = _process.open(self._key, self._spec, self._start)
        return self._opened

    def prepare(self) -> None:
        """Opens the workload in this process, before the clock of its run starts, and closes all others."""
        self._check_clock()
        self._opened = None
        self._opened = _process.prepare(self._key, self._spec, self._start)

    @property
    def path(self) -> str:
        """The path of the library's file."""
        return self._key[0]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the library's file, as 64 hexadecimal digits."""
        return self._key[1]

    @property
    def spec(self) -> str:
        """The spec with which the workload is opened, as JSON."""
        return self._spec

    @property
    def boot(self) -> str:
        """Names the machine on which it was made, and the last start of that; empty if it is not known. Pass it on to another process."""
        return self._boot

    @property
    def plan(self) -> list[Stage]:
        """The stages in order, from the source to the sink."""
        return (self._opened or self._open()).plan

    @property
    def open_loop(self) -> bool:
        """Whether `source` waits until each item is due."""
        return (self._opened or self._open()).open_loop

    @property
    def has_reduction(self) -> bool:
        """Whether one of its stages is a keyed reduction."""
        return any(stage.kind == "keyed_reduce" for stage in self.plan)

    @property
    def has_due_results(self) -> bool:
        """Whether it is an open loop with keyed reductions, whose results are due before the input ends."""
        return self.open_loop and self.has_reduction

    @property
    def sink(self) -> int:
        """The number of the sink, which is the last stage."""
        return len(self.plan) - 1

    def end_of_chain(self, from_: int) -> int:
        """The first keyed reduction or sink at or after the stage `from_`: one call can run `from_..end`."""
        plan = self.plan
        while from_ < len(plan) and plan[from_].kind in _CHAIN:
            from_ += 1
        return from_

    def source(self, first: int, count: int, to: int) -> bytes:
        """Makes the items `first..first + count`, takes them through the stages `1..to`, and returns the batch."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        status = library.functions.source(opened.handle, first, count, to, scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def run_stages(self, from_: int, to: int, batch: bytes) -> bytes:
        """Takes a batch through the stages `from_..to`, which are maps, filters or flat maps. Returns the new batch."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        status = library.functions.run_stages(opened.handle, from_, to, batch, len(batch), scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def split(self, stage: int, batch: bytes, partitions: int) -> list[bytes]:
        """Splits a batch by key for the keyed reduction `stage`, into `partitions` batches, of which some may be empty.

        Items with one key are in one partition, whose index depends only on the key and on `partitions`.
        """
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        parts = scratch.parts_for(partitions)
        status = library.functions.split(
            opened.handle, stage, batch, len(batch), partitions, addressof(parts), scratch.address
        )
        if status:
            raise scratch.error(status)
        return [_copied(part) for part in parts]

    def keys(self, stage: int, batch: bytes) -> list[bytes]:
        """The key of each item of a batch for the keyed reduction `stage`: for an engine with a join or keyed state of its own."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        keys = _there(library.functions.keys, "keys")
        status = keys(opened.handle, stage, batch, len(batch), scratch.address)
        if status:
            raise scratch.error(status)
        return _items_of(scratch.take())

    def new_state(self, stage: int) -> State:
        """An empty state of the keyed reduction `stage`, or of the sink."""
        opened = self._opened or self._open()
        library = opened.library
        scratch, handle = library.scratch, c_void_p()
        status = library.functions.state_new(opened.handle, stage, addressof(handle), scratch.address)
        if status:
            raise scratch.error(status)
        return State(library, handle.value)

    def new_sink(self) -> State:
        """An empty state of the sink."""
        return self.new_state(self.sink)

    def describe(self, stage: int, item: bytes) -> dict[str, Any] | None:
        """An item as it leaves a stage, for people; nothing if the library or the workload does not describe its items."""
        opened = self._opened or self._open()
        library = opened.library
        if library.functions.describe is None:
            return None
        scratch = library.scratch
        status = library.functions.describe(opened.handle, stage, item, len(item), scratch.address)
        if status:
            raise scratch.error(status)
        described = scratch.take()
        answer: dict[str, Any] | None = json.loads(described) if described else None
        return answer

    @property
    def graph(self) -> dict[str, int] | None:
        """The graph of tasks that the plan is: `steps`, `width` and `output_bytes`; nothing for other workloads."""
        return (self._opened or self._open()).graph

    def graph_row(self, step: int) -> tuple[int, list[list[int]]]:
        """A row of the graph: its first point, and for each point the points of the row before whose outputs it needs."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        graph_edges = _there(library.functions.graph_edges, "graphs of tasks")
        status = graph_edges(opened.handle, step, 0, 2**32 - 1, scratch.address)
        if status:
            raise scratch.error(status)
        return _row_of(scratch.take())

    def graph_task(self, step: int, point: int, inputs: Sequence[bytes]) -> bytes:
        """Runs a task of the graph on the outputs that its edges name, in their order. Returns its output."""
        opened = self._opened or self._open()
        library = opened.library
        scratch, count = library.scratch, len(inputs)
        room = opened.graph["output_bytes"] if opened.graph else 0
        output, length = ctypes.create_string_buffer(room), c_size_t(room)
        # The arrays refer to the bytes of the inputs, which live until the call has returned.
        pointers, lengths = (ctypes.c_char_p * count)(*inputs), (c_size_t * count)(*map(len, inputs))
        status = _there(library.functions.graph_task, "graphs of tasks")(
            opened.handle,
            step,
            point,
            count,
            addressof(pointers),
            addressof(lengths),
            addressof(output),
            addressof(length),
            scratch.address,
        )
        if status:
            raise scratch.error(status)
        if length.value > room:
            message = "the workload library says that an output has more bytes than its room"
            raise WorkloadError(STATUS_MALFORMED, message)
        return string_at(output, length.value)

    def watermark(self, number: int) -> int:
        """The time that no item from number `number` on is earlier than; 2**64 - 1 where no item comes any more.

        The workload must have been opened with the word `watermarks`.
        """
        opened = self._opened or self._open()
        library = opened.library
        scratch, time = library.scratch, c_uint64()
        watermark = _there(library.functions.watermark, "watermarks")
        status = watermark(opened.handle, number, addressof(time), scratch.address)
        if status:
            raise scratch.error(status)
        return time.value

    def outcome(self, sink_state: bytes) -> dict[str, Any]:
        """What an encoded state of the sink holds: `count`, in items, and `checksum`, 32 hexadecimal digits."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        status = library.functions.outcome(opened.handle, sink_state, len(sink_state), scratch.address)
        if status:
            raise scratch.error(status)
        answer: dict[str, Any] = json.loads(scratch.take())
        return answer
