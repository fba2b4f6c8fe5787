"`runs.search` over 100,000 recorded runs; MLflow 3 over 5,000."
import hashlib, inspect, random, sys, time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from _pairs import CACHE, Mlflow, at_most, in_turns, show
from _samples import NOTEBOOKS, sample

RUNS, PEER_RUNS, TIMES, LIMIT_S = 100_000, 5_000, 7, 0.06

# what is asked of us, and the same of MLflow
SEARCHES = [
    ("metrics.log_loss < 0.5 and params.num_leaves = 63", "metrics.log_loss", "metrics.log_loss < 0.5 and params.num_leaves = '63'", "metrics.log_loss ASC"),
    ("status = failed", "-id", "attributes.status = 'FAILED'", "attributes.start_time DESC"),
    ("params.dataset = flights and params.lambda_l2 = 10 and status = succeeded", "-metrics.roc_auc", "params.dataset = 'flights' and params.lambda_l2 = '10' and attributes.status = 'FINISHED'", "metrics.roc_auc DESC"),
    ("metrics.roc_auc > 0.85 and metrics.train_s < 1", "-created", "metrics.roc_auc > 0.85 and metrics.train_s < 1", "attributes.start_time DESC"),
    ("", "-metrics.accuracy", "", "metrics.accuracy DESC")]


def fill(file: Path) -> None:
    "Write the runs in one transaction, as they would stand there after years."
    from mlops_nb.base import schema as db
    from mlops_nb.base.core import iso, new_id
    draw, first, many = random.Random(0), datetime(2024, 1, 1, tzinfo=timezone.utc), 5_000
    store = Store(file)
    with store.write() as connection:
        for start in range(0, RUNS, many):
            rows = {table: [] for table in (db.runs, db.params, db.metrics, db.metric_history)}
            for at in range(start, start + many):
                params, metrics, status = sample(draw)
                id, begun = f"{at:06d}-{new_id()}", first + timedelta(minutes=10 * at)
                ended = iso(begun + timedelta(seconds=metrics["train_s"]))
                rows[db.runs].append(dict(id=id, notebook=draw.choice(NOTEBOOKS), kind="batch", status=status, step=None, source=None, executed=None, author=draw.choice(["ada", "grace", "alan"]), host="bench", pid=1,
                    created=iso(begun), started=iso(begun), ended=ended, heartbeat=ended, error={"cell": 3, "ename": "ValueError", "evalue": "a message"} if status == "failed" else None, environment=None, code=None, tags={"sweep": f"{at // 24}"}))
                rows[db.params] += [dict(run_id=id, name=name, value=value, number=float(value) if isinstance(value, (int, float)) else None) for name, value in params.items()]
                rows[db.metrics] += [dict(run_id=id, name=name, value=value) for name, value in metrics.items()]
                rows[db.metric_history] += [dict(run_id=id, name=name, step=0, value=value, time=ended) for name, value in metrics.items()]
            for table, some in rows.items(): connection.execute(table.insert(), some)
    store.close()


def stored() -> Path:
    "The workspace's folder, made once for these samples and this schema."
    from mlops_nb.base import schema as db
    folder = CACHE / f"search-{hashlib.sha256((inspect.getsource(sys.modules['_samples']) + inspect.getsource(fill) + Path(db.__file__).read_text()).encode()).hexdigest()[:12]}"
    if not (folder / ".mlops" / "store.db").is_file():
        print(f"recording {RUNS:,} runs in {folder}, once", file=sys.stderr)
        (folder / ".mlops").mkdir(parents=True, exist_ok=True)
        fill(folder / ".mlops" / "writing.db")
        for part in (folder / ".mlops").glob("writing.db*"): part.rename(part.with_name(part.name.replace("writing", "store")))
    return folder


def main() -> None:
    from mlops_nb import Workspace
    runs, file = Workspace(stored()).runs, CACHE / "mlflow-search.db"
    with Mlflow(file) as mlflow:
        print(f"{mlflow.ask('fill', runs=PEER_RUNS):,} runs in {file}", file=sys.stderr)
        lines = []
        for where, order_by, its_where, its_order in SEARCHES:
            def ours() -> float:
                began = time.perf_counter()
                found = runs.search(where, order_by=order_by, limit=100)
                took = time.perf_counter() - began
                assert found and all(len(run.params) == 10 and len(run.metrics) == 5 for run in found)
                return took
            def peer() -> float: return mlflow.ask("search", where=its_where, order_by=[its_order], limit=100)[0]
            ours(); peer()
            ours_s, peer_s = in_turns(TIMES, ours, peer)
            lines.append(at_most(f"{where or 'all'}, by {order_by}", ours_s, LIMIT_S, peer_s))
        show(f"100 of {RUNS:,} runs found, median of {TIMES}; MLflow: of {PEER_RUNS:,}", f"MLflow {mlflow.version}", lines)


if __name__ == "__main__": main()
