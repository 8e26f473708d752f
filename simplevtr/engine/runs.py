"""One training or one evaluation, from the options of ``train_net.py`` to its end."""

import logging
import os
import sys
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

from simplevtr.checkpoint import load_trained, saved_classes
from simplevtr.config_file import find_shipped
from simplevtr.data.build import epoch_length
from simplevtr.data.class_names import settle_classes
from simplevtr.engine import run_folder
from simplevtr.engine.processes import is_lost_connection, run_processes
from simplevtr.engine.resume import check_fit, check_schedule, last_checkpoint
from simplevtr.engine.trainer import ClipTrainer
from simplevtr.engine.writers import check_writers
from simplevtr.run_config import check_device, check_inference, setup_cfg
from simplevtr.terminal import USER_ERRORS

from detectron2.config import CfgNode
from detectron2.engine import default_setup
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

logger = logging.getLogger(__name__)

ERRORS = (*USER_ERRORS, FloatingPointError)  # what the user can fix


def read_config(args: Namespace) -> CfgNode:
    """Build the config, check it against machine and datasets, and resolve the schedule."""
    if args.config_file:  # detectron2 logs its content
        args.config_file = str(find_shipped(args.config_file))
    cfg = setup_cfg(args.config_file, args.opts)
    cfg.TEST.OVERWRITE = cfg.TEST.OVERWRITE or args.overwrite
    if args.eval_only or cfg.DATASETS.TEST:  # a training scores its test sets, too
        check_inference(cfg)
    else:
        check_device(cfg)
    if not args.eval_only:
        frames, wanted = cfg.INPUT.SAMPLING_FRAME_NUM, cfg.MODEL.SIMPLEVTR.QUERY_FRAMES
        if wanted not in (0, frames):
            raise ValueError(
                f"INPUT.SAMPLING_FRAME_NUM is {frames}, but queries with a frame axis take "
                f"MODEL.SIMPLEVTR.QUERY_FRAMES, {wanted}, frames only"
            )
        try:  # the trainer would do it later, when the schedule has been checked
            scaled = ClipTrainer.auto_scale_workers(cfg, comm.get_world_size())
        except AssertionError as error:
            batch, processes = cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.REFERENCE_WORLD_SIZE
            raise ValueError(
                f"SOLVER.IMS_PER_BATCH is {batch}; a multiple of SOLVER.REFERENCE_WORLD_SIZE, "
                f"{processes}, is needed"
            ) from error
        # Rounded to 0, a period would be none, and a length that of MAX_EPOCHS.
        periods = ("SOLVER", "MAX_ITER"), ("SOLVER", "CHECKPOINT_PERIOD"), ("TEST", "EVAL_PERIOD")
        for group, key in periods:
            scaled[group][key] = max(scaled[group][key], min(cfg[group][key], 1))
        cfg = scaled
        share_batch(cfg)
        resolve_schedule(cfg)
        if (warmup := cfg.SOLVER.WARMUP_ITERS) >= cfg.SOLVER.MAX_ITER:
            text = "SOLVER.WARMUP_ITERS is %d of %d iterations: the rate never reaches BASE_LR"
            logger.warning(text, warmup, cfg.SOLVER.MAX_ITER)
    last = last_checkpoint(cfg.OUTPUT_DIR) if args.resume else None
    known = saved_classes(last or (cfg.MODEL.WEIGHTS if args.eval_only else ""))
    settle_classes(cfg, train=not args.eval_only, known=known)
    return cfg


def share_batch(cfg: CfgNode) -> None:
    """Give each process a clip if ``SOLVER.IMS_PER_BATCH`` is less than that."""
    given, processes = cfg.SOLVER.IMS_PER_BATCH, comm.get_world_size()
    if 0 < given < processes:
        if comm.is_main_process():
            change = "SOLVER.IMS_PER_BATCH %d -> %d, one clip for each process"
            logger.warning(change, given, processes)
        cfg.SOLVER.IMS_PER_BATCH = processes


def resolve_schedule(cfg: CfgNode) -> None:
    """Without ``SOLVER.MAX_ITER``, turn ``MAX_EPOCHS`` and ``STEP_EPOCHS`` into iterations."""
    in_iterations = cfg.SOLVER.MAX_ITER > 0
    names = ("STEPS", "STEP_EPOCHS") if in_iterations else ("STEP_EPOCHS", "STEPS")
    read, other = (cfg.SOLVER[name] for name in names)
    if other and not read and cfg.SOLVER.LR_SCHEDULER_NAME == "WarmupMultiStepLR":
        text = "SOLVER.%s %s has no effect %s SOLVER.MAX_ITER: set SOLVER.%s for steps of the rate"
        logger.warning(text, names[1], other, "with" if in_iterations else "without", names[0])
    if in_iterations:
        return
    if cfg.SOLVER.MAX_EPOCHS <= 0:
        raise ValueError("set SOLVER.MAX_ITER or SOLVER.MAX_EPOCHS to more than 0")
    length = epoch_length(cfg)
    cfg.SOLVER.MAX_ITER = round(cfg.SOLVER.MAX_EPOCHS * length)
    steps = (round(epoch * length) for epoch in cfg.SOLVER.STEP_EPOCHS)
    # One at the end changes nothing, as where MAX_EPOCHS is less than in the file.
    cfg.SOLVER.STEPS = tuple(step for step in steps if step != cfg.SOLVER.MAX_ITER)


