"What is online goes to the server, and what was offline follows later; what does not arrive is kept."
from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from mlops_nb.runs.wandb_mirror import mirror
from mlops_nb.runs.wandb_runs import NotLoggedIn, NotMirrored, resolve_mode
from mlops_nb.runs.wandb_sync import sync, waiting
from wandb_support import KEY, WandbServer, recorded

pytestmark = pytest.mark.usefixtures("no_wandb_login")


# Which mode

def test_without_a_key_everything_is_offline() -> None:
    assert resolve_mode() == "offline"


def test_a_key_from_a_login_is_for_its_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert resolve_mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert resolve_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert resolve_mode() == "online"


def test_mode_is_the_argument_before_the_environment_before_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert resolve_mode() == "offline" and resolve_mode("online") == "online"


def test_a_mode_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "sideways")
    with pytest.raises(NotMirrored, match="'sideways' is not online, offline or disabled; set WANDB_MODE"):
        mirror(recorded(), tmp_path)


# Without a server

def test_sync_with_nothing_to_do_needs_no_key(tmp_path: Path) -> None:
    assert sync(tmp_path) == []


@pytest.mark.slow
def test_sync_without_a_key_says_what_to_do(tmp_path: Path) -> None:
    mirror(recorded(), tmp_path)
    with pytest.raises(NotLoggedIn, match="1 runs wait for W&B and there is no key: set WANDB_API_KEY"): sync(tmp_path)


@pytest.mark.slow
def test_an_unreachable_server_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_mirror_process: None,
) -> None:
    for name, value in ("API_KEY", KEY), ("BASE_URL", "http://127.0.0.1:9"), ("X_GRAPHQL_RETRY_MAX", "1"):
        monkeypatch.setenv(f"WANDB_{name}", value)
    folder = mirror(recorded(), tmp_path, mode="offline")
    with pytest.raises(NotMirrored, match="W&B took 0 of 1 runs") as caught: sync(tmp_path)
    assert "\n" not in str(caught.value) and waiting(tmp_path) == [folder]
    with pytest.raises(NotMirrored, match="it is recorded all the same"): mirror(recorded(), tmp_path, mode="online")


# With one

@pytest.fixture
def wandb_server(monkeypatch: pytest.MonkeyPatch, own_mirror_process: None) -> Iterator[WandbServer]:
    with WandbServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_what_was_recorded_arrives_at_the_server(
    tmp_path: Path, executed: Path, wandb_server: WandbServer, mode: Literal["offline", "online"],
) -> None:
    run = recorded(notebook=executed)
    folder = mirror(run, tmp_path / "w", mode=mode)
    if mode == "offline":
        assert not wandb_server.names
        executed.unlink()  # the mirror has its own copy
        assert sync(tmp_path / "w") == [folder] and sync(tmp_path / "w") == []
    assert waiting(tmp_path / "w") == [] and wandb_server.names == {run.id}
    history, summary = wandb_server.rows("wandb-history.jsonl"), wandb_server.rows("wandb-summary.json")[-1]
    assert [row["log_loss"] for row in history] == [0.7, 0.6, 0.5] and wandb_server.exit_codes() == [0]
    assert (summary["log_loss"], summary["status"]) == (0.41, "succeeded")
    assert b"print(1)" in wandb_server.put["train.ipynb"] and b"learning_rate" in wandb_server.put["config.yaml"]
