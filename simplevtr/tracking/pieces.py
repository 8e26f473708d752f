"""A mask in pieces: the largest one and what is near it."""

import cv2
import numpy as np
import torch
from torch import Tensor


def largest_piece(masks: Tensor, gap: float) -> Tensor:
    """Of each (H, W) mask the largest piece; (n, H, W) bool, as ``masks``.

    Pixels that touch, at a side or a corner, are of one piece, and so are those with at most
    ``gap`` times the shorter side between them. Not in the paper: where several objects look alike,
    a slot of a network that saw few videos may draw more than one of them.
    """
    reach = round(gap * min(masks.shape[1:]))
    kernel = np.ones((reach + 1, reach + 1), np.uint8)
    result = np.zeros(tuple(masks.shape), dtype=bool)
    for mask, kept in zip(masks.cpu().numpy().astype(np.uint8), result, strict=True):
        count, pieces = cv2.connectedComponents(cv2.dilate(mask, kernel), connectivity=8)
        areas = np.bincount(pieces[mask > 0], minlength=count)
        kept[:] = (pieces == areas.argmax()) & (mask > 0)
    return torch.from_numpy(result)
