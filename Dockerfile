# docker build -t simplevtr . && docker run --rm -v "$PWD:/data" -w /data simplevtr \
#   demo --config-file configs/embedded/pretrained.yaml --input video.mp4 --output tracks.mp4
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /simplevtr
COPY . .
RUN make setup
ENV PATH="/simplevtr/.venv/bin:$PATH"
ENTRYPOINT ["simplevtr"]
