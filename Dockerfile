# The operator's image: one binary on a base that has libc, certificates of CAs, and no shell.

# The tag is the toolchain of rust-toolchain.toml (`make chart` compares them) on the Debian of the last stage, whose libc
# the binary is linked with.
FROM docker.io/library/rust:1.95.0-slim-trixie AS build
WORKDIR /keywright
# What the build reads (.dockerignore).
COPY . .
RUN cargo build --release --locked --package keywright --bin keywright

FROM gcr.io/distroless/cc-debian13:nonroot
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="keywright" \
      org.opencontainers.image.description="Keeps the credentials of Microsoft Entra applications fresh, from inside Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build --chmod=0555 /keywright/target/release/keywright /keywright
# Distroless's `nonroot` as a number, without which the kubelet cannot see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/keywright"]
CMD ["run"]
