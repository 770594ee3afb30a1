# One image for every role: one agent, the whole site, its supervisor, workers.
#   docker build -t myagent-ws .
#   docker run -p 8080:8080 -v ./agents:/app/agents myagent-ws
# The code lives in /srv/myagent, what the site keeps in /srv/myagent/data; /app/agents is the
# user's mount. Nothing else is written but /tmp: the root file system may be read-only.
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm
FROM ${PYTHON_IMAGE} AS build

# mysqlclient has no wheel for Linux.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends default-libmysqlclient-dev gcc libc6-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/requirements.txt
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements.txt


FROM ${PYTHON_IMAGE}

# mysqlclient's shared library, and what `manage.py backup` and `restore` call.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libmariadb3 mariadb-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home myagent \
    && install -d -o myagent -g myagent /srv/myagent /srv/myagent/data /app/agents
COPY --from=build /opt/venv /opt/venv
COPY . /srv/myagent
# The commands that people type, and the SDK for programs that import it.
RUN packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && mkdir /opt/venv/sdk \
    && ln -s /srv/myagent/myagent /opt/venv/sdk/myagent \
    && echo /opt/venv/sdk >"$packages/myagent-sdk.pth" \
    && printf '%s\n' '#!/bin/sh' \
        'exec /opt/venv/bin/python -P -c "from myagent.cli.server import main; main()" "$@"' \
        >/opt/venv/bin/myagent-ws \
    && cp /srv/myagent/deploy/image/serve-agents /opt/venv/bin/serve-agents \
    && chmod 755 /opt/venv/bin/myagent-ws /opt/venv/bin/serve-agents
# What is in here, with versions and licences (CycloneDX).
RUN cd /srv/myagent && /opt/venv/bin/python -m myagent_site.sbom >sbom.json
RUN /opt/venv/bin/python -m compileall -q /srv/myagent

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MYAGENT_VAR_DIR=/srv/myagent/data \
    DATABASE_URL=sqlite:////srv/myagent/data/agent_manager.db
USER myagent
WORKDIR /srv/myagent
VOLUME ["/srv/myagent/data"]
EXPOSE 8080

HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
# Exec forms: SIGTERM reaches the service, which finishes its runs first.
STOPSIGNAL SIGTERM
CMD ["serve-agents"]
