"""Several machines, as examples/deploy has them: HAProxy, three servers, one PostgreSQL; one falls, one is drained."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from httpd.config.settings import OPTIONS
from httpd.config.sources import read_sources

from .interpreters import interpreters
from .live import LiveServer
from .postgres import shared
from .proxies import free_port
from .shipping import build, run, venv_with
from .test_apps import Visitor
from .tools import TOP, missing, needs, needs_module
from .workbench import until

DEPLOY = TOP / "examples" / "deploy"
APPS = TOP / "examples" / "apps"


# ---- HAProxy, three servers, PostgreSQL


@dataclass
class Cluster:
    """All of it, on the loopback address."""

    front: int
    servers: list[LiveServer]
    inbox: str
    log: Path

    def client(self, source: str = "127.0.0.1") -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.front, timeout=30, source_address=(source, 0))

    def served(self, server: LiveServer) -> int:
        """How many requests a server has answered, but those that ask for its health."""
        return server.log.count(' HTTP/1.1" ')

    def stored(self) -> list[dict[str, Any]]:
        """All that is in the inbox, as the command exports it."""
        command = ["httpd", "forms", "export", "--format", "jsonl"]
        done = subprocess.run(
            ["python3", "-m", *command], capture_output=True, text=True, timeout=60, cwd=TOP, env=self._env()
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _env(self) -> dict[str, str]:
        return {**os.environ, "HTTPD_INBOX": self.inbox}


# What the servers serve: the options, and the variable that names the database.
SITE = (("--config", str(DEPLOY / "httpd.toml")), "HTTPD_INBOX")
ACCOUNTS = (("--app", "login:site", "--health", "/healthz"), "ACCOUNTS")


@contextmanager
def cluster(tmp_path: Path, what: tuple[tuple[str, ...], str] = SITE) -> Iterator[Cluster]:
    needs_module("psycopg")
    haproxy = needs("haproxy")
    options, variable = what
    with ExitStack() as stack:
        inbox = stack.enter_context(shared().database())
        env = {variable: inbox, "PYTHONPATH": str(TOP)}
        servers = [
            stack.enter_context(LiveServer(None, *options, "--bind", "127.0.0.1", env=env, cwd=APPS)) for _ in range(3)
        ]
        front = free_port()
        places = {f"SERVER_{number}": f"127.0.0.1:{server.port}" for number, server in enumerate(servers, 1)}
        log = tmp_path / "haproxy.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [haproxy, "-db", "-f", str(DEPLOY / "haproxy.cfg")],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "FRONT": f"127.0.0.1:{front}", **places},
            )
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        whole = Cluster(front, servers, inbox, log)
        assert until(lambda: _answers(whole), 20), log.read_text()
        yield whole


def _answers(cluster: Cluster) -> bool:
    client = cluster.client()
    try:
        client.request("GET", "/")
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()


# ---- clients


@dataclass
class Load:
    """Clients that read and write, each from an address of its own, until it is over."""

    cluster: Cluster
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self.threads = [threading.Thread(target=self._run, args=[number]) for number in range(6)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self, number: int) -> None:
        visit = 0
        while not self.over.is_set():
            visit += 1
            # So many from one address are taken within ten minutes.
            client = self.cluster.client(f"127.1.{number}.{1 + visit % 250}")
            for turn in range(8):
                method = "POST" if turn == 4 else "GET"
                try:
                    self._ask(client, method)
                except (OSError, http.client.HTTPException) as why:
                    self.lost.append(f"{method}: {why!r}")
                    client.close()
            client.close()

    def _ask(self, client: http.client.HTTPConnection, method: str) -> None:
        if method == "GET":
            client.request("GET", "/")
            answer = client.getresponse()
            answer.read()
        else:
            key = str(uuid.uuid4())
            letter = {"name": "A", "email": "a@a.example", "message": key}
            fields = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": key}
            client.request("POST", "/contact", json.dumps(letter), fields)
            answer = client.getresponse()
            said = answer.read()
            if answer.status == 201:
                self.acknowledged[key] = json.loads(said)["id"]
        self.answers[method, answer.status] += 1

    def reaches(self, count: int) -> None:
        """Wait until so many more submissions are acknowledged."""
        wanted = len(self.acknowledged) + count
        assert until(lambda: len(self.acknowledged) >= wanted, 60), (self.answers, self.lost[:5])


@pytest.mark.tools
@pytest.mark.slow
def test_one_is_killed_and_one_is_drained_under_load(tmp_path: Path) -> None:
    with cluster(tmp_path) as whole:
        began = time.monotonic()
        with Load(whole) as load:
            load.reaches(100)
            assert all(whole.served(server) for server in whole.servers)
            whole.servers[0].process.send_signal(signal.SIGKILL)
            load.reaches(100)
            # It finishes what it is answering.
            assert whole.servers[1].stop(signal.SIGTERM) == 0
            load.reaches(100)
        took = time.monotonic() - began
        told = f"{dict(load.answers)} in {took:.1f} s; lost: {load.lost[:5]}"
        print(told)
        # Nobody has noticed: what the killed one had in hand was sent to another.
        assert set(load.answers) == {("GET", 200), ("POST", 201)}, told
        assert load.lost == []
        # Each is there that was acknowledged, and each once.
        stored = whole.stored()
        assert {one["id"] for one in stored} >= set(load.acknowledged.values())
        keys = Counter(dict(one["fields"])["message"] for one in stored)
        assert set(keys.values()) == {1}
        # The clients are known by their own addresses, not by the proxy's.
        assert {one["address"].partition(".1.")[0] for one in stored} == {"127"}
        assert whole.servers[2].log.count("127.1.") > 100


@pytest.mark.tools
@pytest.mark.slow
def test_who_has_logged_in_stays_so_whichever_servers_go(tmp_path: Path) -> None:
    with cluster(tmp_path, ACCOUNTS) as whole:
        visitor, front = Visitor(), f"http://127.0.0.1:{whole.front}/"

        def known_to_all() -> list[int]:
            """Ask until all who are there have answered; how often each of the servers has."""
            before = [whole.served(server) for server in whole.servers]
            there = [server for server in whole.servers if server.process.poll() is None]
            for _ in range(60):
                assert "Hello, ada<" in visitor.get(front)
                answers = [whole.served(server) - more for server, more in zip(whole.servers, before, strict=True)]
                if sum(map(bool, answers)) == len(there):
                    return answers
            raise AssertionError(answers)

        visitor.get(front)
        assert "Hello, ada<" in visitor.post(front + "signup", name="ada", password="lovelace")
        known_to_all()
        whole.servers[0].process.send_signal(signal.SIGKILL)
        whole.servers[0].process.wait(10)
        assert not known_to_all()[0]
        # It finishes what it is answering, and its place is taken by those that are left.
        assert whole.servers[1].stop(signal.SIGTERM) == 0
        assert known_to_all()[:2] == [0, 0]
        assert "ok" in visitor.get(front + "healthz")
        # Whom nobody knows any more is unknown wherever the answer comes from.
        visitor.post(front + "logout")
        assert "Who are you?" in visitor.get(front)


# ---- the other files


def test_the_manifest_says_what_the_server_does() -> None:
    needs_module("yaml")
    import yaml

    deployment, service, budget = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz"
    assert "httpGet" not in container["livenessProbe"], "a store that is away is no reason to start anew"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"], budget["spec"]["selector"]):
        assert selector["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    # It has the time to drain.
    settings = read_sources(["--config", str(DEPLOY / "httpd.toml")], {}).settings
    assert settings.health == "/healthz"
    drain = next(float(limit.partition("=")[2]) for limit in settings.limit if limit.startswith("drain-time="))
    assert pod["terminationGracePeriodSeconds"] > drain + 5
    assert [port["containerPort"] for port in container["ports"]] == [settings.port]
    assert f"EXPOSE {settings.port}" in (DEPLOY / "Containerfile").read_text()


def test_a_pod_starts_whatever_the_service_has_set_in_it() -> None:
    needs_module("yaml")
    import yaml

    deployment, service, _ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    given = {one["name"]: one["value"] for one in pod["containers"][0]["env"] if "value" in one}
    linked = service_links(service)
    assert linked["HTTPD_PORT"] == "tcp://10.96.0.7:80"
    config = ["--config", str(DEPLOY / "httpd.toml")]
    assert read_sources(config, {**linked, **given}).wrong, "and with them it would not start"
    environ = {**(linked if pod.get("enableServiceLinks", True) else {}), **given}
    assert read_sources(config, environ).checked().port == pod["containers"][0]["ports"][0]["containerPort"]


def service_links(service: dict[str, Any]) -> dict[str, str]:
    """What Kubernetes sets in each pod of a namespace for a service there, unless the pod does not want it."""
    name, address = service["metadata"]["name"].upper().replace("-", "_"), "10.96.0.7"
    links = {f"{name}_SERVICE_HOST": address}
    for number, port in enumerate(service["spec"]["ports"]):
        url = f"tcp://{address}:{port['port']}"
        if not number:
            links |= {f"{name}_SERVICE_PORT": str(port["port"]), f"{name}_PORT": url}
        one = f"{name}_PORT_{port['port']}_TCP"
        links |= {f"{name}_SERVICE_PORT_{port['name'].upper()}": str(port["port"]), one: url}
        links |= {f"{one}_PROTO": "tcp", f"{one}_PORT": str(port["port"]), f"{one}_ADDR": address}
    return links


def test_the_variables_that_it_sets_are_ours() -> None:
    known = {option.variable for option in OPTIONS.values()} | {"HTTPD_FORM_KEY"}
    for path in DEPLOY.iterdir():
        if path.is_file():
            assert set(re.findall(r"HTTPD_[A-Z_]+", path.read_text())) <= known, path


@pytest.mark.tools
@pytest.mark.slow
def test_the_steps_of_the_container_file_make_a_server_for_nobodys_user() -> None:
    """One after the other, without containers: what is copied, the wheel that is built of it, its extras, the user."""
    setpriv = needs("setpriv") if os.geteuid() == 0 else ""
    steps = container_steps((DEPLOY / "Containerfile").read_text())
    with TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        [wheel] = _built(top, [words for step, words in steps if step == "COPY" and words[0] != "--from=wheel"][:4])
        [extras] = {re.findall(r"\.whl\)(\[.*\])", " ".join(words))[0] for step, words in steps if "install" in words}
        user = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--"] if setpriv else []
        venv_with(_python_for(user), top / "venv", f"{wheel}{extras}")
        (top / "srv").mkdir()
        for what in ("httpd.toml", "site"):
            assert ("COPY", [f"examples/deploy/{what}", f"./{'' if '.' in what else what}"]) in steps
            run("cp", "-r", DEPLOY / what, top / "srv", cwd=top)
        (top / "tmp").mkdir(mode=0o777)
        (top / "tmp").chmod(0o777)
        assert ("USER", ["65534:65534"]) in steps
        assert ("ENTRYPOINT", ['["httpd"]']) in steps
        env = {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1", "HTTPD_INBOX": f"sqlite:{top}/tmp/inbox.db"}
        command = [*user, str(top / "venv" / "bin" / "httpd")]
        with LiveServer(None, "--bind", "127.0.0.1", command=command, cwd=top / "srv", env=env) as server:
            whole = Cluster(server.port, [server], "", top)
            assert _answers(whole)
            with Load(whole) as load:
                load.reaches(1)
            assert not load.lost
            if user:
                assert Path(f"/proc/{server.pid}").stat().st_uid == 65_534
            assert server.stop(signal.SIGTERM) == 0
        assert not list((top / "srv").rglob("*.pyc"))


def container_steps(text: str) -> list[tuple[str, list[str]]]:
    """The instructions of a container file, each with its words."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(step, rest.split()) for step, _, rest in (line.partition(" ") for line in lines)]


def _built(top: Path, copied: list[list[str]]) -> list[Path]:
    """The wheel that is made of nothing but what is copied."""
    checkout, into = top / "checkout", top / "wheel"
    checkout.mkdir()
    into.mkdir()
    for *sources, _ in copied:
        for source in sources:
            run("cp", "-r", TOP / source, checkout, cwd=top)
    return [build(checkout, into, "wheel")]


def _python_for(user: list[str]) -> str:
    """A Python that this user may run."""
    found = interpreters("3.13", "3.12", "3.11").values()
    may = [path for path in found if subprocess.run([*user, path, "-c", ""], capture_output=True).returncode == 0]
    return may[0] if may else missing("a Python that every user may run")


@pytest.mark.tools
def test_haproxy_finds_no_fault_in_its_file() -> None:
    places = {"FRONT": ":80", "SERVER_1": "10.0.0.1:8000", "SERVER_2": "10.0.0.2:8000", "SERVER_3": "10.0.0.3:8000"}
    command = [needs("haproxy"), "-c", "-f", str(DEPLOY / "haproxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **places})
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
