"""A worker's socket made of its standard streams, where nothing else of the node's reaches it."""

import os
import socket
import threading

_READ_BYTES = 64 * 1024


def join_streams() -> socket.socket:
    """One end of a pair whose other end is what comes in and goes out; what is printed goes to stderr from now on."""
    mine, its = socket.socketpair()
    come, go = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    threading.Thread(target=_carry_in, args=(come, its), daemon=True).start()
    threading.Thread(target=_carry_out, args=(its, go), daemon=True).start()
    return mine


def _carry_in(come: int, end: socket.socket) -> None:
    while data := os.read(come, _READ_BYTES):
        end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def _carry_out(end: socket.socket, go: int) -> None:
    while data := end.recv(_READ_BYTES):
        while data:
            data = data[os.write(go, data) :]
