// SPDX-License-Identifier: Apache-2.0

// Package pending keeps modules in go.mod until the packages that use them are there.
package pending

import (
	_ "github.com/containerd/containerd/v2/client"
	_ "github.com/containerd/nri/pkg/stub"
	_ "github.com/containerd/plugin/registry"
	_ "github.com/coreos/go-systemd/v22/daemon"
	_ "github.com/docker/cli/cli/config"
	_ "github.com/docker/docker-credential-helpers/client"
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/pelletier/go-toml/v2"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/prometheus/client_golang/prometheus/testutil"
	_ "k8s.io/kubelet/config/v1"
	_ "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)
