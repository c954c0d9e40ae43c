// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
)

// perBlock is how many containers are created before the agent comes or goes.
const perBlock = 50

// BenchmarkCreate is what the agent costs when a container is created, with its
// verdict remembered and each receipt on disk: containers are created through CRI
// in blocks with and without it. containerd's own measure of its NRI calls is
// beside that. -benchtime 4x gives 200 of each.
func BenchmarkCreate(b *testing.B) {
	metrics := freeAddress(b)
	n := newAgentNodeWith(b, fmt.Sprintf("version = 3\n[metrics]\n  address = %q\n", metrics))
	ref := n.sign(newImage(b, "signed")).load(n.node, n.Registry+"/signed:1")
	n.startsSoon(cri.ContainerOptions{Image: ref})
	without, with := []time.Duration{}, []time.Duration{}
	for b.Loop() {
		require.NoError(b, n.StopDaemon(b.Context(), stand.Agent))
		_, _ = n.create(cri.ContainerOptions{Image: ref}) // refused if containerd had not noticed
		without = append(without, n.block(ref)...)
		n.startAgent()
		with = append(with, n.block(ref)...)
	}
	for name, times := range map[string][]time.Duration{"without": without, "with": with} {
		slices.Sort(times)
		b.ReportMetric(ms(times[len(times)/2]), name+"-p50-ms")
		b.ReportMetric(ms(times[len(times)*99/100]), name+"-p99-ms")
	}
	for call, mean := range nriCalls(b, metrics) {
		b.ReportMetric(mean, call+"-mean-ms")
	}
}

// block creates containers, one after the other, and removes them.
func (n *agentNode) block(ref string) (times []time.Duration) {
	n.t.Helper()
	for range perBlock {
		start := time.Now()
		id, err := n.create(cri.ContainerOptions{Image: ref})
		times = append(times, time.Since(start))
		require.NoError(n.t, err)
		require.NoError(n.t, n.RemoveContainer(n.t.Context(), id))
	}
	return times
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// nriCalls are the means of containerd's histogram of calls to plomb, in
// milliseconds.
func nriCalls(t testing.TB, address string) map[string]float64 {
	resp, err := http.Get("http://" + address + "/v1/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	sum, count, means := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		name, value, ok := strings.Cut(s.Text(), "} ")
		if !ok || !strings.Contains(name, `"05-plomb"`) {
			continue
		}
		_, call, _ := strings.Cut(name, `operation="`)
		call, _, _ = strings.Cut(call, `"`)
		var v float64
		_, err := fmt.Sscan(value, &v)
		require.NoError(t, err)
		switch {
		case strings.HasPrefix(name, "containerd_nri_plugin_latency_seconds_sum"):
			sum[call] = v
		case strings.HasPrefix(name, "containerd_nri_plugin_latency_seconds_count"):
			count[call] = v
		}
	}
	for call, v := range sum {
		means[call] = v / count[call] * 1000
	}
	return means
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// BenchmarkPlugin is the same with a plugin that has its verdicts in a file and
// writes no receipts: what NRI itself costs.
func BenchmarkPlugin(b *testing.B) {
	metrics := freeAddress(b)
	n := &agentNode{node: newNode(b, fmt.Sprintf("version = 3\n[metrics]\n  address = %q\n", metrics))}
	i := newImage(b, "allowed")
	ref := i.load(n.node, "registry.example/allowed:1")
	n.plugin(i.target())
	for b.Loop() {
		n.block(ref)
	}
	for call, mean := range nriCalls(b, metrics) {
		b.ReportMetric(mean, call+"-mean-ms")
	}
}
