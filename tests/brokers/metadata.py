"""Asks a Kafka broker for its metadata in bare protocol bytes, to learn whether it serves clients yet."""

import socket
import struct

METADATA_KEY = 3
METADATA_VERSION = 1
CORRELATION = 7
NO_CLIENT_ID = -1


def serves_clients(host: str, port: int, timeout_s: float = 5.0) -> bool:
    """Tell whether the broker answers a metadata request with at least one live broker."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(_request())
            answer = _receive(connection)
    except OSError:
        return False
    correlation, brokers = struct.unpack_from(">ii", answer)
    return bool(correlation == CORRELATION and brokers > 0)


def _request() -> bytes:
    """Ask about no topic: an empty list, which since version 1 does not mean all of them."""
    body = struct.pack(">hhihi", METADATA_KEY, METADATA_VERSION, CORRELATION, NO_CLIENT_ID, 0)
    return struct.pack(">i", len(body)) + body


def _receive(connection: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError("the broker closed the connection in the middle of an answer")
        received += part
    return received
