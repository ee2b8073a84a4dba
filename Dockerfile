# CPU:  docker build --build-arg TORCH_INDEX=URL -t darling-reward .
# CUDA: docker build --target cuda -t darling-reward:cuda .
# docs/operations.md says where the URL is found. Without it the default torch is installed, which
# carries CUDA: right, only larger.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_INDEX=""
ARG EXTRAS="math,redis"
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE THIRD_PARTY_NOTICES.md ./
COPY service ./service
COPY models ./models
RUN python -m venv /opt/darling
RUN /opt/darling/bin/pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint constraints.txt torch ".${EXTRAS:+[$EXTRAS]}"
RUN /opt/darling/bin/pip uninstall --yes pip setuptools
# The list of all that is in there, in CycloneDX's format, by a tool that does not stay.
RUN python -m venv /opt/sbom && /opt/sbom/bin/pip install --no-cache-dir --constraint constraints.txt cyclonedx-bom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /opt/darling/sbom.cdx.json /opt/darling/bin/python

FROM ${PYTHON_IMAGE} AS runtime
RUN pip uninstall --yes pip setuptools wheel && useradd --create-home --uid 10001 darling
# A volume takes its owner from here; a history_url may name a file in it.
RUN install --directory --owner darling --mode 700 /var/lib/darling
COPY --from=build /opt/darling /opt/darling
ENV PATH=/opt/darling/bin:$PATH PYTHONUNBUFFERED=1 DARLING_HOST=0.0.0.0 DARLING_PORT=8000
USER darling
WORKDIR /home/darling
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
STOPSIGNAL SIGINT
CMD ["darling-reward", "serve"]

FROM runtime AS cuda
ENV DARLING_DEVICE=cuda DARLING_MAX_BATCH_TOKENS=65536

FROM runtime AS cpu
