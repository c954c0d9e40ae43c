// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package kubernetes holds the chart in docs/kubernetes against real tools, helm
// and kubeconform with the schemas of Kubernetes and of the Prometheus operator,
// and against what plomb promises of it.
//
// chart_test.go is about what is rendered, refused_test.go about what has to be
// refused, and deliver_test.go runs what the pods run, in a file system of its
// own, with the privileges that the chart gives them. There is no cluster.
package kubernetes

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	repository = "../.."
	chart      = repository + "/docs/kubernetes/chart"
	digestA    = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// tools is the folder with helm, kubeconform and a folder of schemas for each
// version of Kubernetes; scratch is gone after the tests.
var tools, scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		cmd := exec.Command(repository+"/hack/manifests", "--tools")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			fmt.Fprintln(os.Stderr, "hack/manifests --tools:", err)
			return 1
		}
		tools = strings.TrimSpace(string(out))
		scratch, err = os.MkdirTemp("", "plomb-kubernetes-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(scratch)
		for _, name := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
			os.Setenv(name, scratch)
		}
		return m.Run()
	}())
}

// An object is one that was rendered.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Data map[string]string
	Spec struct {
		MinReadySeconds int `yaml:"minReadySeconds"`
		UpdateStrategy  struct {
			Type          string
			RollingUpdate struct {
				MaxSurge       string `yaml:"maxSurge"`
				MaxUnavailable string `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		} `yaml:"updateStrategy"`
		Template struct{ Spec pod }
	}
	raw []byte
}

type pod struct {
	PriorityClassName            string              `yaml:"priorityClassName"`
	HostNetwork                  bool                `yaml:"hostNetwork"`
	HostPID                      bool                `yaml:"hostPID"`
	HostIPC                      bool                `yaml:"hostIPC"`
	AutomountServiceAccountToken *bool               `yaml:"automountServiceAccountToken"`
	NodeSelector                 map[string]string   `yaml:"nodeSelector"`
	Affinity                     map[string]any      `yaml:"affinity"`
	Tolerations                  []map[string]string `yaml:"tolerations"`
	InitContainers               []container         `yaml:"initContainers"`
	Containers                   []container
	Volumes                      []struct {
		Name     string
		HostPath *struct{ Path string } `yaml:"hostPath"`
	}
}

type container struct {
	Name, Image     string
	Command, Args   []string
	Ports           []any
	Resources       struct{ Limits map[string]string }
	SecurityContext struct {
		Privileged               *bool
		AllowPrivilegeEscalation *bool                 `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   *bool                 `yaml:"readOnlyRootFilesystem"`
		SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
		Capabilities             struct{ Add, Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
	Startup   *probe `yaml:"startupProbe"`
	Readiness *probe `yaml:"readinessProbe"`
	Liveness  *probe `yaml:"livenessProbe"`
}

type probe struct {
	Exec struct{ Command []string }
}

// helm runs helm template with a values file.
func helm(values string, args ...string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(tools, "helm"), append([]string{"template", "plomb", chart,
		"--namespace", "plomb-system", "--kube-version", "v1.37.0", "--values", values}, args...)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, complaints.String())
	}
	return out, nil
}

// ci is one of the chart's own values files.
func ci(name string) string { return filepath.Join(chart, "ci", name+".yaml") }

func objects(t *testing.T, rendered []byte) []object {
	t.Helper()
	var all []object
	dec := yaml.NewDecoder(bytes.NewReader(rendered))
	for {
		var node yaml.Node
		err := dec.Decode(&node)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		var o object
		require.NoError(t, node.Decode(&o))
		if o.raw, err = yaml.Marshal(&node); o.Kind != "" {
			require.NoError(t, err)
			all = append(all, o)
		}
	}
}

func ofKind(all []object, kind string) []object {
	var some []object
	for _, o := range all {
		if o.Kind == kind {
			some = append(some, o)
		}
	}
	return some
}

// conform asks kubeconform about objects, for each version of Kubernetes.
func conform(t *testing.T, manifest []byte) error {
	t.Helper()
	versions, err := filepath.Glob(filepath.Join(tools, "v*"))
	require.NoError(t, err)
	require.NotEmpty(t, versions)
	for _, dir := range versions {
		cmd := exec.Command(filepath.Join(tools, "kubeconform"), "-strict",
			"-schema-location", dir+"/{{.ResourceKind}}{{.KindSuffix}}.json")
		cmd.Stdin = bytes.NewReader(manifest)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(dir), err, out)
		}
	}
	return nil
}
