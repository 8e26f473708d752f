"""Draw the tracks of a video with an exported model, without PyTorch and without this package.

    simplevtr export --weights model.safetensors --output model.onnx
    python demo/onnx_stream.py model.onnx video.mp4 tracks.mp4

It needs numpy, onnxruntime, av (PyAV) and opencv-python-headless. Frames come at the video's mean
rate, of square pixels, turned but not mirrored back, without its sound; what is damaged ends it.
Windows are those of ``simplevtr demo``. Slots are linked by a simpler rule: the pairs whose masks
overlap most in the frames that both windows see are one track, with the class and score of its
latest window. So a track that is away for longer comes back under a new number. Masks keep all
their pieces, whatever TEST.PIECE_GAP was.
"""

import argparse
import json
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np

LEAST_IOU = 0.1  # of masks, for a slot to go on with a track


def windows(frames, length, stride):
    """First frame's number, ``length`` frames, and which frame the next window may begin at.

    Each begins ``stride`` frames after the one before; the last one is at the end of the video.
    """
    held, start = [], 0
    for frame in frames:
        if len(held) == length:
            if start % stride == 0:
                yield start, held, start + stride
            held, start = held[1:], start + 1
        held.append(frame)
    yield start, held, start + len(held)


def input_size(height, width, about):
    """The size that the model looks at, a multiple of its divisor unless it takes one size only."""
    if about["fixed_size"]:
        return about["fixed_size"]
    scale = (about["short_side"] or min(height, width)) / min(height, width)
    scale, divisor = min(scale, about["long_side"] / max(height, width)), about["size_divisor"]
    return [max(2, round(side * scale / divisor)) * divisor for side in (height, width)]


def look(session, about, frames, size):
    """The slots of a window: scores (Q, K) and masks (Q, T, h, w) bool."""
    own, length = len(frames), about["fixed_frames"] or len(frames)
    small = [cv2.resize(f, size[::-1], interpolation=cv2.INTER_AREA) for f in frames]
    pixels = np.stack([small[i % own] for i in range(length)]).transpose(0, 3, 1, 2)
    pixels = pixels[:, ::-1] if about["image_format"] == "BGR" else pixels
    scores, logits = session.run(["scores", "masks"], {"frames": np.ascontiguousarray(pixels)})
    logits = logits[:, :own]
    masks = logits > 0
    if about["mask_scoring"]:  # times the mean probability inside of the mask
        sure = (masks / (1 + np.exp(-logits.clip(-50, 50)))).sum((1, 2, 3))
        scores = scores * (sure / masks.sum((1, 2, 3)).clip(1))[:, None]
    return scores, masks


def overlap(one, other):
    """The IoU of two slots' masks (T, h, w)."""
    return (one & other).sum() / max(1, (one | other).sum())


def select(scores, masks, threshold, limit):
    """Slots with a score of ``threshold``, the best first, without duplicates of better ones."""
    kept, best = [], scores.max(1)
    for slot in np.argsort(-best, kind="stable"):
        if best[slot] >= threshold and (
            limit == 1 or all(overlap(masks[slot], masks[k]) < limit for k in kept)
        ):
            kept.append(slot)
    return kept


def link(tracks, masks, new):
    """A number for each slot: a track's, whose masks (T', h, w) begin at the same frame, or new."""
    ids, pairs = [None] * len(masks), []
    for number, old in tracks.items():
        for slot, mask in enumerate(masks[:, : len(old)]):
            pairs.append((overlap(old, mask), number, slot))
    for iou, number, slot in sorted(pairs, reverse=True):
        if iou >= LEAST_IOU and ids[slot] is None and number not in ids:
            ids[slot] = number
    return [next(new) if number is None else number for number in ids]


def draw(frame, index, tracks, names):
    """Colour the masks of frame ``index`` of its window, and write classes and numbers."""
    for number, (masks, label, score) in tracks.items():
        mask = cv2.resize(masks[index].astype(np.uint8), frame.shape[1::-1]) > 0
        if mask.any():
            colour = np.random.default_rng(number).integers(60, 256, 3)
            frame[mask] = (frame[mask] + colour) // 2
            row, column = np.argwhere(mask)[0].tolist()
            text = f"{names[label] if names else label} {number} {score:.0%}"
            cv2.putText(frame, text, (column, max(12, row)), 0, 0.4, colour.tolist())


