# Two images from one file, for the two sides of the queue:
#   docker build --target producer -t vecmill-producer .     small, no torch: embed, serve, status, history
#   docker build --target worker   -t vecmill-worker .       torch with CUDA: worker, and everything else, too
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HOME=/models
# One user in both images, so that what one writes into a shared volume the other can read and replace.
RUN useradd --uid 10001 --create-home vecmill \
    && mkdir /data /models \
    && chown vecmill: /data /models
WORKDIR /opt/vecmill
COPY constraints.txt ./

FROM base AS producer
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY producer ./producer
COPY worker ./worker
RUN pip install --constraint constraints.txt .
USER vecmill
WORKDIR /data
ENTRYPOINT ["vecmill"]
CMD ["--help"]

FROM base AS worker
# Its wheels bring CUDA along: by far the largest layer, and the one that changes least.
RUN pip install --constraint constraints.txt torch
# For the kernels that a worker on a CPU compiles for it.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY producer ./producer
COPY worker ./worker
RUN pip install --constraint constraints.txt '.[worker]'
USER vecmill
WORKDIR /data
ENTRYPOINT ["vecmill"]
CMD ["worker", "--help"]
