"""The commands, one module each: its --help, its options, and what it does with them.

``simplevtr NAME``, and ``python tools/FILE.py`` in a clone, run the ``main`` of a module. At their
top the modules import neither torch nor detectron2, which take seconds: --help answers at once.
"""

import importlib
import sys

from simplevtr import __version__
from simplevtr.terminal import USAGE_ERROR, say

# By the command's name: its module, and what it does.
COMMANDS = {
    "train": ("train_net", "train a model, or go on with a training"),
    "eval": ("train_net", "run a model on its test sets and score it: train --eval-only"),
    "demo": ("demo", "find the tracks of a video and draw them"),
    "segment": ("segment", "find the tracks of many videos, in several processes"),
    "convert": ("convert_checkpoint", "weights of VisTR, DETR or a ResNet -> a config's, or back"),
    "export": ("export_model", "a trained model -> one ONNX or torch.export file"),
    "plan": ("plan_memory", "which clips fit into a GPU's memory"),
    "doctor": ("doctor", "check an annotation file and repair it"),
    "import": ("import_dataset", "annotations of other formats -> YouTube-VIS"),
    "export-tracks": ("export_tracks", "predicted tracks -> CVAT, MOTS or DAVIS, to correct them"),
    "split": ("split_dataset", "an annotation file -> a training and a validation file"),
    "analyze": ("analyze_dataset", "count what an annotation file holds"),
    "evaluate": ("evaluate", "score a results.json, whoever made it"),
    "seeds": ("eval_seeds", "mean and deviation of the scores of several seeds"),
    "report": ("report", "web pages on predicted tracks"),
    "visualize": ("visualize_results", "draw predicted tracks next to the ground truth"),
    "curves": ("plot_curves", "plot losses and AP of trainings"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``simplevtr NAME ...``; the exit status is that of the command, 2 for an unknown one."""
    given = sys.argv[1:] if arguments is None else arguments
    name, *rest = given or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:{width}}  {what}" for name, (_, what) in COMMANDS.items())
        say("\n".join(["usage: simplevtr COMMAND ...\n", *lines]))
        say("\nsimplevtr COMMAND --help shows the options of one of them.")
        return 0 if given else USAGE_ERROR
    if name == "--version":
        say(__version__)
        return 0
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        say(f"simplevtr: error: {name!r} is not a command; commands are {known}", sys.stderr)
        return USAGE_ERROR
    command = importlib.import_module(f"{__name__}.{COMMANDS[name][0]}")
    if name == "eval":
        rest.insert(0, "--eval-only")
    return command.main(rest, prog=f"simplevtr {name}")