def open_model(path):
    """A session of ONNX Runtime, and the metadata."""
    import onnxruntime  # after --help

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        texts = session.get_modelmeta().custom_metadata_map
        about = {key: json.loads(text) for key, text in texts.items()}
    except Exception as error:  # ONNX Runtime's have no class of their own
        raise ValueError(str(error).splitlines()[0]) from error
    if "duplicate_iou" not in about:
        raise ValueError(f"{path} is not a file of simplevtr export")
    return session, about


def read(source, path):
    """The first frame, and all: upright (H, W, 3) uint8 RGB, of even sides, as H.264 wants them."""
    video = source.streams.best("video")
    if video is None or video.disposition & av.stream.Disposition.attached_pic:
        raise ValueError(f"{path} has no video")
    frames = (
        np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
        for frame in source.decode(video)
    )
    frames = (np.ascontiguousarray(f[: len(f) // 2 * 2, : f.shape[1] // 2 * 2]) for f in frames)
    if (first := next(frames, None)) is None or not first.size:
        raise ValueError(f"{path} has no frames of at least 2 x 2 pixels")
    return first, chain([first], frames)


def run(options):
    """Find tracks, window after window, and write each frame once no later window begins at it."""
    session, about = open_model(options.model)
    length = about["fixed_frames"] or options.window or about["window"] or 64
    if options.window not in (None, length):
        raise ValueError(f"--window {options.window}: the model takes {length} frames at once")
    stride = about["stride"] if length == about["window"] else max(1, 3 * length // 4)
    if stride >= length:
        raise ValueError(f"windows of {length} frames, {stride} apart, share none to link by")
    tracks, new, done = {}, iter(range(1, 10**9)), 0
    with av.open(f"file:{options.video}", metadata_errors="replace") as source:
        first, frames = read(source, options.video)
        height, width = first.shape[:2]
        size = input_size(height, width, about)
        with av.open(f"file:{options.output}", "w") as sink:
            stream = sink.add_stream("libx264", source.streams.best("video").average_rate or 25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for start, held, settled in windows(frames, length, stride):
                scores, masks = look(session, about, held, size)
                kept = select(scores, masks, options.threshold, about["duplicate_iou"])
                held, masks = held[done - start :], masks[:, done - start :]
                ids = link({n: track[0] for n, track in tracks.items()}, masks[kept], new)
                best = zip(ids, kept, strict=True)
                tracks = {n: (masks[q], scores[q].argmax(), scores[q].max()) for n, q in best}
                for index, frame in enumerate(map(np.copy, held[: settled - done])):  # seen again
                    draw(frame, index, tracks, about["class_names"])
                    sink.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                tracks = {n: (m[settled - done :], *rest) for n, (m, *rest) in tracks.items()}
                done = settled
            sink.mux(stream.encode())
    print(f"wrote {options.output} ({done} frames, {next(new) - 1} tracks)")


def main():
    """Read the command line; an error has one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "video", "output"):
        parser.add_argument(name)
    parser.add_argument("--threshold", type=float, default=0.3, help="least score that is drawn")
    parser.add_argument("--window", type=int, help="frames at once (default: the model's)")
    options = parser.parse_args()
    output, start = Path(options.output), f"{parser.prog}: error:"
    if not 0 <= options.threshold <= 1:
        parser.exit(2, f"{start} --threshold {options.threshold}: 0 to 1 is allowed\n")
    if output.suffix != ".mp4" or output.exists() or not output.parent.is_dir():
        parser.exit(2, f"{start} {output} must be a new .mp4 file in a folder\n")
    try:
        run(options)
    except BaseException as error:
        output.unlink(missing_ok=True)
        if not isinstance(error, (OSError, ValueError, av.FFmpegError)):
            raise
        ours = f"{options.video}: {error.strerror}" if isinstance(error, av.FFmpegError) else error
        parser.exit(2, f"{start} {ours}\n")


if __name__ == "__main__":
    main()
