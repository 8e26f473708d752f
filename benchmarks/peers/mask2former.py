"""A small Mask2Former on frames, its queries linked over a video as MinVIS does.

The model is that of HuggingFace's transformers, with random weights. MinVIS (Huang et al. 2022):
the queries of two frames are matched by the cosine of their embeddings (Hungarian), and a track's
class is read from the mean of its logits.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers import protocol

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig

PACKAGES = ("transformers",)
SETTINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
BATCH, RATE, WARMUP, DECAY = 16, 5e-4, 50, 0.995  # frames, learning rate, steps, of the average
SCALE = 2  # frames are enlarged, so that masks at stride 4 are at stride 2 of the frames

Frame = tuple[Tensor, Tensor, Tensor]
"""(3, H, W) RGB in [0, 255], uint8 or float; (N, H, W) bool masks; (N,) int64 labels."""


def build() -> nn.Module:
    """A model of random weights."""
    backbone = ResNetConfig(**SETTINGS["backbone"])
    config = Mask2FormerConfig(backbone_config=backbone, **SETTINGS["model"])
    return Mask2FormerForUniversalSegmentation(config)


def batches(frames: list[Frame], rng: np.random.Generator) -> Iterator[list[Frame]]:
    """Random batches of augmented frames, each of one size."""
    by_size = defaultdict(list)
    for frame in frames:
        by_size[frame[0].shape].append(frame)
    while True:
        group = by_size[frames[rng.integers(len(frames))][0].shape]
        yield [
            augmented(group[i], group[j], rng) for i, j in rng.integers(len(group), size=(BATCH, 2))
        ]


def augmented(frame: Frame, donor: Frame, rng: np.random.Generator) -> Frame:
    """Flip both ways, brighten, and paste one or two moved objects of the donor in half of all."""
    image, masks, labels = frame
    if rng.random() < 0.5:
        picked = torch.from_numpy(rng.permutation(len(donor[1]))[: rng.integers(1, 3)])
        shift = [int(side * rng.uniform(-0.5, 0.5)) for side in image.shape[1:]]
        pasted = donor[1][picked].roll(shift, (1, 2))
        cover = pasted.any(0)
        image = torch.where(cover, donor[0].roll(shift, (1, 2)), image)
        masks = torch.cat([masks & ~cover, pasted])
        seen = masks.flatten(1).any(1)
        masks, labels = masks[seen], torch.cat([labels, donor[2][picked]])[seen]
    axes = [axis for axis in (-1, -2) if rng.random() < 0.5]
    return (image.flip(axes) * rng.uniform(0.8, 1.2)).clamp(0, 255), masks.flip(axes), labels


def prepared(images: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 255], normalised and enlarged."""
    return F.interpolate((images / 255 - 0.45) / 0.25, scale_factor=SCALE, mode="bilinear")


def train(args: argparse.Namespace) -> float:
    """Train until the budget is used; the learning rate follows the share that is."""
    torch.manual_seed(args.seed)
    frames = [
        (torch.tensor(f).permute(2, 0, 1), torch.tensor(m) > 0, torch.tensor(n))
        for f, m, n in protocol.labelled_frames(args.data)
    ]
    model = build().train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    source = batches(frames, np.random.default_rng(args.seed))
    start, steps = protocol.cpu_seconds(), 0
    while (done := (protocol.cpu_seconds() - start) / args.budget) * (1 + 1 / max(1, steps)) < 1:
        steps += 1
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, steps / WARMUP) * (1 + math.cos(math.pi * done)) / 2
        images, masks, labels = zip(*next(source), strict=True)
        large = [F.interpolate(mask[None].float(), scale_factor=SCALE)[0] for mask in masks]
        pixels = prepared(torch.stack(images))
        loss = model(pixel_values=pixels, mask_labels=large, class_labels=list(labels)).loss
        optimizer.zero_grad()
        loss.sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
    seconds = protocol.cpu_seconds() - start
    torch.save(average.module.state_dict(), args.folder / "model.pth")
    return seconds


def load(args: argparse.Namespace) -> tuple[nn.Module, protocol.Tracker]:
    """The weight average, frame by frame, its queries linked."""
    model = build().eval()
    model.load_state_dict(torch.load(args.folder / "model.pth"))

    @torch.inference_mode()
    def track(frames: list[np.ndarray]) -> Iterator[protocol.Track]:
        before, logits, masks = None, [], []
        for frame in frames:
            found = model(pixel_values=prepared(torch.tensor(frame).permute(2, 0, 1)[None]))
            queries = F.normalize(found.transformer_decoder_last_hidden_state[0], dim=-1)
            before = queries if before is None else before
            order = torch.tensor(linear_sum_assignment(before @ queries.T, maximize=True)[1])
            before = queries[order]
            logits.append(found.class_queries_logits[0, order])
            small = found.masks_queries_logits[:, order]
            masks.append(F.interpolate(small, frame.shape[:2], mode="bilinear")[0].numpy() > 0)
        scores = torch.stack(logits).mean(0).softmax(-1)[:, :-1]
        for index in scores.flatten().topk(len(scores)).indices.tolist():
            query, label = divmod(index, scores.shape[1])
            yield (
                label + 1,
                scores[query, label].item(),
                [protocol.encoded(frame[query]) for frame in masks],
            )

    return model, track
