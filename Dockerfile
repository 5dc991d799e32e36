# syntax=docker/dockerfile:1
# One image for every role: `docker run bestchat api`, `… worker`, `… projector`, `… migrate`.

FROM node:22-bookworm-slim AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
COPY web/client/package.json client/package.json
COPY web/console/package.json console/package.json
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM rust:1.95-slim-bookworm AS build
# The C compiler is for the cryptography of `ring`.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
COPY --from=web /build/web/console/dist web/console/dist
# The caches stay outside of the image, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked --package app --bin bestchat && cp target/release/bestchat /bestchat

FROM debian:bookworm-slim
# Certificates for providers and token issuers; curl for the health checks.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin bestchat
COPY --from=build /bestchat /usr/local/bin/bestchat
USER bestchat
# Inside a container, loopback would be closed to everyone.
ENV BESTCHAT_LISTEN=0.0.0.0:8080 BESTCHAT_LOG_FORMAT=json
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["bestchat"]
CMD ["api"]
