# Two stages: the first builds, the second runs, as nobody in particular, from files that were checked by their hash.
# It has every extra: what a gateway of many needs (PostgreSQL, Redis, Azure, OpenTelemetry) is there when settings name it.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /opt/mcpgov \
 && /opt/mcpgov/bin/pip install --no-cache-dir --require-hashes -r requirements/all.txt \
 && pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY mcpgov/ mcpgov/
COPY policies/ policies/
COPY schemas/ schemas/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /opt/mcpgov/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl

FROM python:3.11-slim
COPY --from=build /opt/mcpgov /opt/mcpgov
RUN useradd --system --uid 10001 --home-dir /var/lib/mcpgov --create-home mcpgov
USER mcpgov
# Mount the configuration at /etc/mcpgov; in it, `listen: 0.0.0.0:8080` lets the container be reached, and
# `audit: { store: "sqlite:////var/lib/mcpgov/mcpgov.db" }` keeps the ledger on the volume mounted here.
WORKDIR /var/lib/mcpgov
ENV PATH=/opt/mcpgov/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["mcpgov"]
CMD ["serve", "--config", "/etc/mcpgov/mcpgov.yaml"]
