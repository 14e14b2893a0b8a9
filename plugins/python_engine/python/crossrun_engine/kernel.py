"""The workload library, called through ctypes.

A call costs about two microseconds and releases the interpreter's lock, so that operators run in parallel in threads.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import threading
from collections import OrderedDict
from ctypes import addressof, c_char, c_int32, c_size_t, c_uint32, c_uint64, c_void_p, string_at
from dataclasses import dataclass
from typing import Any

from .failure import UnavailableError, WorkloadError

_ABI_MAJOR = 1
_ARGUMENT = 1

# How many workloads stay open in a process after their last use: an engine that pickles its tasks opens one for each,
# and opening may cost as much as a run.
_KEEP = 4

# `string_at` counts in a C int, and a whole batch may have more bytes: its items alone have up to 2**31 - 1.
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


def item_count(batch: bytes) -> int:
    """How many items a batch has: its first four bytes."""
    return int.from_bytes(batch[:4], "little")


def _copied(buffer: _RawBuffer) -> bytes:
    """What the library left in a buffer."""
    data, length = buffer.data, buffer.length
    if length <= _STRING_AT_MOST:
        return string_at(data, length) if length else b""
    return bytes((c_char * length).from_address(data).raw)


@dataclass(frozen=True)
class Stage:
    """One stage of a plan; its number is its place."""

    kind: str
    """`source`, `map`, `filter`, `flat_map`, `keyed_reduce` or `sink`."""
    name: str


class _RawBuffer(ctypes.Structure):
    """Bytes that the library allocated. Zero at first; only the library frees them."""

    _fields_ = [("data", c_void_p), ("length", c_size_t), ("capacity", c_size_t)]


class _Scratch:
    """The buffers of one thread: what a call leaves in them is copied out before the next one."""

    def __init__(self, buffer_free: Any) -> None:
        self._buffer_free = buffer_free
        self.buffer = _RawBuffer()
        self.address = addressof(self.buffer)
        self.parts: Any = ()

    def take(self) -> bytes:
        """A copy of the answer."""
        return _copied(self.buffer)

    def error(self, status: int) -> WorkloadError:
        """What a status other than 0 means, with the message that the call left."""
        message = self.take().decode(errors="replace") or f"the workload library answered with status {status}"
        return WorkloadError(status, message)

    def parts_for(self, partitions: int) -> Any:
        """As many buffers as that, kept for the next split."""
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
    """The functions of a loaded library, and a scratch buffer for each thread.

    A thread that first touches this object gets a scratch of its own, as `threading.local` runs `__init__` again.
    """

    def __init__(self, functions: _Functions) -> None:
        self.functions = functions
        self.scratch = _Scratch(functions.buffer_free)


class _Functions:
    """The functions by their names without the prefix, with their signatures set."""

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

    def __init__(self, path: str) -> None:
        try:
            loaded = ctypes.CDLL(path)
            for name, (arguments, result) in _SIGNATURES.items():
                function = loaded[f"crossrun_workload_{name}"]
                function.argtypes, function.restype = arguments, result
                setattr(self, name, function)
        except (OSError, AttributeError) as error:
            raise UnavailableError(f"the workload library cannot be opened: {error}") from error
        version: int = self.abi_version()
        if version >> 16 != _ABI_MAJOR:
            spoken = f"{version >> 16}.{version & 0xFFFF}"
            raise UnavailableError(f"{path}: its workload ABI is {spoken}, this side speaks {_ABI_MAJOR}.x")


class _Opened:
    """An opened workload: one reference to it, given back when nobody uses it any more."""

    def __init__(self, library: _Library, spec: bytes) -> None:
        handle = c_void_p()
        functions, scratch = library.functions, library.scratch
        status = functions.open(spec, len(spec), addressof(handle), scratch.address)
        if status:
            raise scratch.error(status)
        self.library = library
        self.handle = handle.value
        self._close = functions.close
        self.plan = self._read_plan()

    def _read_plan(self) -> list[Stage]:
        scratch = self.library.scratch
        status = self.library.functions.plan(self.handle, scratch.address)
        if status:
            raise scratch.error(status)
        return [Stage(stage["kind"], stage["name"]) for stage in json.loads(scratch.take())["stages"]]

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None:
            self._close(handle)


class _Process:
    """What this process has opened."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.libraries: dict[tuple[str, str], _Library] = {}
        self.hashes: dict[tuple[str, int, int, int, int], str] = {}
        self.opened: OrderedDict[tuple[str, str, str], _Opened] = OrderedDict()

    def open(self, path: str, sha256: str, spec: str) -> _Opened:
        """The workload, opened now or before."""
        key = (path, sha256, spec)
        with self.lock:
            opened = self.opened.get(key)
            if opened is None:
                opened = self.opened[key] = _Opened(self._library(path, sha256), spec.encode())
                while len(self.opened) > _KEEP:
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
        """Two builds of one workload need not compute the same: the file must be the one that the host hashed."""
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
        """A thread of the parent may have held the lock. What is open stays open: libraries survive a fork."""
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


