"""Ports and addresses on this machine."""

import socket

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Pick ports that nobody listens on; all differ, because they are held until the last is found."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
