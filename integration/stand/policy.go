// SPDX-License-Identifier: Apache-2.0

package stand

import "fmt"

// defaultPolicy requires, for every image of the stand's registry, the
// identity that hack/token gives by default.
const defaultPolicy = `# Written when the stand started; edit it or add files to try other policies.
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: stand
spec:
  images:
  - glob: "%s/**"
  authorities:
  - name: release
    keyless:
      identities:
      - issuer: https://token.actions.githubusercontent.com
        subject: https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main
`

func (s *Stand) writePolicy() error {
	return writeFile(s.policyFile(), fmt.Appendf(nil, defaultPolicy, s.Registry), 0o644)
}

func (s *Stand) policyFile() string { return s.Policy + "/stand.yaml" }
