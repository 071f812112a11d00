"""Every failure of the bus, in one small tree.

    BusError
    ├── Retryable            the same call may work later
    │   ├── Unavailable          the log, broker or server cannot be reached
    │   ├── AppendUnknown        the batch may or may not be in the log: read back, never guess
    │   └── LogFull              the disk or quota below the log is full; nothing was written
    └── Fatal                the same call will fail again
        ├── RecordTooLarge       a record or batch is over a named limit; nothing was written
        ├── OffsetOutOfRange     the offset is before the start or behind the end of the partition
        ├── LogLocked            another process owns this embedded log
        ├── NamespaceMismatch    the namespace was made with other partitions or schemas
        ├── Undecodable          bytes that are no record of ours
        ├── UnknownRecordType    a record type that this version does not know
        ├── BlobMissing          the blob store has no content of this digest
        ├── BlobCorrupt          the content that the blob store has is not what the digest says
        ├── BlobTooLarge         a blob is over its named limit; nothing was kept
        ├── Halted               a role has stopped for good, and says why
        └── Refused              the call breaks a rule of the bus (publishing a fact, a bad address …)

A refusal of the system (a run refused, no quota) is a record, never an exception.
"""


class BusError(Exception):
    """Root of all failures of the bus."""


class Retryable(BusError):
    """The same call may work later."""


class Fatal(BusError):
    """The same call will fail again."""


class Unavailable(Retryable):
    """The log, broker or server cannot be reached."""


class AppendUnknown(Retryable):
    """The batch may or may not be in the log."""


class LogFull(Retryable):
    """The disk or quota below the log is full; nothing was written."""


class RecordTooLarge(Fatal):
    """A record or a batch is over a named limit; nothing was written."""


class OffsetOutOfRange(Fatal):
    """The offset lies before the start or behind the end of the partition."""


class LogLocked(Fatal):
    """Another process owns this embedded log."""


class NamespaceMismatch(Fatal):
    """The namespace was made with another partition count or other schemas."""


class Undecodable(Fatal):
    """Bytes that are no record of ours, with the reason."""


class UnknownRecordType(Fatal):
    """A record type that this version does not know."""


class BlobMissing(Fatal):
    """The blob store has no content of this digest."""


class BlobCorrupt(Fatal):
    """The content that the blob store has is not what the digest says."""


class BlobTooLarge(Fatal):
    """A blob is over its named limit; nothing was kept."""


class Halted(Fatal):
    """A role has stopped for good, with the reason."""


class Refused(Fatal):
    """The call breaks a rule of the bus."""
