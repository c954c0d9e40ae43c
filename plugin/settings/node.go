// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/decision"
)

// Version is the apiVersion of the node's configuration.
const Version = "plombproject.github.io/node/v1"

// maxNode bounds the configuration, in bytes.
const maxNode = 1 << 20

// Node is the node's configuration, /etc/plomb/node.yaml. docs/node.md has the
// fields for people.
type Node struct {
	// APIVersion is Version.
	APIVersion string `yaml:"apiVersion"`
	// Name is the node's in receipts; the host's name by default.
	Name string `yaml:"name"`
	// Metrics is the loopback address for metrics and health; "off" for none.
	Metrics string `yaml:"metrics"`
	// NRI is about checks when a container is created.
	NRI NRI `yaml:"nri"`
	// ImageService is the proxy before containerd's image service.
	ImageService ImageService `yaml:"imageService"`
	// Credentials are the node's for registries.
	Credentials Credentials `yaml:"credentials"`
	// Receipts is about the log of decisions.
	Receipts Receipts `yaml:"receipts"`
	// SelfTest is how often the agent proves that enforcement is live; 0 never.
	SelfTest time.Duration `yaml:"selfTest"`
	// Kubelet is an address whose health counts for the node's being ready,
	// such as http://127.0.0.1:10248/healthz; empty for none.
	Kubelet string `yaml:"kubelet"`
	// RevertAfter is how long the node has to be not ready, during the
	// probation after a switch to enforce, before it goes back to audit; 0 never.
	RevertAfter time.Duration `yaml:"revertAfter"`
}

// NRI says how the agent registers with containerd.
type NRI struct {
	// Off leaves images that are on the node already unchecked.
	Off bool `yaml:"off"`
	// Socket is containerd's for plugins.
	Socket string `yaml:"socket"`
	// Index orders plugins, two digits.
	Index string `yaml:"index"`
}

// ImageService says whether and where the agent stands between kubelet and
// containerd's image service, to learn pull secrets.
type ImageService struct {
	// Listen is the socket for kubelet's --image-service-endpoint; empty: off.
	Listen string `yaml:"listen"`
}

// Credentials are looked up in this order: kubelet's providers, Docker
// configurations, hosts.toml, the static file, none.
type Credentials struct {
	// KubeletProviderConfig and KubeletProviderDir are kubelet's
	// --image-credential-provider-config and -bin-dir.
	KubeletProviderConfig string `yaml:"kubeletProviderConfig"`
	KubeletProviderDir    string `yaml:"kubeletProviderDir"`
	// DockerConfigs are config.json files, or kubelet's.
	DockerConfigs []string `yaml:"dockerConfigs"`
	// Static is a root-only file in the form of Docker's config.json.
	Static string `yaml:"static"`
}

// Receipts says how the log of decisions is kept.
type Receipts struct {
	// MaxBytes is the size at which a file of the log is closed.
	MaxBytes int64 `yaml:"maxBytes"`
	// Key is a private key in PEM that signs checkpoints; empty: none are made.
	Key string `yaml:"key"`
}

// DefaultNode is what holds without a configuration.
func DefaultNode() Node {
	return Node{
		APIVersion: Version,
		Name:       hostname(),
		Metrics:    "127.0.0.1:9469",
		NRI:        NRI{Socket: "/var/run/nri/nri.sock", Index: "05"},
		Receipts:   Receipts{MaxBytes: 64 << 20},
		SelfTest:   10 * time.Minute,
		// Longer than a restart of containerd takes.
		RevertAfter: 2 * time.Minute,
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// ReadNode reads the configuration; a file that is not there says nothing, one
// that cannot be read or understood is an error, and no verdict is given.
func ReadNode(path string) (Node, error) {
	n := DefaultNode()
	data, err := limit.ReadFile(path, maxNode)
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return n, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&n); err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("%w: %s: %w", ErrSettings, path, err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("%w: %s: more than one document", ErrSettings, path)
	}
	if err := n.check(); err != nil {
		return n, fmt.Errorf("%w: %s: %w", ErrSettings, path, err)
	}
	return n, nil
}

// check refuses what cannot be meant, or would open the node to others.
func (n Node) check() error {
	for _, check := range []func() error{n.checkName, n.checkMetrics, n.checkNRI, n.checkKubelet} {
		if err := check(); err != nil {
			return err
		}
	}
	if n.SelfTest < 0 || n.SelfTest > 0 && n.SelfTest < 10*time.Second {
		return fmt.Errorf("selfTest is %s, want at least 10s, or 0 for never", n.SelfTest)
	}
	if n.Receipts.MaxBytes < 1<<16 {
		return fmt.Errorf("receipts.maxBytes is %d, want at least 65536", n.Receipts.MaxBytes)
	}
	return nil
}

func (n Node) checkName() error {
	if n.APIVersion != Version {
		return fmt.Errorf("apiVersion is %q, want %s", n.APIVersion, Version)
	}
	if n.Name == "" {
		return errors.New("name is empty: leave it out for the host's name")
	}
	if len(n.Name) > 253 || decision.OneLine(n.Name) != n.Name {
		return fmt.Errorf("name is %q, want at most 253 bytes without control characters", n.Name)
	}
	return nil
}

func (n Node) checkMetrics() error {
	if n.Metrics == "off" {
		return nil
	}
	host, port, err := net.SplitHostPort(n.Metrics)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("metrics is %q, want a loopback address such as 127.0.0.1:9469, or off", n.Metrics)
	}
	return nil
}

var nriIndex = regexp.MustCompile(`^[0-9]{2}$`)

func (n Node) checkNRI() error {
	if n.NRI.Off {
		return nil
	}
	if n.NRI.Socket == "" {
		return errors.New("nri.socket is empty: leave it out for containerd's default, or say nri: {off: true}")
	}
	if !nriIndex.MatchString(n.NRI.Index) {
		return fmt.Errorf("nri.index is %q, want two digits in quotes, such as \"05\"", n.NRI.Index)
	}
	return nil
}

// checkKubelet keeps the agent from asking somebody else how this node is.
func (n Node) checkKubelet() error {
	if n.Kubelet == "" {
		return nil
	}
	u, err := url.Parse(n.Kubelet)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !net.ParseIP(u.Hostname()).IsLoopback() {
		return fmt.Errorf("kubelet is %q, want a loopback address such as http://127.0.0.1:10248/healthz", n.Kubelet)
	}
	return nil
}
