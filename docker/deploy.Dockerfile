# Exported models in a container, without torch, mmcv and mmdet:
#   docker build -t tevit-vis-deploy -f docker/deploy.Dockerfile .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" \
#     tevit-vis-deploy exported walk.mp4 --out found.mp4
FROM python:3.11-slim

COPY setup.py pyproject.toml README.md LICENSE /src/
COPY requirements /src/requirements
COPY configs /src/configs
COPY tevit_vis /src/tevit_vis
RUN pip install --no-cache-dir "/src[deploy]" && rm -rf /src

WORKDIR /work
ENTRYPOINT ["python", "-m", "tevit_vis.deploy"]
CMD ["--help"]
