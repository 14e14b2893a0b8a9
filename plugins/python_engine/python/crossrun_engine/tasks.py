"""The tasks of `FuturesRun`: what workers without a state of their own do with a batch. An engine submits them by name.

Between two tasks travel

- `TalliedBatch`: a batch, or the output of a task of a graph, and the tally of the tasks that it has gone through;
- `Ended`: what batches came to at the end of a phase, one encoded state for each of its partitions, and their tally;
- `Closed`: what a partition of a keyed reduction gave of what ended, at the end of the next phase, as `Ended`; and the encoded state
  of what is left of the partition;
- `Emitted`: some batches out of a keyed reduction, the encoded state of what is left (`None` at the end), and a tally.

All arguments that come by name are the same for every task of a phase. Each task raises `WorkloadError` if a call
into the workload's library fails.
"""

from __future__ import annotations

from .closing import emitted_until
from .graph import batch_of
from .job import Job, Work, total
from .kernel import Workload, item_count
from .phase import Encoded, Phase, Terminal, emitted, encoded, merged

TalliedBatch = tuple[bytes, Work]
Ended = tuple[list[Encoded], Work]
Closed = tuple[list[Encoded], Work, bytes]
Emitted = tuple[list[bytes], Encoded, Work]


def source(first: int, count: int, *, job: Job) -> TalliedBatch:
    """Makes the items `first..first + count`."""
    return job.open().source(first, count, 1), job.work({})


def advance(tallied: TalliedBatch, *, job: Job, stage: int) -> TalliedBatch:
    """Takes a batch through one stage."""
    batch, work = tallied
    return job.open().run_stages(stage, stage + 1, batch), job.work(work)


def end(tallied: TalliedBatch, *, job: Job, phase: Phase) -> Ended:
    """Folds a batch at the end of its phase."""
    batch, work = tallied
    terminal = Terminal(job.open(), phase)
    terminal.fold(batch)
    return terminal.encode(), job.work(work)


def source_to_end(first: int, count: int, *, job: Job, phase: Phase) -> Ended:
    """Makes the items `first..first + count` and takes them to the end of the phase."""
    terminal = Terminal(job.open(), phase)
    terminal.produce(first, count)
    return terminal.encode(), job.work({})


def combine(*ended: Ended, job: Job, phase: Phase) -> Ended:
    """Merges the states of several batches, partition by partition."""
    workload = job.open()
    states = [_combined(workload, phase.end, states) for states in zip(*(states for states, _ in ended))]
    return states, total(work for _, work in ended)


def _combined(workload: Workload, stage: int, states: tuple[Encoded, ...]) -> Encoded:
    """What only one batch has come to stays as it is."""
    present = [state for state in states if state is not None]
    return encoded(merged(workload, stage, present)) if len(present) > 1 else next(iter(present), None)


def emit(partition: int, own: Encoded, *unmerged: Ended, job: Job, stage: int, limit: int, number: int) -> Emitted:
    """Takes up to `number` batches of up to `limit` keys out of a partition, whose states are `own` and in `unmerged`."""
    states, work = _of_partition(partition, own, unmerged)
    return _emitted(job.open(), stage, states, work, limit, number)


def emit_more(before: Emitted, *, job: Job, stage: int, limit: int, number: int) -> Emitted:
    """Takes up to `number` more batches out of what was left."""
    return _emitted(job.open(), stage, [before[1]], {}, limit, number)


def _emitted(workload: Workload, stage: int, states: list[Encoded], work: Work, limit: int, number: int) -> Emitted:
    batches: list[bytes] = []
    with merged(workload, stage, states) as state:
        while len(batches) < number:
            batch = state.emit(limit)
            if not item_count(batch):
                return batches, None, work
            batches.append(batch)
        return batches, state.encode(), work


def count(some: Emitted, *, job: Job) -> tuple[int, bool, Work]:
    """How many batches there are, whether more are left in the partition, and the tally of those that led to it."""
    batches, rest, work = some
    return len(batches), rest is not None, work


def pick(some: Emitted, number: int, *, job: Job) -> TalliedBatch:
    """One of several batches; the first has number 0."""
    return some[0][number], job.work({})


def emit_to_end(
    partition: int, own: Encoded, *unmerged: Ended, job: Job, stage: int, phase: Phase, limit: int
) -> Ended:
    """Takes all that comes out of a partition of the reduction `stage` to the end of the next phase, batch by batch."""
    workload = job.open()
    states, work = _of_partition(partition, own, unmerged)
    terminal = Terminal(workload, phase)
    for batch in emitted(merged(workload, stage, states), limit):
        terminal.carry(batch)
    return terminal.encode(), job.work(work)


def close(
    partition: int,
    own: Encoded,
    *ended: Ended | Closed,
    job: Job,
    phase: Phase,
    following: Phase,
    time: int,
    limit: int,
) -> Closed:
    """Merges what has come to a partition at the end of `phase` into `own`, the only state of the partition that closes.

    What ended at `time` or before goes to the end of the phase that follows.
    """
    workload = job.open()
    states, work = _of_partition(partition, own, ended)
    terminal = Terminal(workload, following)
    with merged(workload, phase.end, states) as state:
        for batch in emitted_until(state, time, limit):
            terminal.carry(batch)
        left = state.encode()
    return terminal.encode(), job.work(work), left


def graph_task(point: int, takes: tuple[bool, ...], *inputs: TalliedBatch | None, job: Job, step: int) -> TalliedBatch:
    """Runs a task of a graph on the outputs that it needs, of whose tallies it takes on some. `None` is no input."""
    present = [tallied for tallied in inputs if tallied is not None]
    output = job.open().graph_task(step, point, [output for output, _ in present])
    return output, job.work(total(work for (_, work), mine in zip(present, takes) if mine))


def graph_end(*outputs: TalliedBatch, job: Job) -> tuple[bytes, Work]:
    """Folds outputs that no task needs into a state of the sink."""
    with job.open().new_sink() as sink:
        sink.fold(batch_of([output for output, _ in outputs]))
        return sink.encode(), total(work for _, work in outputs)


def _of_partition(partition: int, own: Encoded, unmerged: tuple[Ended | Closed, ...]) -> tuple[list[Encoded], Work]:
    """The states of one partition. All partitions are given the same tallies, and the first takes them on."""
    states = [own, *(ended[0][partition] for ended in unmerged)]
    return states, {} if partition else total(ended[1] for ended in unmerged)
