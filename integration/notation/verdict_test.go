// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/tamper"
)

// A row is a situation, and what both tools have to make of it.
type row struct {
	name string
	// plomb is its exit status and code the reason it gives; notation is whether
	// that accepts the image.
	plomb    int
	code     string
	notation bool
	// setUp signs the image, or does not, and returns what to ask.
	setUp func(t *testing.T, s *scene) statement
}

// A scene is where a row plays: an unsigned image, and an authority whose
// certificate is in the trust store ca:acme.
type scene struct {
	notary
	image
	acme *authority
	// publish puts the authority's revocation list where both tools look.
	publish func(crl []byte)
	// ready is when the question may be put: something has to expire first.
	ready time.Time
}

// newScene is a scene in a repository of the test.
func newScene(t *testing.T, host string) *scene {
	t.Helper()
	s := &scene{notary: newNotary(t), image: push(t, host), acme: newAuthority(t, "Acme Root")}
	s.store(t, "ca", "acme", s.acme.cert())
	return s
}

// signer has a certificate of the scene's authority.
func (s *scene) signer(t *testing.T, change ...func(*x509.Certificate)) *signer {
	t.Helper()
	return s.acme.issue(t, "signer", ecKey(t, elliptic.P256()), change...)
}

func rows() []row {
	return slices.Concat(timeRows(), whoRows(), whatRows(), revocationRows(), levelRows())
}

// whoRows are about who signed.
func whoRows() []row {
	return []row{
		{"unsigned", denied, "unsigned", false, func(t *testing.T, s *scene) statement {
			return strict()
		}},
		{"signed", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t), s.ref())
			return strict()
		}},
		{"certified by another authority", denied, "notation-untrusted", false, func(t *testing.T, s *scene) statement {
			s.sign(t, newAuthority(t, "Acme Root").issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
			return strict()
		}},
		{"by another authority that is trusted for time only", denied, "notation-untrusted", false, func(t *testing.T, s *scene) statement {
			clock := newAuthority(t, "Clock Root")
			s.store(t, "tsa", "clock", clock.cert())
			s.sign(t, clock.issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
			question := strict("tsa:clock")
			question.Level.Timestamp = "afterCertExpiry"
			return question
		}},
		{"by somebody of another department", denied, "notation-identity", false, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t, func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"sales"} }), s.ref())
			return strict()
		}},
		{"by another department, everybody of the authority is welcome", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t, func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"sales"} }), s.ref())
			question := strict()
			question.Identities = []string{"*"}
			return question
		}},
		{"by somebody whose name only begins like the right one", denied, "notation-identity", false, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t, func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"release-candidates"} }), s.ref())
			return strict()
		}},
		{"the root vouches for an authority that certified", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.sign(t, s.acme.certify(t, "Acme Signing").issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
			return strict()
		}},
		{"one authority below the root is trusted, and another certified", denied, "notation-untrusted", false, func(t *testing.T, s *scene) statement {
			s.store(t, "ca", "one", s.acme.certify(t, "One").cert())
			s.sign(t, s.acme.certify(t, "Other").issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
			question := strict()
			question.Stores = []string{"ca:one"}
			return question
		}},
		{"a certificate that vouches for itself, and is trusted", allowed, "", true, func(t *testing.T, s *scene) statement {
			self := (&authority{}).issue(t, "signer", ecKey(t, elliptic.P256()))
			s.store(t, "ca", "self", self.chain[0])
			s.sign(t, self, s.ref())
			question := strict()
			question.Stores = []string{"ca:self"}
			return question
		}},
		{"by a stranger, and by the right one", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.sign(t, newAuthority(t, "Acme Root").issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
			s.sign(t, s.signer(t), s.ref(), "--signature-format", "cose")
			return strict()
		}},
	}
}

// whatRows are about what was signed.
func whatRows() []row {
	return []row{
		{"another image's signature, which refers to this one", denied, "subject", false, func(t *testing.T, s *scene) statement {
			other := pushTo(t, s.repo, "other")
			s.sign(t, s.signer(t), other.ref())
			moved := signatures(t, other, other.index)[0]
			moved.Subject.Digest = s.index
			refer(t, s.image, moved)
			return strict()
		}},
		{"a signature with another payload", denied, "notation-signature", false, func(t *testing.T, s *scene) statement {
			s.changed(t, s.signer(t), func(envelope map[string]any) { envelope["payload"] = "e30" })
			return strict()
		}},
		{"a signature without the chain", denied, "notation-envelope", false, func(t *testing.T, s *scene) statement {
			s.changed(t, s.signer(t), func(envelope map[string]any) {
				header := envelope["header"].(map[string]any)
				header["x5c"] = header["x5c"].([]any)[:1]
			})
			return strict()
		}},
		{"the signer's own limit has passed", denied, "notation-expired", false, func(t *testing.T, s *scene) statement {
			return s.limited(t, strict())
		}},
	}
}

// changed signs the same image in another repository, and brings its signature
// here, with another JWS envelope.
func (s *scene) changed(t *testing.T, who *signer, change func(envelope map[string]any)) {
	t.Helper()
	elsewhere := pushTo(t, tamper.Repository{Host: s.repo.Host, Name: s.repo.Name + "/signed"}, "v1")
	require.Equal(t, s.index, elsewhere.index)
	s.sign(t, who, elsewhere.ref())
	m := signatures(t, elsewhere, s.index)[0]
	envelope := envelopeOf(t, elsewhere, m)
	change(envelope)
	m.Layers[0] = putJSON(t, s.repo, m.Layers[0].MediaType, envelope)
	m.Config = putJSON(t, s.repo, m.Config.MediaType, struct{}{})
	refer(t, s.image, m)
}

