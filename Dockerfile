# One image for each part: --target receiver, processor or operator. `make images` builds all three.
#
# An image holds Python, a virtual environment with the wheel and the part's own extra, and nothing
# else: no compiler, no cache, no other part's libraries. It needs no place to write to.

# By digest, the base is pinned too: python:3.13-slim@sha256:… (docs/kubernetes.md).
ARG PYTHON_IMAGE=python:3.13-slim

# ---- what all builders share ---------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS source
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONSAFEPATH=1
WORKDIR /src
# Without pip: what is copied into the final image cannot install anything.
RUN python -m venv --without-pip /opt/forebay
# What is installed is what requirements/ pins, byte for byte (`make lock`). So is what builds: Forebay itself, and nkeys,
# the only library of which there is no wheel. It stays in a folder of this stage.
ENV PINNED="--quiet --require-hashes --only-binary=:all: --no-binary=nkeys -r"
COPY requirements/build.txt requirements/
RUN python -m pip install --target /opt/build $PINNED requirements/build.txt
# Libraries come before the code: their layers stay while only code changes. `--ignore-installed`, so that nothing of
# /opt/build passes for a library that is there already.
ENV PYTHONPATH=/opt/build \
    INSTALL="python -m pip --python /opt/forebay/bin/python install --no-build-isolation --ignore-installed"

FROM source AS wheel
COPY . .
RUN python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel .

# ---- one builder a part --------------------------------------------------------------------------

FROM source AS build-receiver
COPY requirements/receiver.txt requirements/
RUN $INSTALL $PINNED requirements/receiver.txt
COPY --from=wheel /wheel /wheel
RUN $INSTALL --quiet --no-deps /wheel/*.whl

FROM source AS build-processor
COPY requirements/processor.txt requirements/
RUN $INSTALL $PINNED requirements/processor.txt
COPY --from=wheel /wheel /wheel
RUN $INSTALL --quiet --no-deps /wheel/*.whl

FROM source AS build-operator
COPY requirements/operator.txt requirements/
RUN $INSTALL $PINNED requirements/operator.txt
COPY --from=wheel /wheel /wheel
RUN $INSTALL --quiet --no-deps /wheel/*.whl

# ---- what all images share -----------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS part
# `make images` adds version and revision: as build arguments they would be lost in a cached layer.
LABEL org.opencontainers.image.vendor="Forebay" \
      org.opencontainers.image.licenses="Apache-2.0"
# The current folder stays off Python's path, nothing is written beside the code, and a log's line
# leaves at once. The user has no line in /etc/passwd, where libraries would look for its name.
ENV PATH=/opt/forebay/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    USER=forebay
# By number, so that the kubelet can see that it is not root.
USER 10001:10001
WORKDIR /

# ---- the images ----------------------------------------------------------------------------------

FROM part AS receiver
LABEL org.opencontainers.image.title="forebay-receiver" \
      org.opencontainers.image.description="Takes WhatsApp Business webhooks and stores each before it answers"
COPY --from=build-receiver /opt/forebay /opt/forebay
EXPOSE 8080 9090
ENTRYPOINT ["forebay", "receiver"]

FROM part AS processor
LABEL org.opencontainers.image.title="forebay-processor" \
      org.opencontainers.image.description="Splits stored webhooks into items and delivers each to its destinations"
COPY --from=build-processor /opt/forebay /opt/forebay
EXPOSE 9090
ENTRYPOINT ["forebay", "processor"]

FROM part AS operator
LABEL org.opencontainers.image.title="forebay-operator" \
      org.opencontainers.image.description="Makes a cluster match its WebhookEndpoints"
COPY --from=build-operator /opt/forebay /opt/forebay
EXPOSE 9090
ENTRYPOINT ["forebay", "operator"]
