"""Promise 7: nobody else gets into a cluster that a build starts."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client
from distributed.security import Security
from rich.console import Console

from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError
from tests.support.cluster import run_dask_commands

OTHER_USER = 65534


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    folder.chmod(0o755)
    with Engine(2, None, folder / "dask", Console(quiet=True)) as engine:
        yield engine


def list_ports(engine: Engine) -> list[tuple[str, int]]:
    """Return the addresses at which this process and the workers listen."""
    listening = [
        connection.laddr
        for pid in (os.getpid(), *engine._local.list_processes().values())
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    return [(address.ip, address.port) for address in listening]


def try_to_get_in(port: int, context: ssl.SSLContext | None) -> str:
    """Connect, and return "refused" where nothing is answered but an end, or that there is no such page."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            connection = context.wrap_socket(plain) if context is not None else plain
            connection.sendall(b"GET /info/main/workers.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return "refused"
    is_alert = answer[:1] == b"\x15"  # of TLS
    return "refused" if not answer or is_alert or answer.startswith(b"HTTP/1.1 404 ") else f"answered {answer!r}"


def test_no_other_user_sees_what_workers_keep(engine, tmp_path_factory):
    folder = next(tmp_path_factory.getbasetemp().glob("cluster*/dask"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def has_pages(port: int) -> bool:
    """Return whether a port is one of Dask's servers of pages, which speak no TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return connection.recv(1024).startswith(b"HTTP/")
    return False


def make_context(security: Security | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if security is not None:
        context = security.get_connection_args("client")["ssl_context"]
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("kind", ["without TLS", "without a certificate", "with a certificate of another run"])
def test_a_program_without_the_certificate_is_refused_at_every_port(engine, kind):
    context = {
        "without TLS": lambda: None,
        "without a certificate": lambda: make_context(None),
        "with a certificate of another run": lambda: make_context(Security.temporary()),
    }[kind]()
    ports = list_ports(engine)
    assert {address for address, _ in ports} == {"127.0.0.1"}
    of_dask = [port for _, port in ports if context is None or not has_pages(port)]
    assert len(of_dask) >= 3  # scheduler, two workers
    assert {try_to_get_in(port, context) for port in of_dask} == {"refused"}
    assert list(engine.run("trying", [(abs, (-1,))])) == [(0, 1)]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_is_refused_and_sees_no_files(engine):
    ports, scratch = [port for _, port in list_ports(engine)], engine.scratch
    over_tls = [port for port in ports if not has_pages(port)]
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setuid(OTHER_USER)
            answers = {try_to_get_in(port, None) for port in ports}
            answers |= {try_to_get_in(port, make_context(None)) for port in over_tls}
            try:
                answers.add(f"sees {os.listdir(scratch)}")
            except PermissionError:
                answers.add("sees nothing")
            os.write(writing, repr(sorted(answers)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        assert answer.read().decode() == "['refused', 'sees nothing']"
    os.waitpid(child, 0)


def test_no_key_lies_on_the_disk_or_in_a_command_line(engine):
    files = [path.read_bytes() for path in engine.scratch.rglob("*") if path.is_file()]
    assert not any(b"PRIVATE KEY" in content for content in files)
    for process in psutil.Process().children(recursive=True):
        assert "PRIVATE KEY" not in " ".join(process.cmdline()) + repr(process.environ())


def write_certificates(folder: Path) -> dict[str, str]:
    """Write a certificate and its key; return the settings of Dask that name them."""
    security = Security.temporary()
    certificate, key = folder / "ca.pem", folder / "key.pem"
    certificate.write_text(security.tls_ca_file)
    key.touch(0o600)
    key.write_text(security.tls_client_key)
    return {
        "distributed.comm.tls.ca-file": str(certificate),
        "distributed.comm.tls.client.cert": str(certificate),
        "distributed.comm.tls.client.key": str(key),
    }


def test_a_cluster_of_ones_own_over_tls(tmp_path):
    settings = write_certificates(tmp_path)
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    options = ["--tls-ca-file", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key)]
    with run_dask_commands(tmp_path, workers=1, options=options) as cluster:
        assert cluster.address.startswith("tls://")
        with pytest.raises(BuildError, match=r"cannot be reached .*needs the certificates.*distributed\.comm\.tls\.ca-file"):
            Engine(None, cluster.address, tmp_path / "dask", Console(quiet=True)).__enter__()
        with dask.config.set(settings), Engine(None, cluster.address, tmp_path / "dask", Console(quiet=True)) as engine:
            assert list(engine.run("trying", [(abs, (-1,))])) == [(0, 1)]


def test_what_a_plain_port_means(cluster):
    """Whoever reaches a `tcp://` port runs code there: the README says so, and this shows it."""
    with Client(cluster) as client:
        assert client.submit(subprocess.getoutput, "echo $((6 * 7))").result(timeout=60) == "42"
