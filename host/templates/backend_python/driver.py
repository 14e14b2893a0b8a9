"""The {{name}} backend's driver: a thread pool of the standard library. Your engine goes in the pool's place."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from crossrun_engine import Driver, Result, RunContext, Session, Spec, Workload, item_count, serve


class PoolDriver(Driver):
    """Runs a batch as one task, as far as a keyed reduction or the sink; with `fusion=off` each stage is a task."""

    def open(self, session: Session) -> None:
        """Starts the engine."""
        session.demand_nodes(1)
        self._pool = ThreadPoolExecutor(session.parallelism)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Takes all items from the source to the sink."""
        end, fused = workload.end_of_chain(1), spec.fusion != "off"
        state, tasks = workload.new_state(end), deque[Future[tuple[int, bytes]]]()

        def step(stage: int, batch: bytes, first: int = 0, count: int = 0) -> tuple[int, bytes]:
            after = end if fused else min(stage + 1, end)
            made = workload.run_stages(stage, after, batch) if stage else workload.source(first, count, after)
            if after == end:
                state.fold(made)
            return after, made

        def go_on(most: int) -> None:  # Until so many tasks are under way: memory stays flat, however long the input.
            while len(tasks) > most:
                context.check_cancelled()
                stage, batch = tasks.popleft().result()
                if stage < end:
                    tasks.append(self._pool.submit(step, stage, batch))

        for first, count in spec.slices():
            context.progress(first, spec.total_items)
            tasks.append(self._pool.submit(step, 0, b"", first, count))
            go_on(4 * spec.parallelism)
        go_on(0)
        while end < workload.sink:  # What a keyed reduction emits in the pool goes to the next one, or to the sink.
            stage, end, reduced = end + 1, workload.end_of_chain(end + 1), state
            state = workload.new_state(end)
            while item_count(emitted := self._pool.submit(reduced.emit, spec.batch_size).result()):
                tasks.append(self._pool.submit(step, stage, emitted))
                go_on(4 * spec.parallelism)
            go_on(0)
        return Result.of(state, workload, spec)

    def close(self) -> None:
        """Stops the engine, if it has started."""
        if hasattr(self, "_pool"):
            self._pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    serve(PoolDriver())
