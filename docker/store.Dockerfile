# Web, CPU worker and beat: one image, three commands (compose.yaml). Build from the root: docker build -f docker/store.Dockerfile .
FROM python:3.11-slim-bookworm AS build
WORKDIR /store
COPY requirements requirements
RUN python requirements/install.py store data
COPY frontend frontend
COPY templates templates
RUN .venv/bin/python requirements/build_frontend.py

FROM python:3.11-slim-bookworm
# Fonts for the names of customers on invoices, in any script.
RUN apt-get update && apt-get install -y --no-install-recommends fonts-dejavu-core fonts-noto-cjk && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 store && install -d -o store /data
WORKDIR /store
COPY --from=build /store/.venv .venv
COPY --from=build /store/frontend/dist frontend/dist
COPY manage.py ./
COPY requirements/store.txt requirements/store.txt
COPY inference inference
COPY workers workers
COPY templates templates
COPY store store
ENV PATH=/store/.venv/bin:$PATH DATA_DIR=/data WEB_HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER store
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "store.web"]
