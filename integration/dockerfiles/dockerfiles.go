// SPDX-License-Identifier: Apache-2.0

// Package dockerfiles has the Dockerfiles that more than one integration test
// builds. It builds nothing itself.
package dockerfiles

// Everything makes each kind of file and of change that a layer can hold, in
// nine layers, and differs from build to build before it is sealed. It needs
// EverythingFiles in its context, and a busybox image in place of ${BUSYBOX}.
const Everything = `
FROM ${BUSYBOX} AS made
RUN mkdir -p /made/deep/er && echo one > /made/one && ln /made/one /made/two && ln -s one /made/three && chmod 4755 /made/one
RUN mkfifo /made/fifo && mknod /made/null c 1 3

FROM ${BUSYBOX}
WORKDIR /work
COPY --link greeting /linked/greeting
COPY --from=made /made /copied
ADD --link --chown=12:34 --chmod=640 greeting /added/
COPY <<EOT /here/doc.txt
here
EOT
RUN --mount=type=cache,target=/cache --mount=type=secret,id=other,required=false \
    echo "built $(date +%N)" > /cache/stamp && echo new > /etc/new && touch /etc/passwd
RUN rm -rf /home && echo file > /home && rm /bin/vi && mkdir -p /opt/a/b && chmod 700 /tmp
RUN ln /etc/passwd /etc/passwd.link && rm -rf /opt && mkdir -p /opt/c && echo a > "/opt/c/$(printf 'new\nline')" && chown 1000:1000 /opt/c
RUN true
VOLUME /data
USER 12
ENV GREETING=<hello>
CMD ["sh"]
`

// EverythingFiles is the build context of Everything, by file name.
func EverythingFiles() map[string]string { return map[string]string{"greeting": "hello\n"} }