func envelopeOf(t *testing.T, i image, m ocispecs.Manifest) map[string]any {
	t.Helper()
	data, err := i.repo.Blob(t.Context(), m.Layers[0].Digest)
	require.NoError(t, err)
	var envelope map[string]any
	require.NoError(t, json.Unmarshal(data, &envelope))
	return envelope
}

// limited signs for one second.
func (s *scene) limited(t *testing.T, question statement) statement {
	t.Helper()
	s.sign(t, s.signer(t), s.ref(), "--expiry", "1s")
	s.ready = time.Now().Add(2 * time.Second)
	return question
}

// revocationRows are about certificates that can be revoked. notation asks the
// address in the certificate, plomb looks into its folder.
func revocationRows() []row {
	return []row{
		{"revoked", denied, "notation-revoked", false, func(t *testing.T, s *scene) statement {
			who := s.signer(t, s.listed(t))
			s.publish(s.acme.list(t, who.chain[0]))
			s.sign(t, who, s.ref())
			return strict()
		}},
		{"revoked, and permissive", allowed, "", true, func(t *testing.T, s *scene) statement {
			who := s.signer(t, s.listed(t))
			s.publish(s.acme.list(t, who.chain[0]))
			s.sign(t, who, s.ref())
			return leveled("permissive")
		}},
		{"the authority that certified is revoked", denied, "notation-revoked", false, func(t *testing.T, s *scene) statement {
			below := s.acme.certify(t, "Acme Signing", s.listed(t))
			s.publish(s.acme.list(t, below.cert()))
			s.sign(t, below.issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
			return strict()
		}},
		{"not revoked, as the list says", allowed, "", true, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t, s.listed(t)), s.ref())
			s.publish(s.acme.list(t))
			return strict()
		}},
		{"the list is not to be had", undecided, "notation-revocation", false, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t, s.listed(t)), s.ref())
			return strict()
		}},
		{"the list is another authority's, of the same name", undecided, "notation-revocation", false, func(t *testing.T, s *scene) statement {
			s.sign(t, s.signer(t, s.listed(t)), s.ref())
			s.publish(newAuthority(t, "Acme Root").list(t))
			return strict()
		}},
	}
}

// listed has a certificate say where the list of its authority is.
func (s *scene) listed(t *testing.T) func(*x509.Certificate) {
	t.Helper()
	var list []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(list)
	}))
	t.Cleanup(server.Close)
	// Both tools are asked only after that.
	s.publish = func(crl []byte) {
		list = crl
		s.lists(t, crl)
	}
	return func(c *x509.Certificate) { c.CRLDistributionPoints = []string{server.URL + "/acme.crl"} }
}

func leveled(level string) statement {
	s := strict()
	s.Level.Level = level
	return s
}

// levelRows are about levels.
func levelRows() []row {
	stranger := func(t *testing.T, s *scene) {
		s.sign(t, newAuthority(t, "Acme Root").issue(t, "signer", ecKey(t, elliptic.P256())), s.ref())
	}
	return []row{
		{"by a stranger, and permissive", denied, "notation-untrusted", false, func(t *testing.T, s *scene) statement {
			stranger(t, s)
			return leveled("permissive")
		}},
		{"by a stranger, and audit", allowed, "", true, func(t *testing.T, s *scene) statement {
			stranger(t, s)
			return leveled("audit")
		}},
		{"unsigned, and audit", denied, "unsigned", false, func(t *testing.T, s *scene) statement {
			return leveled("audit")
		}},
		{"the signer's own limit has passed, and permissive", allowed, "", true, func(t *testing.T, s *scene) statement {
			return s.limited(t, leveled("permissive"))
		}},
	}
}

// mostRequests is what a refusal of an image with one signature takes: every
// place was looked at.
const mostRequests = 12

// TestVerdicts plays every row on both registries, and prints the table.
func TestVerdicts(t *testing.T) {
	var mu sync.Mutex
	lines := []string{}
	t.Cleanup(func() { printTable(t, lines) })
	for _, r := range rows() {
		for _, p := range places()[:2] {
			t.Run(r.name+"/"+p.name, func(t *testing.T) {
				// All rows sign before the first is asked about. Meanwhile certificates
				// expire.
				s := newScene(t, p.host())
				question := r.setUp(t, s)
				t.Parallel()
				time.Sleep(time.Until(s.ready))
				d, plomb, notation := s.ask(t, question, s.ref())
				mu.Lock()
				lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s\t%t\t%d", r.name, p.name, d.Verdict, d.Code, notation, d.Requests))
				mu.Unlock()
				require.LessOrEqual(t, d.Requests, mostRequests)
				require.Equal(t, r.plomb, plomb, d.Reason)
				require.Equal(t, r.code, d.Code, d.Reason)
				require.Equal(t, r.notation, notation, "notation")
			})
		}
	}
}

func printTable(t *testing.T, lines []string) {
	slices.Sort(lines)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SITUATION\tREGISTRY\tPLOMB\tREASON\tNOTATION\tREQUESTS")
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	require.NoError(t, w.Flush())
	t.Log("\n" + table.String())
}

// A signature of another image that says so is not even listed by the API. With
// the fallback tag anybody may list it for whatever he likes.
func TestForeignSignature(t *testing.T) {
	t.Parallel()
	s := newScene(t, on.Registry)
	other := pushTo(t, s.repo, "other")
	s.sign(t, s.signer(t), other.ref())
	refer(t, s.image, signatures(t, other, other.index)...)
	d, plomb, notation := s.ask(t, strict(), s.ref())
	require.Equal(t, denied, plomb)
	require.Equal(t, "foreign-referrer", d.Code, d.Reason)
	require.False(t, notation)
	d, plomb, notation = s.ask(t, strict(), other.ref())
	require.Equal(t, allowed, plomb, d.Reason)
	require.True(t, notation)
}
