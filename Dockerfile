# The code lives in /srv/myagent; /app/agents is the user's mount:
#   docker build -t myagent .
#   docker run -p 8080:8080 -v "$PWD/agents:/app/agents" myagent
FROM python:3.12-slim AS build

# mysqlclient has no wheel for Linux.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends default-libmysqlclient-dev gcc libc6-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/requirements.txt
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements.txt


FROM python:3.12-slim

# mysqlclient's shared library, and what `manage.py backup` and `restore` call.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libmariadb3 mariadb-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home myagent \
    && install -d -o myagent -g myagent /srv/myagent /srv/myagent/data /app/agents
COPY --from=build /opt/venv /opt/venv
COPY . /srv/myagent
# The command that people type, and the SDK for programs that import it.
RUN packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && mkdir /opt/venv/sdk \
    && ln -s /srv/myagent/myagent /opt/venv/sdk/myagent \
    && echo /opt/venv/sdk >"$packages/myagent-sdk.pth" \
    && printf '%s\n' '#!/bin/sh' \
        'exec /opt/venv/bin/python -P -c "from myagent.cli.server import main; main()" "$@"' \
        >/opt/venv/bin/myagent-ws \
    && chmod 755 /opt/venv/bin/myagent-ws
RUN /opt/venv/bin/python -m compileall -q /srv/myagent

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MYAGENT_VAR_DIR=/srv/myagent/data \
    DATABASE_URL=sqlite:////srv/myagent/data/agent_manager.db
USER myagent
WORKDIR /srv/myagent
VOLUME ["/srv/myagent/data"]
EXPOSE 8080

HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
# An exec form: SIGTERM reaches the service, which finishes its runs first.
STOPSIGNAL SIGTERM
CMD ["python", "manage.py", "runagent", "/app/agents/agent.py", "--host", "0.0.0.0", "--port", "8080"]
