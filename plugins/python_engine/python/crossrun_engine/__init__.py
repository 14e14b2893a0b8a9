"""What a crossrun driver in Python is written with.

A driver is a class that maps the stages of a workload onto an engine's own primitives:

    from crossrun_engine import Driver, serve

    class MyDriver(Driver):
        def run(self, spec, workload, context): ...

    if __name__ == "__main__":
        serve(MyDriver())

It moves opaque batches of bytes between the calls of `Workload`, and never looks inside them.

What the drivers of different engines have in common is here as well. A driver takes what fits its engine:

| module | what it has | who uses it |
|---|---|---|
| `phase` | `phases` of a plan, a `Terminal` at the end of each, merging and emitting | every driver |
| `graph` | `Graph`: which tasks of a graph may run, for an engine that runs them by their dependencies | `python` |
| `closing` | `Closing`: closes what has ended by watermarks, for an engine whose threads share states; the runs below have it in them | `python` |
| `window` | `Window`: batches in flight, bounded, until the host stops the run | engines that are handed batches |
| `graph_futures` | `GraphRun`: a graph of tasks on such an engine | `dask`, `ray` |
| `futures` | `FuturesRun`: a whole run on an engine whose tasks return futures | `dask`, `ray` |
| `actors` | `ActorsRun`: a whole run on a pool of actors that keep states | `ray` |
| `dataflow` | `DataflowRun`: a whole run on operators with replicas that keep states | `sage` |
| `remote` | such replicas on other machines | `sage` |
| `datasets` | `DatasetsRun`: a whole run on partitioned datasets; what it does with the elements of a partition is in `partitions` | `spark` |
| `job`, `code` | the workload's library and the driver's modules on their way to others | engines with clusters |
| `folder` | `SessionFolder`: the temporary folder of an engine | engines that write files |
| `report` | the result of a run, with nodes, their work and warnings | every driver |
| `spec` | what is asked for; `choice` of an option, and `scheduler_used`, with a warning if the one asked for is unknown | every driver |
| `network` | addresses of machines | engines with clusters |
| `output` | the last error and the warnings that an engine's processes print | engines that keep logs of their own |
| `startup` | why an engine cannot be imported, or does not start; what has started of it is closed | engines with processes of their own |

The docstring of `futures` shows a driver. An engine whose tasks run under another control (a pool of threads with states)
takes `phase` and `report`, and `Window` where it hands out batches.
"""

from .actors import ActorsEngine, ActorsRun, Replica
from .closing import Closing, End, Owners, closes, due_warnings
from .dataflow import DataflowRun, Item, Operator, Part, Replicas
from .datasets import DatasetsEngine, DatasetsRun, task_count
from .driver import Driver, RunContext
from .failure import (
    CancelledError,
    EngineError,
    InvalidSpecError,
    UnavailableError,
    UnsupportedError,
    WorkloadError,
)
from .folder import SessionFolder
from .futures import FuturesRun, futures_run
from .futures_engine import FuturesEngine, reach_processes
from .graph import Graph, Task, batch_of, granted_graph
from .graph_futures import GraphRun, graph_window
from .job import Job, ShippedJob, Work, total
from .kernel import Stage, State, Workload, item_count
from .loop import serve
from .phase import Encoded, Phase, Terminal, emitted, encoded, merged, phases
from .remote import RemoteReplicas, ReplicaServer
from .report import report
from .spec import Result, Session, Spec, choice, scheduler_used
from .window import TICK, Waiter, Window, awaited, called, window_size

__all__ = [
    "TICK",
    "ActorsEngine",
    "ActorsRun",
    "CancelledError",
    "Closing",
    "DataflowRun",
    "DatasetsEngine",
    "DatasetsRun",
    "Driver",
    "Encoded",
    "End",
    "EngineError",
    "FuturesEngine",
    "FuturesRun",
    "Graph",
    "GraphRun",
    "InvalidSpecError",
    "Item",
    "Job",
    "Operator",
    "Owners",
    "Part",
    "Phase",
    "RemoteReplicas",
    "Replica",
    "ReplicaServer",
    "Replicas",
    "Result",
    "RunContext",
    "Session",
    "SessionFolder",
    "ShippedJob",
    "Spec",
    "Stage",
    "State",
    "Task",
    "Terminal",
    "UnavailableError",
    "UnsupportedError",
    "Waiter",
    "Window",
    "Work",
    "Workload",
    "WorkloadError",
    "awaited",
    "batch_of",
    "called",
    "choice",
    "closes",
    "due_warnings",
    "emitted",
    "encoded",
    "futures_run",
    "granted_graph",
    "graph_window",
    "item_count",
    "merged",
    "phases",
    "reach_processes",
    "report",
    "scheduler_used",
    "serve",
    "task_count",
    "total",
    "window_size",
]
