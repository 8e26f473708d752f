import math

from simplevtr.modeling.position_encoding import clip_position

import torch


def test_values_by_hand():
    # Two frames of 2 x 3 cells, 12 channels: 4 an axis, i.e. two frequencies (1 and 1/100).
    encoding = clip_position(torch.zeros(1, 2, 2, 3, dtype=torch.bool), 12)
    assert encoding.shape == (1, 2, 2, 3, 12)
    t, y, x = 2 * math.pi * 1 / 2, 2 * math.pi * 2 / 2, 2 * math.pi * 3 / 3
    expected = []
    for angle in (t, y, x):
        for divisor in (1, 100):
            expected += [math.sin(angle / divisor), math.cos(angle / divisor)]
    # First frame, second row, third column.
    torch.testing.assert_close(encoding[0, 0, 1, 2], torch.tensor(expected), atol=2e-5, rtol=0)


def test_padding_does_not_move_positions():
    alone = clip_position(torch.zeros(1, 2, 3, 4, dtype=torch.bool), 24)
    padding = torch.ones(1, 5, 6, 7, dtype=torch.bool)
    padding[:, :2, :3, :4] = False
    padded = clip_position(padding, 24)
    torch.testing.assert_close(padded[:, :2, :3, :4], alone)
