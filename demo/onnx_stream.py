"""Draw the tracks of a video with an exported model, without PyTorch and without this package.

    simplevtr export --weights model.safetensors --output model.onnx
    python demo/onnx_stream.py model.onnx video.mp4 tracks.mp4

It needs numpy, onnxruntime, av (PyAV) and opencv-python-headless. Windows of frames follow each
other and overlap. Their slots are linked by a simpler rule than the demo's: the pairs whose masks
overlap most in the frames that both windows see are one track. So a track that is away for longer
comes back under a new number.
"""

import argparse
import json

import av
import cv2
import numpy as np

LEAST_IOU = 0.1  # of masks, for a slot to go on with a track


def windows(frames, length, stride):
    """Lists of ``length`` frames, each ``stride`` after the one before; the last may be shorter."""
    held = []
    for frame in frames:
        if len(held) == length:
            yield held, False
            held = held[stride:]
        held.append(frame)
    yield held, True


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


def link(tracks, masks, new):
    """A number for each slot: a track's, whose masks (T', h, w) begin at the same frame, or new."""
    ids, pairs = [None] * len(masks), []
    for number, old in tracks.items():
        for slot, mask in enumerate(masks[:, : len(old)]):
            pairs.append(((old & mask).sum() / max(1, (old | mask).sum()), number, slot))
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


def main():
    """Find tracks, window after window, and write each frame once no later window begins at it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "video", "output"):
        parser.add_argument(name)
    parser.add_argument("--threshold", type=float, default=0.3, help="least score that is drawn")
    parser.add_argument("--window", type=int, help="frames at once (default: the model's)")
    options = parser.parse_args()
    import onnxruntime  # after --help

    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    about = {key: json.loads(text) for key, text in texts.items()}
    length = about["fixed_frames"] or options.window or about["window"] or 64
    stride, tracks, new, count = max(1, 3 * length // 4), {}, iter(range(1, 10**9)), 0
    with av.open(options.video) as source, av.open(options.output, "w") as sink:
        video = source.streams.video[0]
        height, width = video.height // 2 * 2, video.width // 2 * 2  # as H.264 wants them
        stream = sink.add_stream("libx264", video.average_rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frames = (f.to_ndarray(format="rgb24")[:height, :width] for f in source.decode(video))
        for held, last in windows(frames, length, stride):
            scores, masks = look(session, about, held, input_size(height, width, about))
            kept = np.flatnonzero(scores.max(1) >= options.threshold)
            ids = link({n: track[0] for n, track in tracks.items()}, masks[kept], new)
            best = zip(ids, kept, strict=True)
            tracks = {n: (masks[q], scores[q].argmax(), scores[q].max()) for n, q in best}
            done = len(held) if last else stride
            for index, frame in enumerate(held[:done]):
                draw(frame, index, tracks, about["class_names"])
                sink.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            tracks = {n: (m[done:], *rest) for n, (m, *rest) in tracks.items()}
            count += done
        sink.mux(stream.encode())
    print(f"wrote {options.output} ({count} frames, {next(new) - 1} tracks)")


if __name__ == "__main__":
    main()
