{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- define "plomb.image" -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- end }}

{{- /* The label of everything. */ -}}
{{- define "plomb.labels" -}}
app.kubernetes.io/name: plomb-node
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "plomb.policyName" -}}
{{ .root.Release.Name }}-policy-{{ .pool.name }}
{{- end }}

{{- /* The policies of a pool: those of all, with its own in their place by name,
       and the one for plomb's own image. */ -}}
{{- define "plomb.policy" -}}
{{- $files := merge (deepCopy (default dict .pool.policy)) (deepCopy .root.Values.policy) }}
{{- if hasKey $files "plomb-self.yaml" }}{{ fail "policy: plomb-self.yaml is the chart's own; see self" }}{{ end }}
{{- range $name, $text := $files }}
{{ $name }}: |
{{ $text | trim | indent 2 }}
{{- end }}
plomb-self.yaml: |
{{ include "plomb.self" .root | trim | indent 2 }}
{{- end }}

{{- /* plomb's image, as the node is to admit it. */ -}}
{{- define "plomb.self" -}}
{{- $self := .Values.self -}}
{{- if and $self.key $self.identity }}{{ fail "self: give key or identity, not both" }}{{ end -}}
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: plomb-self
spec:
  images:
{{- if or $self.key $self.identity }}
  - glob: "{{ .Values.image.repository }}@sha256:*"
  authorities:
  - name: release
{{- if $self.key }}
    key:
      data: |
{{ $self.key | trim | indent 8 }}
{{- else }}
    keyless:
      identities:
      - issuer: {{ $self.identity.issuer | quote }}
        subject: {{ $self.identity.subject | quote }}
{{- end }}
{{- else }}
{{- range uniq (prepend $self.alsoAdmit .Values.image.digest) }}
  - glob: "{{ $.Values.image.repository }}@{{ . }}"
{{- end }}
  authorities:
  - name: these-digests
    static:
      action: pass
{{- end }}
{{- end }}

{{- /* What both containers may not do. */ -}}
{{- define "plomb.confined" -}}
runAsUser: 0
runAsGroup: 0
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
seccompProfile: {type: RuntimeDefault}
{{- if .Values.seLinuxType }}
seLinuxOptions: {type: {{ .Values.seLinuxType | quote }}}
{{- end }}
{{- end }}

{{- define "plomb.env" -}}
{{- range $name, $value := .Values.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "plomb.deliveryMounts" -}}
- {name: policy, mountPath: /delivery/policy, readOnly: true}
{{- if .Values.trustedRoot }}
- {name: trust, mountPath: /delivery/trust, readOnly: true}
{{- end }}
{{- end }}
