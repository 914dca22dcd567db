FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 npm \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 firstplay \
    && install --directory --owner=firstplay /state
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt ".[distributed]"
USER firstplay
ENV FIRSTPLAY_HOME=/state HOME=/home/firstplay
RUN firstplay models fetch --all
VOLUME /state
EXPOSE 8000
ENTRYPOINT ["firstplay"]
