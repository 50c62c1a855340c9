# Three targets from one file, for any architecture that Python's image has: what follows names none.
#   docker build .                    the gateway
#   docker build --target stdio .     the same, with Node.js and uv for local servers (`command:`)
# A release pins the base by its digest, of the index that lists every architecture (docs/deploy.md#the-image):
#   docker build --build-arg BASE=python:3.11-slim@sha256:…  .
ARG BASE=python:3.11-slim

# Builds, from files that are checked by their hash, with every extra: what a gateway of many needs is there when settings
# name it.
FROM ${BASE} AS build
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/mcpgov \
 && /opt/mcpgov/bin/pip install --no-cache-dir --require-hashes -r requirements/all.txt \
 && pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY mcpgov/ mcpgov/
COPY policies/ policies/
COPY schemas/ schemas/
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /opt/mcpgov/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl

# Runs, as nobody in particular. Nothing but the volume is ever written: start it with --read-only.
FROM ${BASE} AS gateway
RUN groupadd --gid 10001 mcpgov \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/mcpgov --create-home mcpgov
COPY --from=build /opt/mcpgov /opt/mcpgov
# By number, because Kubernetes cannot tell from a name that it is not root.
USER 10001:10001
# Mount the configuration at /etc/mcpgov; in it, `listen: 0.0.0.0:8080` lets the container be reached, and
# `audit: { store: "sqlite:////var/lib/mcpgov/mcpgov.db" }` keeps the ledger on the volume mounted here.
WORKDIR /var/lib/mcpgov
VOLUME /var/lib/mcpgov
ENV PATH=/opt/mcpgov/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["mcpgov"]
CMD ["serve", "--config", "/etc/mcpgov/mcpgov.yaml"]

# node, npm, npx, uv and uvx. What a local server installs, and what it caches, goes to the volume.
FROM gateway AS stdio
USER root
COPY requirements/stdio.txt /opt/
RUN python -m venv /opt/stdio \
 && /opt/stdio/bin/pip install --no-cache-dir --require-hashes -r /opt/stdio.txt
USER 10001:10001
ENV PATH=$PATH:/opt/stdio/bin

# What is built unless a target is named.
FROM gateway
