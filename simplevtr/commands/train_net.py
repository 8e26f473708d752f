"""Train or evaluate SimpleVTR.

    python train_net.py --config-file configs/youtubevis_2021/simplevtr_R50.yaml
    python train_net.py --config-file ... --resume
    python train_net.py --config-file ... --eval-only MODEL.WEIGHTS output/model_final.pth
    python train_net.py --config-file ... --eval-only --resume

Any config key follows as KEY VALUE. ``--num-gpus N`` trains on N GPUs, or in N processes on a CPU.
``--eval-only --resume`` evaluates the last checkpoint in OUTPUT_DIR.
"""

import argparse

from simplevtr.terminal import command


def _add_options(parser: argparse.ArgumentParser) -> None:
    # Those of detectron2's default_argument_parser, which takes seconds to import, and --overwrite.
    add = parser.add_argument
    add("--config-file", default="", metavar="FILE", help="path to config file")
    add("--resume", action="store_true", help="go on from the last checkpoint in OUTPUT_DIR")
    add("--eval-only", action="store_true", help="perform evaluation only")
    add("--overwrite", action="store_true", help="replace the results of an earlier evaluation")
    add("--num-gpus", type=int, default=1, help="number of gpus *per machine*")
    add("--num-machines", type=int, default=1, help="total number of machines")
    add("--machine-rank", type=int, default=0, help="the rank of this machine, from 0 on")
    # detectron2's own default is the same port for all runs of a user.
    add("--dist-url", default="auto", help="where processes meet: tcp://HOST:PORT (auto)")
    add("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="config keys and values")


@command(_add_options, errors=(FloatingPointError,))
def main(options: argparse.Namespace) -> None:
    """Run a training or an evaluation."""
    from simplevtr.engine.runs import run

    run(options)
