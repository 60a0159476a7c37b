# engraft as an ordinary user, in a small Debian. Not part of the tests: build and try it yourself.
#   docker build -t engraft . && docker run --rm -v "$PWD:/data" engraft predict mine.onnx photos
FROM debian:13-slim AS build
COPY . /engraft
WORKDIR /engraft
RUN tools/install-packages.sh build && \
    cmake -S . -B /tmp/build -G Ninja -DEG_TESTS=OFF -DEG_HEIF=OFF -DCMAKE_INSTALL_PREFIX=/usr/local && \
    cmake --build /tmp/build && DESTDIR=/made cmake --install /tmp/build && \
    rm -rf /made/usr/local/include /made/usr/local/lib

FROM debian:13-slim
# The libraries that the program was linked with, and libcurl, which it loads when it downloads.
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates libcurl4t64 libhdf5-310 libjpeg62-turbo libspng0 \
        libwebp7 libwebpdemux2 libtiff6 libgif7 libutf8proc3 libprotobuf-c1 libjansson4 libssl3t64 zlib1g \
        libmicrohttpd12t64 libarchive13t64 liblcms2-2 libavif16 && \
    rm -rf /var/lib/apt/lists/* && useradd --create-home engraft
COPY --from=build /made /
USER engraft
WORKDIR /data
ENTRYPOINT ["engraft"]
CMD ["--help"]
