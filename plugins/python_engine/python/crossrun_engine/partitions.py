"""What the tasks of an engine of partitioned datasets do: functions of the elements of one partition.

| part of the plan | with fused stages | with `fusion=off` |
|---|---|---|
| source, maps, filters, flat maps | `produce`, which folds batches into states | `generate`, and `advance` for each stage |
| keyed reduction | a shuffle of the states, and `reduce_states` | `split`, a shuffle of the parts, and `reduce_parts` |
| sink | the states that come out of the last of these | `sink` |

What is shuffled has the number of its partition. Some engines hand over only the text of an exception: `workload_error_in`
finds the workload's error in it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Callable, TypeVar

from .failure import UnsupportedError, WorkloadError, workload_error_as_text
from .job import Job
from .kernel import item_count
from .phase import Phase, Terminal, emitted, merged
from .spec import Spec

Element = TypeVar("Element")

# The number of a partition, and an encoded state or a batch that belongs to it.
Numbered = tuple[int, bytes]


def _failing_in_text(function: Callable[..., Iterator[Element]]) -> Callable[..., Iterator[Element]]:
    @functools.wraps(function)
    def failing(*arguments: Any) -> Iterator[Element]:
        try:
            yield from function(*arguments)
        except (UnsupportedError, WorkloadError) as error:
            raise RuntimeError(workload_error_as_text(error)) from error

    return failing


@_failing_in_text
def produce(job: Job, spec: Spec, tasks: int, phase: Phase, numbers: Iterable[int]) -> Iterator[Numbered]:
    """Takes the batches of some of `tasks` tasks from the source to the end of the phase: their states."""
    terminal = Terminal(job.open(), phase)
    for number in numbers:
        for first, count in spec.dealt_slices(number, tasks):
            terminal.produce(first, count)
    yield from _states(terminal)


@_failing_in_text
def reduce_states(job: Job, reduction: int, phase: Phase, limit: int, states: Iterable[Numbered]) -> Iterator[Numbered]:
    """Merges the states of one partition, and takes what comes out to the end of the phase, `limit` keys at a time."""
    workload = job.open()
    terminal = Terminal(workload, phase)
    for batch in emitted(merged(workload, reduction, (state for _, state in states)), limit):
        terminal.carry(batch)
    yield from _states(terminal)


@_failing_in_text
def generate(job: Job, spec: Spec, tasks: int, number: int) -> Iterator[bytes]:
    """The batches of one of `tasks` tasks, as the source makes them."""
    workload = job.open()
    for first, count in spec.dealt_slices(number, tasks):
        yield workload.source(first, count, 1)


@_failing_in_text
def advance(job: Job, stage: int, batch: bytes) -> Iterator[bytes]:
    """Takes one batch through one stage: what is left of it, or nothing if a filter has emptied it."""
    made = job.open().run_stages(stage, stage + 1, batch)
    if item_count(made):
        yield made


@_failing_in_text
def split(job: Job, phase: Phase, batch: bytes) -> Iterator[Numbered]:
    """Splits one batch by key: what goes through the shuffle."""
    # One partition has all keys: to split would only copy.
    parts = [batch] if phase.partitions == 1 else job.open().split(phase.end, batch, phase.partitions)
    yield from ((number, part) for number, part in enumerate(parts) if item_count(part))


@_failing_in_text
def reduce_parts(job: Job, reduction: int, limit: int, parts: Iterable[Numbered]) -> Iterator[bytes]:
    """Reduces the parts of one partition: what comes out, in batches of up to `limit` keys."""
    state = job.open().new_state(reduction)
    for _, part in parts:
        state.fold(part)
    yield from emitted(state, limit)


@_failing_in_text
def sink(job: Job, phase: Phase, batches: Iterable[bytes]) -> Iterator[Numbered]:
    """Folds the batches of one task into a state of the sink."""
    terminal = Terminal(job.open(), phase)
    for batch in batches:
        terminal.fold(batch)
    yield from _states(terminal)


def _states(terminal: Terminal) -> Iterator[Numbered]:
    return ((number, state) for number, state in enumerate(terminal.encode()) if state is not None)
