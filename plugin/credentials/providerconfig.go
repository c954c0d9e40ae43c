// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/internal/limit"
)

// maxProviders bounds how many providers are configured, and maxConfigs how
// many files they come from.
const (
	maxProviders = 64
	maxConfigs   = 64
)

// providerConfig is kubelet's CredentialProviderConfig.
// https://kubernetes.io/docs/reference/config-api/kubelet-config.v1/#CredentialProviderConfig
type providerConfig struct {
	APIVersion string     `yaml:"apiVersion"`
	Kind       string     `yaml:"kind"`
	Providers  []provider `yaml:"providers"`
}

// A provider is one plugin.
type provider struct {
	Name                 string           `yaml:"name"`
	MatchImages          []string         `yaml:"matchImages"`
	DefaultCacheDuration *time.Duration   `yaml:"defaultCacheDuration"`
	APIVersion           string           `yaml:"apiVersion"`
	Args                 []string         `yaml:"args,omitempty"`
	Env                  []envVar         `yaml:"env,omitempty"`
	TokenAttributes      *tokenAttributes `yaml:"tokenAttributes,omitempty"`
}

type envVar struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// tokenAttributes make kubelet hand the plugin a token of the pod's service
// account. A node agent has none.
type tokenAttributes struct {
	ServiceAccountTokenAudience          string   `yaml:"serviceAccountTokenAudience"`
	CacheType                            string   `yaml:"cacheType"`
	RequireServiceAccount                *bool    `yaml:"requireServiceAccount"`
	RequiredServiceAccountAnnotationKeys []string `yaml:"requiredServiceAccountAnnotationKeys,omitempty"`
	OptionalServiceAccountAnnotationKeys []string `yaml:"optionalServiceAccountAnnotationKeys,omitempty"`
}

// The versions are alike in all that is read here; kubelet takes them all.
var (
	configVersions   = []string{"kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1"}
	protocolVersions = []string{"credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1", "credentialprovider.kubelet.k8s.io/v1alpha1"}
)

// errProviders reports a configuration that kubelet would not start with.
var errProviders = errors.New("invalid CredentialProviderConfig")

// readProviders reads what kubelet reads: a file, or a folder of .json, .yaml
// and .yml files in the order of their names.
func readProviders(path string) ([]provider, error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if files, err = configsIn(path); err != nil {
			return nil, err
		}
	}
	var all []provider
	for _, file := range files {
		data, err := limit.ReadFile(file, maxConfig)
		if err != nil {
			return nil, err
		}
		some, err := parseProviders(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, some...)
	}
	seen := map[string]bool{}
	for _, p := range all {
		if seen[p.Name] {
			return nil, fmt.Errorf("%s: %w: two providers are called %q", path, errProviders, p.Name)
		}
		seen[p.Name] = true
	}
	return all, nil
}

func configsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && (ext == ".json" || ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	switch {
	case len(files) == 0:
		return nil, fmt.Errorf("%s: %w: it has no .json, .yaml or .yml files", dir, errProviders)
	case len(files) > maxConfigs:
		return nil, fmt.Errorf("%s: %w: more than %d files", dir, errProviders, maxConfigs)
	}
	return files, nil
}

// quoted is a value that the YAML package quotes in an error: env can hold a
// secret.
var quoted = regexp.MustCompile("(?s)`.*?`")

// parseProviders reads one file, YAML or JSON, as strictly as kubelet.
func parseProviders(data []byte) ([]provider, error) {
	var c providerConfig
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %s", errProviders, quoted.ReplaceAllString(err.Error(), "a value"))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", errProviders)
	}
	if c.Kind != "CredentialProviderConfig" || !slices.Contains(configVersions, c.APIVersion) {
		return nil, fmt.Errorf("%w: it is kind %q of %q, want CredentialProviderConfig of %s", errProviders, c.Kind, c.APIVersion, configVersions[0])
	}
	if len(c.Providers) == 0 || len(c.Providers) > maxProviders {
		return nil, fmt.Errorf("%w: %d providers, want 1 to %d", errProviders, len(c.Providers), maxProviders)
	}
	for _, p := range c.Providers {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%w: provider %q: %w", errProviders, p.Name, err)
		}
	}
	return c.Providers, nil
}

// check is kubelet's validateCredentialProviderConfig.
func (p provider) check() error {
	if p.Name == "" || p.Name == "." || p.Name == ".." || strings.ContainsAny(p.Name, "/ \x00") {
		return errors.New("name is no file name")
	}
	if !slices.Contains(protocolVersions, p.APIVersion) {
		return fmt.Errorf("apiVersion is %q, want %s", p.APIVersion, protocolVersions[0])
	}
	if len(p.MatchImages) == 0 {
		return errors.New("matchImages is empty")
	}
	for _, pattern := range p.MatchImages {
		if err := checkPattern(pattern); err != nil {
			return fmt.Errorf("matchImages: %w", err)
		}
	}
	if p.DefaultCacheDuration == nil || *p.DefaultCacheDuration < 0 {
		return errors.New("defaultCacheDuration is missing or negative")
	}
	for _, v := range p.Env {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.Contains(v.Value, "\x00") {
			return fmt.Errorf("env: %q is no name of a variable", v.Name)
		}
	}
	return nil
}

// wants tells whether kubelet would ask the provider about this name.
func (p provider) wants(name string) bool {
	return slices.ContainsFunc(p.MatchImages, func(pattern string) bool { return matches(pattern, name) })
}
