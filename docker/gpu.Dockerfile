# A GPU worker: no database, no Django, no code of the store. Build from the root: docker build -f docker/gpu.Dockerfile .
# torch's public build brings its CUDA libraries along, so the image needs none; the host needs NVIDIA's driver and container toolkit.
FROM python:3.11-slim-bookworm AS build
WORKDIR /store
COPY requirements requirements
RUN python requirements/install.py worker torch training

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libtcmalloc-minimal4 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 store && install -d -o store /data
WORKDIR /store
COPY --from=build /store/.venv .venv
COPY inference inference
COPY workers workers
# glibc's allocator makes generation on a CPU slow and unsteady.
ENV PATH=/store/.venv/bin:$PATH DATA_DIR=/data LD_PRELOAD=libtcmalloc_minimal.so.4 PYTHONUNBUFFERED=1
USER store
VOLUME /data
CMD ["python", "-m", "workers.gpu"]
