"""Sound that an mp4 cannot hold as it is, encoded anew as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_BITS = 96_000  # a second and channel
_PACKET = 1024  # samples of a packet of AAC


def encoded(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    output: av.container.OutputContainer,
    origin: Fraction,
) -> Iterator[tuple[Fraction, av.Packet]]:
    """Add a stream of AAC to ``output`` at once, and give its packets as they are asked for.

    Args:
        container: what ``stream`` belongs to; read from its start.
        stream: the sound to encode; more than two channels are mixed into two.
        output: an mp4 whose first packet has not been written.
        origin: seconds on ``stream``'s clock that become 0; what sounds before is left out.

    Returns:
        (start in seconds, packet), in order.
    """
    rate = stream.rate if stream.rate in _RATES else 48000
    layout = "mono" if stream.channels == 1 else "stereo"
    aac = output.add_stream("aac", rate=rate)
    aac.codec_context.layout = layout
    aac.codec_context.format = "fltp"
    aac.codec_context.bit_rate = _BITS * aac.codec_context.channels
    return _packets(container, stream, aac, origin)


def _packets(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    aac: av.AudioStream,
    origin: Fraction,
) -> Iterator[tuple[Fraction, av.Packet]]:
    graph = None
    for frame in _decoded(container, stream, origin):
        graph = graph or _graph(frame, aac)
        graph.push(frame)
        yield from _encode(graph, aac)
    if graph is not None:
        graph.push(None)
        yield from _encode(graph, aac)
        yield from _timed(aac.encode(None))


def _decoded(
    container: av.container.InputContainer, stream: av.AudioStream, origin: Fraction
) -> Iterator[av.AudioFrame]:
    """The sound from ``origin`` on, which is time 0; what is broken is left out."""
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= round(origin / Fraction(frame.time_base))
            yield frame


def _graph(frame: av.AudioFrame, aac: av.AudioStream) -> Graph:
    """From what is decoded to what is encoded; gaps become silence, so that nothing is early."""
    rate, layout = aac.codec_context.sample_rate, aac.codec_context.layout.name
    graph = Graph()
    graph.link_nodes(
        graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base,
        ),
        graph.add("atrim", "start=0"),
        graph.add("aresample", f"{rate}:async=1"),
        graph.add("aformat", f"sample_fmts=fltp:sample_rates={rate}:channel_layouts={layout}"),
        graph.add("asetnsamples", f"n={_PACKET}:p=0"),
        graph.add("abuffersink"),
    ).configure()
    return graph


def _encode(graph: Graph, aac: av.AudioStream) -> Iterator[tuple[Fraction, av.Packet]]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield from _timed(aac.encode(frame))


def _timed(packets: list[av.Packet]) -> Iterator[tuple[Fraction, av.Packet]]:
    for packet in packets:
        yield packet.pts * Fraction(packet.time_base), packet
