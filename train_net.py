"""Train or evaluate SimpleVTR.

    python train_net.py --config-file configs/youtubevis_2021/simplevtr_R50.yaml
    python train_net.py --config-file ... --resume
    python train_net.py --config-file ... --eval-only MODEL.WEIGHTS output/model_final.pth

Any config key follows as KEY VALUE. ``--num-gpus N`` trains on N GPUs, or in N processes on a CPU.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections import OrderedDict
from pathlib import Path

from simplevtr import setup_cfg
from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.data import epoch_length
from simplevtr.data.checks import check_classes
from simplevtr.engine.trainer import ClipTrainer
from simplevtr.run_config import check_device

from detectron2.config import CfgNode
from detectron2.engine import default_argument_parser, default_setup, launch
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

# Files of an earlier run that a new one would overwrite or mix with its own.
RUN_FILES = ("last_checkpoint", "metrics.json", "model_final.pth")


def argument_parser() -> ArgumentParser:
    """detectron2's arguments and --overwrite."""
    parser = default_argument_parser(epilog=__doc__)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="with --eval-only: replace the result files of an earlier evaluation",
    )
    return parser


def setup(args: Namespace) -> CfgNode:
    """Build and check the config, resolve the schedule and start the logs."""
    cfg = setup_cfg(args.config_file, args.opts)
    check_device(cfg)
    if args.eval_only:
        cfg.TEST.OVERWRITE = cfg.TEST.OVERWRITE or args.overwrite
    else:
        refuse_used_folder(cfg.OUTPUT_DIR, args.resume)
        resolve_schedule(cfg)
        cfg.TEST.OVERWRITE = True  # its own results, evaluation after evaluation
    check_classes(cfg, train=not args.eval_only)
    cfg.freeze()
    # An evaluation keeps its logs and config apart from those of the training that lies in the same
    # folder.
    logged = cfg.clone()
    if args.eval_only:
        logged.defrost()
        logged.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR) / "inference")
        logged.freeze()
    default_setup(logged, args)
    setup_logger(logged.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="simplevtr")
    return cfg


def refuse_used_folder(output_dir: str, resume: bool) -> None:
    """Raise FileExistsError if ``output_dir`` holds an earlier run and ``resume`` is False."""
    found = [name for name in RUN_FILES if (Path(output_dir) / name).exists()]
    if found and not resume:
        raise FileExistsError(
            f"OUTPUT_DIR {output_dir} holds an earlier run ({', '.join(found)}): continue it with "
            "--resume, or choose another folder with OUTPUT_DIR some/folder"
        )


def resolve_schedule(cfg: CfgNode) -> None:
    """Without ``SOLVER.MAX_ITER``, turn ``MAX_EPOCHS`` and ``STEP_EPOCHS`` into iterations."""
    if cfg.SOLVER.MAX_ITER > 0:
        return
    if cfg.SOLVER.MAX_EPOCHS <= 0:
        raise ValueError("set SOLVER.MAX_ITER or SOLVER.MAX_EPOCHS to more than 0")
    length = epoch_length(cfg)
    cfg.SOLVER.MAX_ITER = round(cfg.SOLVER.MAX_EPOCHS * length)
    cfg.SOLVER.STEPS = tuple(round(epoch * length) for epoch in cfg.SOLVER.STEP_EPOCHS)


def evaluate(cfg: CfgNode) -> OrderedDict:
    """Evaluate ``MODEL.WEIGHTS`` on every dataset of ``DATASETS.TEST``."""
    if not cfg.MODEL.WEIGHTS:
        raise ValueError("--eval-only needs weights: add MODEL.WEIGHTS path/to/model.pth")
    for name in cfg.DATASETS.TEST:
        # Refuses an earlier result file now, not after hours of inference.
        ClipTrainer.build_evaluator(cfg, name)
    model = ClipTrainer.build_model(cfg)
    checkpointer = ClipCheckpointer(model, complete=True)
    checkpointer.load(cfg.MODEL.WEIGHTS)
    results = ClipTrainer.test(cfg, model)
    if comm.is_main_process() and cfg.TEST.EXPECTED_RESULTS:
        verify_results(cfg, results)
    return results


def main(args: Namespace) -> OrderedDict | None:
    """Run one process of a training or an evaluation."""
    cfg = setup(args)
    if args.eval_only:
        return evaluate(cfg)
    trainer = ClipTrainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


if __name__ == "__main__":
    arguments = argument_parser().parse_args()
    try:
        launch(
            main,
            arguments.num_gpus,
            num_machines=arguments.num_machines,
            machine_rank=arguments.machine_rank,
            dist_url=arguments.dist_url,
            args=(arguments,),
        )
    except (ValueError, KeyError, OSError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        sys.exit(f"train_net.py: error: {message}")
