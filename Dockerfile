# Build: every dependency comes as a wheel whose hash is in requirements.lock; nothing is compiled.
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/sagapost

# The dependencies have a layer of their own, so that a change of our code leaves it as it is.
COPY requirements.lock ./
RUN pip --python /opt/sagapost install --only-binary :all: --require-hashes --requirement requirements.lock
COPY . .
RUN pip --python /opt/sagapost install --no-deps .

# Run: an interpreter, one environment, one user without a shell or a home. No pip, no compiler.
# (The environment also holds the Temporal binary of the embedded stack. It is not used here.)
FROM python:${PYTHON_VERSION}-slim-bookworm
RUN groupadd --gid 10001 sagapost \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sagapost \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/sagapost \
 && pip uninstall --yes --quiet --root-user-action=ignore setuptools wheel pip
COPY --from=build /opt/sagapost /opt/sagapost
ENV PATH=/opt/sagapost/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    SAGAPOST_DATA_DIR=/var/lib/sagapost
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["sagapost"]
CMD ["--help"]
