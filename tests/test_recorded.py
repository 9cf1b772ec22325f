"""Real clients' connections are recorded and judged: both kinds of server do it, and no test has another kind."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

from httpd.trace.events import Closed, Collected
from httpd.trace.ndjson import event_line, head_line, read_trace

from .conversations import conversation, ended, head
from .exchange import get, hello, serving, talk
from .live import LiveServer
from .recorded import hold_folder, tracing_of
from .tools import TOP

# What starts a server of ours in another way, and why none of its connections is a real client's.
OTHERWISE = {
    "exchange.py": "it is the one way; the other has its words from its caller",
    "test_behind_proxies.py": "it records what a client of its own sends",
    "test_inbox_whole.py": "the server does not start",
    "test_reach.py": "no tool comes to a server that it makes",
    "test_tls.py": "it records what a client of its own sends",
}


def asked(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(get("/", "Connection: close"))
        while sock.recv(65_536):
            pass


@pytest.mark.tools
def test_a_server_in_a_thread_is_recorded() -> None:
    with serving(hello) as server:
        asked(server.port)
        folder = Path(tracing_of(server).sinks[0].folder)  # type: ignore[attr-defined]
        server.stop()
    assert not folder.exists()


@pytest.mark.tools
def test_a_server_of_its_own_is_recorded(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        asked(server.port)
        server.stop()
        [path] = Path(server.env["HTTPD_TRACE"]).iterdir()
        assert type(read_trace(path).events[-1].what) is Closed


@pytest.mark.programs
def test_who_drives_no_tool_is_not(tmp_path: Path) -> None:
    with serving(hello) as server:
        talk(server, get("/", "Connection: close"))
        assert tracing_of(server).sinks == []
    with LiveServer(tmp_path) as live:
        assert "HTTPD_TRACE" not in live.env


def test_a_trace_that_breaks_a_law_fails_the_test(tmp_path: Path) -> None:
    trace = conversation(ended(get()), hello, head()).trace
    (tmp_path / "1.ndjson").write_text(head_line(trace.head) + "".join(map(event_line, trace.events)))
    hold_folder(tmp_path)
    lost = [event for event in trace.events if type(event.what) is not Collected]
    numbered = [event._replace(n=n) for n, event in enumerate(lost)]
    (tmp_path / "2.ndjson").write_text(head_line(trace.head) + "".join(map(event_line, numbered)))
    with pytest.raises(AssertionError, match="connection 1: law 1, event"):
        hold_folder(tmp_path)


def test_no_real_client_has_a_server_of_another_kind() -> None:
    paths = filter(_drives_tools, sorted((TOP / "tests").glob("*.py")))
    assert {path.name for path in paths if _starts_a_server(ast.parse(path.read_text()))} == OTHERWISE.keys()


def test_no_real_client_has_a_server_that_another_test_has_set_up() -> None:
    """One that serves a whole module belongs to whichever test came first: it is recorded in any case."""
    found = []
    for path in filter(_drives_tools, sorted((TOP / "tests").glob("test_*.py"))):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        said = {node.name: [ast.unparse(decorator) for decorator in node.decorator_list] for node in functions}
        asked = {one.arg for node in functions if "pytest.mark.tools" in said[node.name] for one in node.args.args}
        shared = [node for node in functions if any("scope='module'" in words for words in said[node.name])]
        found += [f"{path.name}: {node.name}" for node in shared if node.name in asked and _may_not_record(node)]
    assert found == []


def _may_not_record(fixture: ast.FunctionDef) -> bool:
    calls = [ast.unparse(node) for node in ast.walk(fixture) if isinstance(node, ast.Call)]
    return any(call.startswith(("serving(", "LiveServer(")) and "always_recorded=True" not in call for call in calls)


def _drives_tools(path: Path) -> bool:
    return not path.name.startswith("test_") or "mark.tools" in path.read_text()


def _starts_a_server(tree: ast.AST) -> bool:
    """Whether a Server is made, or the command run with words that are given to anyone but a LiveServer."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if any(isinstance(call.func, ast.Name) and call.func.id == "Server" for call in calls):
        return True
    runs = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("Popen", "run")]
    return any(_is_the_command(call.args[0]) for call in runs if call.args)


def _is_the_command(words: ast.AST) -> bool:
    """Whether these are the words of `python -m httpd` with a site, and not of one of its other commands."""
    said = [word.value for word in ast.walk(words) if isinstance(word, ast.Constant)]
    return said[:2] == ["-m", "httpd"] and not {"forms", "replay", "show", "compress", "check"} & set(said)
