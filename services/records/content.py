"""Groups of fields that several record types share: contents by digest, artifacts and the work of a stage."""

from collections.abc import Mapping

from bus.record import Value

INLINE_BYTES_MAX = 4 * 1024
"""Largest artifact that stands in a record itself; above it the content is in the blob store under its digest."""

RESULT_BYTES_MAX = 32 * 1024
"""Largest `result` of a stage, as JSON text."""

NAMES_MAX = 64
"""Most inputs of a run, inputs of a stage or outputs of a stage."""


class Artifact(Value):
    """Named, versioned, immutable content. `inline` holds it when it is small, otherwise the blob store does."""

    name: str
    version: int  # 1, 2 … within its run or workspace
    digest: str  # "sha256:" and 64 hex digits
    size: int  # bytes
    media_type: str = "application/octet-stream"
    inline: bytes | None = None
    base_version: int = 0  # the version that its writer saw; 0 for none


class Content(Value):
    """Content on its way to become an artifact: no version yet."""

    name: str
    digest: str
    size: int
    media_type: str = "application/octet-stream"
    inline: bytes | None = None
    base_version: int = 0


class Read(Value):
    """A version of an artifact that somebody read."""

    name: str
    version: int
    digest: str


class Usage(Value):
    """What an attempt used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0  # millionths of the currency unit
    cpu_ms: int = 0
    wall_ms: int = 0


class Work(Value):
    """The work of one stage execution, as a worker needs it."""

    run_id: str
    stage: str
    execution: int  # 1 for the first time the stage runs in this run, 2 for the next …
    item: int = -1  # index in a map, or -1
    ordinal: int = 1  # counts the attempts over all executions of the stage in the run, from 1
    profession: str = ""  # empty: the roster finds one
    agent: str = ""  # empty: the profession's
    parameters: str = "{}"  # the stage's `with`, as JSON
    inputs: tuple[Artifact, ...] = ()
    outputs: tuple[str, ...] = ()
    skills: Mapping[str, int] = {}  # least levels
    professions: Mapping[str, str] = {}  # whom it may go to, with the digest of each; all there are if it names none
    timeout_ms: int = 600_000  # from assignment
    queue_timeout_ms: int = 0  # before it; 0 for none
    priority: int = 0
    instructions: str = ""  # what the stage says in words, for agents that read
    feedback: str = ""  # why the result of an earlier attempt was sent back


class Terms(Value):
    """What the profession of an instance, where it is known, says of the attempts that it is given."""

    timeout_multiplier: float = 1.0  # of a stage's timeout
    quality_threshold: float = 0.0  # a result that states less is sent back


class Resources(Value):
    """What an instance needs or a node has. Zero means none."""

    cpu_millis: int = 0  # thousandths of a core
    memory_mib: int = 0
    storage_mib: int = 0
    gpus: int = 0
    api_calls_per_minute: int = 0
    slots: int = 1  # tasks at once