class State:
    """The state of a keyed reduction or a sink: for one thread at a time, not always the same one.

    States of one stage merge, so that any number of workers can each own one.
    """

    __slots__ = ("_handle", "_library")

    def __init__(self, library: _Library, handle: int | None) -> None:
        self._library = library
        self._handle = handle

    def fold(self, batch: bytes) -> None:
        """Takes a batch in."""
        library = self._library
        scratch = library.scratch
        status = library.functions.state_fold(self._handle, batch, len(batch), scratch.address)
        if status:
            raise scratch.error(status)

    def merge(self, encoded: bytes) -> None:
        """Takes in all that another state of the same stage took in, from its encoding."""
        library = self._library
        scratch = library.scratch
        status = library.functions.state_merge(self._handle, encoded, len(encoded), scratch.address)
        if status:
            raise scratch.error(status)

    def encode(self) -> bytes:
        """The bytes in which the state travels."""
        library = self._library
        scratch = library.scratch
        status = library.functions.state_encode(self._handle, scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def emit(self, limit: int) -> bytes:
        """Takes up to `limit` keys out of a keyed reduction: their items, or an empty batch at the end."""
        library = self._library
        scratch = library.scratch
        status = library.functions.state_emit(self._handle, limit, scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def close(self) -> None:
        """Frees the state; a call after it fails."""
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
    """A workload: source, operators, states. Any number of threads may use it at once.

    It is opened when it is first used in a process, and can be sent to another one: what travels is the path and the
    hash of the library, and the spec.
    """

    __slots__ = ("_key", "_opened")

    def __init__(self, path: str, sha256: str, spec: str) -> None:
        self._key = (path, sha256, spec)
        self._opened: _Opened | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Workload, self._key

    def _open(self) -> _Opened:
        self._opened = _process.open(*self._key)
        return self._opened

    @property
    def path(self) -> str:
        """Where the library is."""
        return self._key[0]

    @property
    def sha256(self) -> str:
        """The hash of the library's file, in hex."""
        return self._key[1]

    @property
    def spec(self) -> str:
        """What it is opened with, as JSON."""
        return self._key[2]

    @property
    def plan(self) -> list[Stage]:
        """The stages, from the source to the sink."""
        return (self._opened or self._open()).plan

    @property
    def sink(self) -> int:
        """The number of the sink."""
        return len(self.plan) - 1

    def end_of_chain(self, from_: int) -> int:
        """The first stage at or after `from_` that is not a map, filter or flat map: how far calls may fuse."""
        plan = self.plan
        while from_ < len(plan) and plan[from_].kind in _CHAIN:
            from_ += 1
        return from_

    def source(self, first: int, count: int, to: int) -> bytes:
        """Makes the items `first` to `first + count - 1` and takes them through the stages `1..to`."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        status = library.functions.source(opened.handle, first, count, to, scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def run_stages(self, from_: int, to: int, batch: bytes) -> bytes:
        """Takes a batch through the stages `from_..to`: maps, filters and flat maps."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        status = library.functions.run_stages(opened.handle, from_, to, batch, len(batch), scratch.address)
        if status:
            raise scratch.error(status)
        return scratch.take()

    def split(self, stage: int, batch: bytes, partitions: int) -> list[bytes]:
        """Splits a batch by key for a keyed reduction, into one batch a partition."""
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

    def new_state(self, stage: int) -> State:
        """An empty state of a keyed reduction or the sink."""
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

    def outcome(self, sink_state: bytes) -> dict[str, Any]:
        """What an encoded state of the sink came to: `count` and `checksum`."""
        opened = self._opened or self._open()
        library = opened.library
        scratch = library.scratch
        status = library.functions.outcome(opened.handle, sink_state, len(sink_state), scratch.address)
        if status:
            raise scratch.error(status)
        answer: dict[str, Any] = json.loads(scratch.take())
        return answer
