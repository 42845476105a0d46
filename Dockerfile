# unmask as a server: the page and the API on port 8000. Built from a checkout:
#   docker build -t unmask . && docker run --rm --read-only --tmpfs /tmp --network host unmask
# It needs no network when it runs. docs/deploy.md has more.
FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
# all that is needed in one folder that can be copied as a whole
RUN python -m venv /opt/unmask \
    && /opt/unmask/bin/pip install --no-cache-dir --constraint constraints.txt '.[web]' \
    && find /opt/unmask -name __pycache__ -prune -exec rm -rf {} + \
    # some packages carry templates that are no Python
    && { /opt/unmask/bin/python -m compileall -q /opt/unmask/lib || true; }

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin unmask
COPY --from=build /opt/unmask /opt/unmask
ENV PATH=/opt/unmask/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001
EXPOSE 8000
# the port answers once the models are loaded
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["unmask"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
