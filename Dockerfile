# The gateway. Without further arguments it fronts the targets of /etc/forethought/gateway.toml:
#   docker build -t forethought .
#   docker run -p 8000:8000 -v "$PWD/gateway.toml:/etc/forethought/gateway.toml:ro" -v forethought:/var/lib/forethought forethought
# Beyond loopback it needs an admin key in its ledger first:
#   docker run -v "$PWD/gateway.toml:/etc/forethought/gateway.toml:ro" -v forethought:/var/lib/forethought \
#     --entrypoint forethought forethought keys create ops /etc/forethought/gateway.toml --scope admin
# Embedded models and routers need the extra `local`: --build-arg EXTRAS=serve,postgres,local
FROM python:3.11-slim AS build
ARG EXTRAS=serve,postgres
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /opt/forethought && /opt/forethought/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim
COPY --from=build /opt/forethought /opt/forethought
RUN useradd --system --create-home --home-dir /var/lib/forethought forethought
ENV PATH=/opt/forethought/bin:$PATH PYTHONUNBUFFERED=1
USER forethought
WORKDIR /var/lib/forethought
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["forethought", "serve"]
CMD ["/etc/forethought/gateway.toml", "--host", "0.0.0.0"]
