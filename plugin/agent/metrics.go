// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/receipt"
)

// metrics are what the agent counts. docs/node.md has the list for people.
type metrics struct {
	registry *prometheus.Registry

	decisions        *prometheus.CounterVec
	cacheHits        *prometheus.CounterVec
	cacheMisses      *prometheus.CounterVec
	verifications    *prometheus.CounterVec
	verifying        prometheus.Histogram
	running, waiting prometheus.Gauge
	requests         prometheus.Counter
	receipts         prometheus.Counter
	receiptErrors    prometheus.Counter
	verdictErrors    prometheus.Counter
	reloadErrors     *prometheus.CounterVec
	loadedAt         *prometheus.GaugeVec
	loadedGood       *prometheus.GaugeVec
	rootAge          *prometheus.GaugeVec
	rootExpiry       *prometheus.GaugeVec
	nriConnected     prometheus.Gauge
	unverified       prometheus.Gauge
	mode             *prometheus.GaugeVec
	breakGlass       prometheus.Gauge
	effective        prometheus.Gauge
	selfTests        *prometheus.CounterVec
	nodeReady        prometheus.Gauge
	reverts          prometheus.Counter
}

// newMetrics makes them in a registry of their own.
func newMetrics(version string) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "plomb_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plomb_" + name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "plomb_" + name, Help: help})
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plomb_" + name, Help: help}, labels)
	}
	m := &metrics{
		registry:      prometheus.NewRegistry(),
		decisions:     counters("decisions_total", "Decisions about images: where they were asked for, the verdict, whether the image was admitted and what said so.", "point", "verdict", "admitted", "by"),
		cacheHits:     counters("cache_hits_total", "Questions that a remembered verdict answered.", "point"),
		cacheMisses:   counters("cache_misses_total", "Questions that no remembered verdict answered.", "point"),
		verifications: counters("verifications_total", "Verifications that were run, by their verdict.", "verdict"),
		verifying: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "plomb_verification_seconds", Help: "How long verifications took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		running:       gauge("verifications_running", "Verifications that run now."),
		waiting:       gauge("verifications_waiting", "Verifications that wait for their turn."),
		requests:      counter("registry_requests_total", "Requests that registries answered for verifications."),
		receipts:      counter("receipts_total", "Receipts that were written."),
		receiptErrors: counter("receipt_errors_total", "Receipts that could not be written; in enforce mode nothing is admitted without one."),
		verdictErrors: counter("verdict_errors_total", "Files of remembered verdicts that could not be written, or were corrupt."),
		reloadErrors:  counters("reload_errors_total", "Attempts to read policy or trusted roots that failed.", "what"),
		loadedAt:      gauges("loaded_timestamp_seconds", "When what is in force of policy or trust was read first.", "what"),
		loadedGood:    gauges("loaded_good", "1 if what is on disk of policy or trust is what is in force.", "what"),
		rootAge:       gauges("trust_root_updated_timestamp_seconds", "When the trusted root was last renewed.", "root"),
		rootExpiry:    gauges("trust_root_usable_until_timestamp_seconds", "When the trusted root gets too old to be used.", "root"),
		nriConnected:  gauge("nri_connected", "1 while containerd asks about each container."),
		unverified:    gauge("running_unverified", "Containers that run without a verdict that admits them."),
		mode:          gauges("mode", "1 for the mode of the node.", "mode"),
		breakGlass:    gauge("break_glass", "1 while the glass is broken and every image is admitted."),
		effective:     gauge("enforcement_effective", "1 if the last self-test proved that an unsigned image is refused and a signed one is not."),
		selfTests:     counters("self_tests_total", "Self-tests, by their outcome.", "effective"),
		nodeReady:     gauge("node_ready", "1 if containerd, and kubelet if it is watched, said at the last look that they are ready."),
		reverts:       counter("mode_reverts_total", "Times that the agent put the node back to audit mode by itself."),
	}
	info := gauges("build_info", "The program.", "version", "goversion")
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.decisions, m.cacheHits, m.cacheMisses, m.verifications, m.verifying, m.running, m.waiting, m.requests,
		m.receipts, m.receiptErrors, m.verdictErrors, m.reloadErrors, m.loadedAt, m.loadedGood, m.rootAge, m.rootExpiry,
		m.nriConnected, m.unverified, m.mode, m.breakGlass, m.effective, m.selfTests, m.nodeReady, m.reverts, info,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return m
}

// decided counts an answer.
func (m *metrics) decided(point receipt.Point, o admission.Outcome) {
	admitted := "false"
	if o.Admitted {
		admitted = "true"
	}
	m.decisions.WithLabelValues(string(point), string(o.Decision.Verdict), admitted, string(o.By)).Inc()
}

// loaded notes what is in force.
func (m *metrics) loaded(f *inForce) {
	for what, l := range map[string]struct {
		at   time.Time
		good bool
	}{
		"policy": {f.policyLoaded.At, f.policyLoaded.Error == "" && f.policy != nil},
		"trust":  {f.trustLoaded.At, f.trustLoaded.Error == ""},
	} {
		if !l.at.IsZero() {
			m.loadedAt.WithLabelValues(what).Set(seconds(l.at))
		}
		m.loadedGood.WithLabelValues(what).Set(oneIf(l.good))
	}
	m.rootAge.Reset()
	m.rootExpiry.Reset()
	for name, l := range f.roots.instances {
		if l.State != nil {
			m.rootAge.WithLabelValues(name).Set(seconds(l.State.Updated))
			if until := l.State.UsableUntil(); !until.IsZero() {
				m.rootExpiry.WithLabelValues(name).Set(seconds(until))
			}
		}
	}
}

// standing notes the mode of the node.
func (m *metrics) standing(mode admission.Mode, broken bool) {
	for _, known := range admission.Modes {
		m.mode.WithLabelValues(string(known)).Set(oneIf(known == mode))
	}
	m.breakGlass.Set(oneIf(broken))
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
