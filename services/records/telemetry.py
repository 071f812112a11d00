"""Telemetry: heartbeats, usage samples and worker output. No Decider hears it; it is kept for a short time."""

from bus.record import Record, Report, Value


class WorkerPulse(Value):
    """One worker as its node sees it."""

    instance_id: str
    workspace_id: str
    incarnation: int
    busy: int = 0
    cpu_ms: int = 0
    memory_mib: int = 0


class NodeHeartbeat(Report, channel="telemetry"):
    """A node is alive, and so are these of its workers, each of which has answered since the last heartbeat."""

    pool: str
    node_id: str
    node_session: str
    workers: tuple[WorkerPulse, ...] = ()
    lease_ms: int = 5000

    def key(self) -> str:
        return f"node:{self.node_id}"


class WorkerOutput(Report, channel="telemetry"):
    """A line that a worker printed about its work."""

    workspace_id: str
    instance_id: str
    run_id: str = ""
    stage: str = ""
    attempt_id: str = ""
    line: str


RECORDS: tuple[type[Record], ...] = (NodeHeartbeat, WorkerOutput)