def start_logs(cfg: CfgNode, args: Namespace, folder: str) -> None:
    """Write the config to ``folder`` and log there; user errors leave no traceback on screen."""
    logging.raiseExceptions = False  # a log that a full disk ends early need not be told of
    logged = cfg.clone()
    logged.defrost()
    logged.OUTPUT_DIR = folder
    logged.TEST.OVERWRITE = False  # who uses the config again must ask for that again
    default_setup(logged, args)
    setup_logger(folder, distributed_rank=comm.get_rank(), name="simplevtr")

    def is_not_users(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, ERRORS) or is_lost_connection(error))

    for handler in logging.getLogger("detectron2").handlers:
        if getattr(handler, "stream", None) is sys.stdout:
            handler.addFilter(is_not_users)


def refuse_early(cfg: CfgNode, folder: str) -> None:
    """Refuse now what an evaluation of the test sets would refuse at its end.

    Earlier results, and ``TEST.EXPECTED_RESULTS`` of what is not scored; and a user's config.yaml
    in the ``folder`` of logs. ValueError, FileExistsError.
    """
    if comm.is_main_process():
        run_folder.refuse_other_config(folder)
    expected, tests = cfg.TEST.EXPECTED_RESULTS, cfg.DATASETS.TEST
    if expected and len(tests) != 1:
        raise ValueError(f"TEST.EXPECTED_RESULTS are of a single dataset; DATASETS.TEST is {tests}")
    for name in tests:
        metrics = ClipTrainer.build_evaluator(cfg, name).metrics
        for entry in expected if comm.is_main_process() else ():
            if entry[0] != "segm" or entry[1] not in metrics or entry[3] < 0:
                found = ", ".join(metrics) or "no metric, as it has no ground truth"
                raise ValueError(
                    f"TEST.EXPECTED_RESULTS has {entry}; ['segm', METRIC, VALUE, TOLERANCE >= 0] "
                    f"is needed, and {name} has {found}"
                )


def train(cfg: CfgNode, args: Namespace) -> OrderedDict | None:
    """Train, after everything that could stop the training later has been checked."""
    check_writers(cfg.WRITERS)
    checkpoint = last_checkpoint(cfg.OUTPUT_DIR) if args.resume else None
    if checkpoint is not None:
        check_schedule(checkpoint, cfg)
        check_fit(checkpoint, cfg)
    overwrite, cfg.TEST.OVERWRITE = cfg.TEST.OVERWRITE, True  # evaluation after evaluation
    cfg.freeze()
    refuse_early(cfg, cfg.OUTPUT_DIR)
    if comm.is_main_process():
        if not args.resume:
            run_folder.refuse_used_folder(cfg.OUTPUT_DIR)
        run_folder.claim_results(cfg, resume=args.resume, overwrite=overwrite)
    start_logs(cfg, args, cfg.OUTPUT_DIR)
    if args.resume and checkpoint is None:
        text = "--resume: OUTPUT_DIR %s holds no checkpoint: THE TRAINING STARTS ANEW, from %s"
        logger.warning(text, cfg.OUTPUT_DIR, cfg.MODEL.WEIGHTS or "random weights")
    trainer = ClipTrainer(cfg)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


def evaluate(cfg: CfgNode, args: Namespace) -> OrderedDict:
    """Evaluate ``MODEL.WEIGHTS``, or with --resume the last checkpoint, on all test sets."""
    if args.resume:
        if "MODEL.WEIGHTS" in args.opts[::2]:
            last = "--eval-only --resume evaluates the last checkpoint of OUTPUT_DIR %s, not %s"
            logger.warning(last, cfg.OUTPUT_DIR, cfg.MODEL.WEIGHTS)
        cfg.MODEL.WEIGHTS = last_checkpoint(cfg.OUTPUT_DIR) or ""
        if not cfg.MODEL.WEIGHTS:
            raise FileNotFoundError(
                f"--eval-only --resume: OUTPUT_DIR {cfg.OUTPUT_DIR} holds no checkpoint"
            )
    if not cfg.MODEL.WEIGHTS:
        raise ValueError(
            "--eval-only needs weights: add MODEL.WEIGHTS path/to/model.pth, or --resume for the "
            "last checkpoint in OUTPUT_DIR"
        )
    cfg.freeze()
    # Logs and config are kept apart from those of the training that lies in the same folder.
    folder = str(Path(cfg.OUTPUT_DIR) / "inference")
    refuse_early(cfg, folder)
    start_logs(cfg, args, folder)
    model = ClipTrainer.build_model(cfg)
    load_trained(model, cfg)
    if comm.is_main_process():
        run_folder.disown_results(cfg)
    results = ClipTrainer.test(cfg, model)
    if comm.is_main_process() and cfg.TEST.EXPECTED_RESULTS:
        verify_results(cfg, results)
    return results


def run_process(args: Namespace) -> OrderedDict | None:
    """Run a training or an evaluation in this process, one of all."""
    cfg = read_config(args)
    with run_folder.only_run_in(cfg.OUTPUT_DIR):
        return evaluate(cfg, args) if args.eval_only else train(cfg, args)


def run(args: Namespace) -> None:
    """Run a training or an evaluation in all its processes."""
    cfg = setup_cfg(args.config_file, args.opts)  # once, before all processes are started
    check_device(cfg)
    if cfg.MODEL.DEVICE == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # else they would talk through their GPUs
    run_processes(
        run_process,
        (args,),
        processes=args.num_gpus,
        machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        errors=ERRORS,
    )
