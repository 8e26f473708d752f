"""Weights & Biases and MLflow as detectron2's event writers, by the config key ``WRITERS``.

They get the scalars that metrics.json and TensorBoard have, and the config. Project or experiment
are "simplevtr", or those of WANDB_PROJECT and MLFLOW_EXPERIMENT_NAME; where the runs go is each
package's own matter (WANDB_MODE, MLFLOW_TRACKING_URI, ...). A run is called like OUTPUT_DIR, which
keeps its id: a resumed training goes on with the same run.
"""

import logging
import os
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from simplevtr.formats.files import write_bytes

import yaml
from detectron2.config import CfgNode
from detectron2.utils.events import EventWriter, get_event_storage

logger = logging.getLogger(__name__)

_PROJECT = "simplevtr"
_WINDOW = 20  # iterations that losses are smoothed over, as for TensorBoard


class RunWriter(EventWriter):
    """Sends new scalars to a run of a service; ``start`` comes first, ``close`` last."""

    name: str  # as in ``WRITERS``, of the package and of the extra in pyproject.toml
    _open: Callable[[str | None], str]  # opens the run of an id, or a new one, and gives its id
    _send: Callable[[dict[str, float], int], None]  # the scalars of an iteration
    _end: Callable[..., None]  # with ``failed``

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg
        self.folder = Path(cfg.OUTPUT_DIR)
        self._last = -1  # iteration of the newest scalar that was sent

    def start(self, *, resumed: bool) -> None:
        """Open a run, or go on with the one that OUTPUT_DIR names; ValueError if that fails."""
        file = self.folder / f"{self.name}_run.txt"
        known = file.read_text("utf-8").strip() if resumed and file.is_file() else None
        write_bytes(file, self._open(known).encode(), overwrite=True)

    def write(self) -> None:
        """Send what came since the last time."""
        rows: dict[int, dict[str, float]] = {}
        latest = get_event_storage().latest_with_smoothing_hint(_WINDOW)
        for key, (value, iteration) in latest.items():
            if iteration > self._last:
                rows.setdefault(iteration, {})[key] = float(value)
        for iteration in sorted(rows):
            self._send(rows[iteration], iteration)
        self._last = max(rows, default=self._last)

    def close(self) -> None:
        """End the run, as failed if an error ends the training."""
        self._end(failed=sys.exc_info()[0] is not None)


class WandbWriter(RunWriter):
    """A run of Weights & Biases, which sends in the background."""

    name = "wandb"

    def _open(self, known: str | None) -> str:
        import wandb

        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                name=self.folder.name,
                dir=str(self.folder),
                id=known,
                resume="allow",
                config=yaml.safe_load(self.cfg.dump()),
            )
        except wandb.errors.Error as error:
            raise ValueError(f"WRITERS 'wandb': no run can be started: {error}") from error
        return self._run.id

    def _send(self, scalars: dict[str, float], iteration: int) -> None:
        self._run.log(scalars, step=iteration)

    def _end(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class MlflowWriter(RunWriter):
    """A run of MLflow; what cannot be sent is lost with a warning, and the training goes on."""

    name = "mlflow"

    def _open(self, known: str | None) -> str:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self._errors = (MlflowException, OSError)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        try:
            self._client = client = MlflowClient()
            if known is None:
                found = client.get_experiment_by_name(name)
                experiment = found.experiment_id if found else client.create_experiment(name)
                known = client.create_run(experiment, run_name=self.folder.name).info.run_id
            else:
                client.update_run(known, status="RUNNING")
            client.log_text(known, self.cfg.dump(), "config.yaml")
        except self._errors as error:
            raise ValueError(f"WRITERS 'mlflow': no run can be started: {error}") from error
        self._id = known
        return known

    def _send(self, scalars: dict[str, float], iteration: int) -> None:
        from mlflow import log_metrics

        # Names of classes are part of some, and not all characters are allowed.
        metrics = {re.sub(r"[^\w\-. /:]", "_", key): value for key, value in scalars.items()}
        try:
            log_metrics(metrics, step=iteration, run_id=self._id)
        except self._errors as error:
            logger.warning("MLflow did not get iteration %d: %s", iteration, error)

    def _end(self, *, failed: bool) -> None:
        try:
            self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")
        except self._errors as error:
            logger.warning("MLflow did not get the end of the run: %s", error)


WRITERS = {writer.name: writer for writer in (WandbWriter, MlflowWriter)}


def check_writers(names: list[str]) -> None:
    """Raise ValueError for the name of an unknown writer, or of one that is not installed."""
    for name in names:
        if name not in WRITERS:
            raise ValueError(f"WRITERS has {name!r}; allowed are {', '.join(WRITERS)}")
        spec = find_spec(name)
        # A folder of this name, such as earlier runs leave, has a spec without an origin.
        if spec is None or spec.origin is None:
            raise ValueError(
                f"WRITERS has {name!r}, which is not installed: pip install 'simplevtr[{name}]'"
            )
