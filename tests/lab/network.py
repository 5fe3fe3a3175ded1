"""Two network namespaces, one for each database server, and real addresses that move between them.

It takes root and ``ip`` of iproute2. All names and the subnet have the number of this process in them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

SIDES = ("source", "target")
PORT = 5432
# One of those set apart for tests between networks (RFC 2544): nobody else's.
ALL = ipaddress.IPv4Network("198.18.0.0/15")
# Who has moved tells all others, as a cluster that moves an address does: a gratuitous ARP.
ANNOUNCE = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("eth0", 0))
    mac, address, everybody = raw.getsockname()[4], socket.inet_aton(sys.argv[1]), b"\\xff" * 6
    raw.send(everybody + mac + bytes.fromhex("08060001080006040001") + mac + address + everybody + address)
"""


def missing() -> str:
    """Return why there can be no namespaces here, "" where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if lacks := [name for name in ("ip", "setpriv") if shutil.which(name) is None]:
        return f"no {' and no '.join(lacks)} here"
    try:
        with Network():
            return ""
    except RuntimeError as error:
        return str(error)


class Network:
    """The namespaces of source and target, behind a bridge of this host; a context manager."""

    def __init__(self) -> None:
        number = os.getpid() % (ALL.num_addresses // 256)
        self._subnet = ipaddress.IPv4Network((int(ALL.network_address) + 256 * number, 24))
        self._bridge = f"lab{number}"
        self.namespaces: Mapping[str, str] = {side: f"lab{number}-{side}" for side in SIDES}
        #: Where each server listens, beside the addresses that move.
        self.hosts: Mapping[str, str] = {side: str(self._subnet[1 + place]) for place, side in enumerate(SIDES)}
        self._at: dict[str, str | None] = {}

    def __enter__(self) -> Network:
        with contextlib.ExitStack() as undo:
            _ip("link", "add", self._bridge, "type", "bridge")
            undo.callback(_ip, "link", "delete", self._bridge)
            _ip("address", "add", f"{self._subnet[254]}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for side, name in self.namespaces.items():
                _ip("netns", "add", name)
                undo.callback(_ip, "netns", "delete", name)
                cable = f"{self._bridge}{side[0]}"
                _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
                # A namespace outlives its deletion for as long as a connection in it is not quite over.
                undo.callback(_ip, "link", "delete", cable)
                _ip("link", "set", cable, "master", self._bridge, "up")
                for interface in ("lo", "eth0"):
                    _ip("link", "set", interface, "up", inside=name)
                _ip("address", "add", f"{self.hosts[side]}/24", "dev", "eth0", inside=name)
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def address(self, number: int) -> str:
        """Return one of the addresses that can move."""
        return str(self._subnet[100 + number])

    def move(self, address: str, side: str | None) -> None:
        """Let a server have an address, in place of the one that had it; None: nobody has it."""
        before = self._at.get(address)
        if before is not None:
            _ip("address", "delete", f"{address}/24", "dev", "eth0", inside=self.namespaces[before])
        self._at[address] = side
        if side is not None:
            name = self.namespaces[side]
            _ip("address", "add", f"{address}/24", "dev", "eth0", inside=name)
            _run("ip", "netns", "exec", name, sys.executable, "-c", ANNOUNCE, address)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Make a network.

    :raises RuntimeError: there can be none here.
    """
    if lacks := missing():
        raise RuntimeError(lacks)
    with Network() as made:
        yield made


def inside(namespace: str, user: int, group: int) -> Sequence[str]:
    """Return what comes before a command, so that it runs in a namespace as a user, and ends with its parent."""
    whom = (f"--reuid={user}", f"--regid={group}", "--clear-groups", "--pdeathsig=INT")
    return ("ip", "netns", "exec", namespace, "setpriv", *whom)


def _ip(*arguments: str, inside: str = "") -> None:
    _run("ip", *(("-n", inside) if inside else ()), *arguments)


def _run(*command: str) -> None:
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"{' '.join(command[:6])}: {made.stderr.strip() or made.stdout.strip()}")
