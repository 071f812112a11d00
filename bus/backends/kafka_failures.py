"""What the Kafka client says, in the words of the bus."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors

from bus.errors import Fatal, RecordTooLarge, Refused, Unavailable

_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_REFUSED = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.IllegalSaslStateError,
    errors.InvalidTimestampError,
    errors.InvalidTopicError,
    errors.PolicyViolationError,
    errors.SaslAuthenticationFailed,
    errors.TopicAuthorizationFailedError,
    errors.UnsupportedSaslMechanismError,
)


def refusal(error: BaseException) -> Fatal | None:
    """The error of the bus for an answer that means that nothing was done and never will be; None for any other."""
    if isinstance(error, _TOO_LARGE):
        return _caused(RecordTooLarge(f"the broker takes no batch of this size: {error}"), error)
    if isinstance(error, _REFUSED):
        return _caused(Refused(f"the broker refuses: {type(error).__name__} {error}".rstrip()), error)
    return None


@contextmanager
def failures(bootstrap: str) -> Iterator[None]:
    """Translate what a call to the cluster raises."""
    try:
        yield
    except (errors.KafkaError, errors.IllegalOperation, TimeoutError, OSError) as error:
        raise refusal(error) or Unavailable(f"no answer from Kafka at {bootstrap}: {_told(error)}") from error


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _caused(error: Fatal, cause: BaseException) -> Fatal:
    error.__cause__ = cause
    return error
