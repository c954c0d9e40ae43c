// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"

	"github.com/plombproject/plomb/provenance/sbom"
)

// A stream writes a document piece by piece, in encoding/json's form. Its
// namespace comes last, when the bytes before it are known.
type stream struct {
	out     *bufio.Writer
	content hash.Hash // SHA-256 over everything, with an empty namespace
	whole   hash.Hash // SHA-1 over everything
	size    int64
	err     error
}

func newStream(out io.Writer) *stream {
	return &stream{out: bufio.NewWriterSize(out, 1<<20), content: sha256.New(), whole: sha1.New()}
}

// write remembers the first error; everything after it is lost, and so is the
// document.
func (w *stream) write(data []byte) {
	if w.err != nil {
		return
	}
	w.content.Write(data)
	w.whole.Write(data)
	w.size += int64(len(data))
	if w.size > Limit {
		w.err = fmt.Errorf("%w: the list of files is beyond %d bytes; build with PLOMB_SBOM=packages to go without it", ErrTooLarge, Limit)
		return
	}
	_, w.err = w.out.Write(data)
}

func (w *stream) text(s string) { w.write([]byte(s)) }

func (w *stream) value(v any) {
	data, err := encode(v)
	if err != nil {
		w.err = err
	}
	w.write(data)
}

// begin writes the members that a document starts with.
func (w *stream) begin(d *document) {
	w.text("{")
	w.text(`"SPDXID":"SPDXRef-` + documentID + `"`)
	w.member("spdxVersion", d.SPDXVersion)
	w.member("dataLicense", d.DataLicense)
	w.member("name", d.DocumentName)
	w.member("creationInfo", d.CreationInfo)
}

func (w *stream) key(name string) {
	w.text(`,"` + name + `":`)
}

// member writes one that is not empty.
func (w *stream) member(name string, v any) {
	data, err := encode(v)
	if err != nil {
		w.err = err
	}
	if !bytes.Equal(data, []byte("null")) {
		w.key(name)
		w.write(data)
	}
}

// files writes the list of files and enters them into l.
func (w *stream) files(files iter.Seq2[sbom.File, error], l *listing) error {
	w.text("[")
	for f, err := range files {
		if err != nil {
			return err
		}
		if len(l.sums) > 0 {
			w.text(",")
		}
		element, err := l.enter(f)
		if err != nil {
			return err
		}
		if w.value(element); w.err != nil {
			return w.err
		}
	}
	w.text("]")
	return w.err
}

// end names the document and closes it.
func (w *stream) end() (*sbom.Document, error) {
	w.key("documentNamespace")
	w.content.Write([]byte(`""}`))
	name := Namespace + hex.EncodeToString(w.content.Sum(nil))
	w.value(name)
	w.text("}")
	if w.err != nil {
		return nil, w.err
	}
	if err := w.out.Flush(); err != nil {
		return nil, err
	}
	return &sbom.Document{Namespace: name, SHA1: hex.EncodeToString(w.whole.Sum(nil))}, nil
}

// A sum is a SHA-1.
type sum [sha1.Size]byte

// verificationCode is the packageVerificationCode of some of the files.
//
// SPDX 2.3, 7.9.4: the SHA-1 of the concatenation, in ascending order and
// without separators, of the files' SHA-1s in lower-case hexadecimal.
func (l *listing) verificationCode(files []int) string {
	sums := make([]sum, len(files))
	for i, file := range files {
		sums[i] = l.sums[file]
	}
	slices.SortFunc(sums, func(a, b sum) int { return bytes.Compare(a[:], b[:]) })
	code := sha1.New()
	for _, s := range sums {
		code.Write(hex.AppendEncode(nil, s[:]))
	}
	return hex.EncodeToString(code.Sum(nil))
}

func ascending(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}
