ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
COPY requirements.txt constraints.txt ./
# An index that torch alone is taken from, for a CPU build or for another version of CUDA; if empty, PyPI's build.
ARG TORCH_INDEX_URL=""
# Torch's own tests and C++ headers, a tenth of the image, serve nothing at run time.
RUN python -m venv --without-pip /venv \
    && if [ -n "${TORCH_INDEX_URL}" ]; then \
        grep '^torch==' constraints.txt > /tmp/torch.txt \
        && pip --python /venv/bin/python install --no-cache-dir --index-url "${TORCH_INDEX_URL}" --requirement /tmp/torch.txt; \
    fi \
    && pip --python /venv/bin/python install --no-cache-dir --requirement requirements.txt --constraint constraints.txt \
    && rm -rf /venv/lib/*/site-packages/torch/test /venv/lib/*/site-packages/torch/include /venv/lib/*/site-packages/torch/bin/*[Tt]est*
COPY . .
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON_IMAGE}
RUN useradd --uid 1000 --create-home user
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
USER 1000
EXPOSE 7860
# As process 1, Python ignores SIGTERM unless told otherwise; Ctrl-C it understands.
STOPSIGNAL SIGINT
HEALTHCHECK --start-period=60s --timeout=5s CMD ["python", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['GRADIO_SERVER_PORT']), timeout=4); connection.request('GET', '/gradio_api/app_id'); sys.exit(connection.getresponse().status != 200)"]
CMD ["python", "app.py"]
